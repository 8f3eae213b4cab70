//! The leftmost table of FROM, which drives a transform that names no other.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{ObjectName, Query, SetExpr, TableFactor, TableWithJoins};

use crate::sql::tables::normalised;
use crate::table::TableName;

/// The base table that the main FROM leads to first, through derived tables, joins and common table expressions.
pub(crate) fn leftmost(query: &Query) -> Option<TableName> {
    let mut search = Search::default();
    search.enter(query, None);
    search.run()
}

/// The common table expressions that a query sees.
struct Scope<'a> {
    query: &'a Query,
    /// How many of the query's own expressions are visible: those written before.
    visible: usize,
    /// The scope around it.
    outer: Option<usize>,
}

enum Step<'a> {
    Body(&'a SetExpr),
    Factor(&'a TableFactor),
}

/// A search from left to right that keeps its own stack, so that a long chain of expressions cannot exhaust the other.
#[derive(Default)]
struct Search<'a> {
    scopes: Vec<Scope<'a>>,
    /// What is still to be looked at, the next one last, each with its scope.
    open: Vec<(Step<'a>, usize)>,
    /// Expressions that were followed already. One that is met again holds no table, or the search would be over.
    seen: BTreeSet<*const Query>,
}

impl<'a> Search<'a> {
    fn enter(&mut self, query: &'a Query, outer: Option<usize>) {
        let visible = query.with.as_ref().map_or(0, |with| with.cte_tables.len());
        self.scopes.push(Scope { query, visible, outer });
        self.open.push((Step::Body(&query.body), self.scopes.len() - 1));
    }

    fn run(&mut self) -> Option<TableName> {
        while let Some((step, scope)) = self.open.pop() {
            match step {
                Step::Body(SetExpr::Select(select)) => self.push_joined(&select.from, scope),
                Step::Body(SetExpr::Query(query)) => self.enter(query, Some(scope)),
                Step::Body(SetExpr::SetOperation { left, right, .. }) => {
                    self.open.push((Step::Body(right), scope));
                    self.open.push((Step::Body(left), scope));
                }
                Step::Factor(TableFactor::Table { name, args: None, .. }) => {
                    if let Some(table) = self.table(name, scope) {
                        return Some(table);
                    }
                }
                Step::Factor(TableFactor::Derived { subquery, .. }) => self.enter(subquery, Some(scope)),
                Step::Factor(TableFactor::NestedJoin { table_with_joins, .. }) => {
                    self.push_joined(std::slice::from_ref(table_with_joins), scope);
                }
                Step::Factor(
                    TableFactor::Pivot { table, .. }
                    | TableFactor::Unpivot { table, .. }
                    | TableFactor::MatchRecognize { table, .. },
                ) => self.open.push((Step::Factor(table), scope)),
                Step::Body(_) | Step::Factor(_) => {}
            }
        }
        None
    }

    fn push_joined(&mut self, from: &'a [TableWithJoins], scope: usize) {
        for item in from.iter().rev() {
            for join in item.joins.iter().rev() {
                self.open.push((Step::Factor(&join.relation), scope));
            }
            self.open.push((Step::Factor(&item.relation), scope));
        }
    }

    /// The table of a name with a database; a name without one is followed to the expression that it stands for.
    fn table(&mut self, name: &ObjectName, scope: usize) -> Option<TableName> {
        let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(normalised).collect();
        match parts.as_slice() {
            [database, table] => TableName::new(database, table).ok(),
            [name] => {
                self.follow(name, scope);
                None
            }
            _ => None,
        }
    }

    fn follow(&mut self, name: &str, scope: usize) {
        let mut next = Some(scope);
        while let Some(index) = next {
            let Scope { query, visible, outer } = self.scopes[index];
            let expressions = query.with.as_ref().map_or(&[][..], |with| &with.cte_tables[..visible]);
            let Some(found) = expressions.iter().rposition(|cte| normalised(&cte.alias.name) == name) else {
                next = outer;
                continue;
            };
            let followed = expressions[found].query.as_ref();
            if self.seen.insert(std::ptr::from_ref(followed)) {
                self.scopes.push(Scope { query, visible: found, outer });
                self.enter(followed, Some(self.scopes.len() - 1));
            }
            return;
        }
    }
}
