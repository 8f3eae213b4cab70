//! The tables that a query reads, and what it may not read.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, SetExpr, Spanned, Statement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use crate::code::Code;
use crate::error::Error;
use crate::nearest::nearest;
use crate::span::from_span;
use crate::sql::ignored;
use crate::sql::statement::{keyword_at, not_a_select};
use crate::table::TableName;
use crate::transform::{Input, SourceFile};

/// Tables and common table expressions of one query; more would make it slow to plan.
const MAX_TABLES: usize = 1000;

/// Every catalog table of a query, each once, in order of appearance.
///
/// # Errors
/// One for each table that is not written `database.table` nor bound by WITH, for each file and table function, and
/// for each part of the query that is no SELECT or that the planner would pass over.
pub(crate) fn inputs(file: &SourceFile, tokens: &[TokenWithSpan], query: &Query) -> (Vec<Input>, Vec<Error>) {
    let mut reader =
        Reader { file, tokens, scopes: Vec::new(), inputs: Vec::new(), errors: Vec::new(), ctes: 0, strings: 0 };
    if query.visit(&mut reader).is_break() {
        let error = Error::new(Code::QueryTooComplex, format!("the query names more than {MAX_TABLES} tables"));
        let at = tokens.first().map(|first| from_span(file, first.span));
        reader.errors.push(error.maybe_at(at).help("split it into several transforms"));
    }
    (reader.inputs, reader.errors)
}

/// The name as DataFusion compares it: unquoted letters are lower-case.
pub(crate) fn normalised(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// What is visible in one query.
#[derive(Default)]
struct Scope {
    /// Names bound so far by its WITH.
    bound: BTreeSet<String>,
    /// Its common table expressions with their names. They are compared by address and never followed.
    ctes: Vec<(*const Query, String)>,
    /// Whether each of them sees itself.
    recursive: bool,
}

struct Reader<'a> {
    file: &'a SourceFile,
    tokens: &'a [TokenWithSpan],
    scopes: Vec<Scope>,
    inputs: Vec<Input>,
    errors: Vec<Error>,
    ctes: usize,
    /// Index behind the last token that was found to be a file in single quotes.
    strings: usize,
}

impl Visitor for Reader<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.scopes.last().is_some_and(|scope| scope.recursive) {
            self.bind(query);
        }
        let mut scope = Scope::default();
        if let Some(with) = &query.with {
            scope.recursive = with.recursive;
            scope.ctes = with.cte_tables.iter().map(|cte| (address(&cte.query), normalised(&cte.alias.name))).collect();
            self.ctes += scope.ctes.len();
        }
        self.scopes.push(scope);
        self.check_kind(&query.body);
        self.errors.extend(ignored::in_query(self.file, self.tokens, query));
        self.within_limits()
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        self.bind(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => self.table(name),
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.table_function(&name.to_string(), name.span());
            }
            TableFactor::TableFunction { expr, .. } => self.table_function("TABLE(…)", expr.span()),
            _ => {}
        }
        self.errors.extend(ignored::in_table(self.file, factor));
        self.within_limits()
    }
}

fn address(query: &Query) -> *const Query {
    std::ptr::from_ref(query)
}

impl Reader<'_> {
    /// Makes the name of a common table expression visible in the query that it belongs to.
    fn bind(&mut self, query: &Query) {
        let Some(scope) = self.scopes.last_mut() else { return };
        if let Some((_, name)) = scope.ctes.iter().find(|(cte, _)| *cte == address(query)) {
            scope.bound.insert(name.clone());
        }
    }

    fn within_limits(&self) -> ControlFlow<()> {
        match self.inputs.len() + self.errors.len() + self.ctes > MAX_TABLES {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Refuses bodies that change data or are not made of SELECTs.
    fn check_kind(&mut self, body: &SetExpr) {
        let mut open = vec![body];
        while let Some(body) = open.pop() {
            match body {
                SetExpr::SetOperation { left, right, .. } => open.extend([right.as_ref(), left.as_ref()]),
                SetExpr::Insert(statement) => self.refuse("INSERT", first_token(statement)),
                SetExpr::Update(statement) => self.refuse("UPDATE", first_token(statement)),
                SetExpr::Delete(statement) => self.refuse("DELETE", first_token(statement)),
                SetExpr::Merge(statement) => self.refuse("MERGE", first_token(statement)),
                SetExpr::Table(_) => {
                    let place = keyword_at(self.tokens, Keyword::TABLE).map(|token| token.span);
                    self.refuse("TABLE", place.unwrap_or(Span::empty()));
                }
                // VALUES may stand in FROM, but is not the query of a table.
                SetExpr::Values(_) if self.scopes.len() == 1 => {
                    let place = keyword_at(self.tokens, Keyword::VALUES).map(|token| token.span);
                    self.refuse("VALUES", place.unwrap_or(Span::empty()));
                }
                SetExpr::Select(select) => {
                    if let Some(into) = &select.into {
                        self.refuse("SELECT … INTO", into.name.span());
                    }
                }
                SetExpr::Values(_) | SetExpr::Query(_) => {}
            }
        }
    }

    fn refuse(&mut self, name: &str, place: Span) {
        self.errors.push(not_a_select(name).at(from_span(self.file, place)));
    }

    fn table_function(&mut self, name: &str, place: Span) {
        if name.eq_ignore_ascii_case("unnest") {
            return;
        }
        let error = Error::new(Code::FileAccess, format!("`{name}` is a table function"))
            .at(from_span(self.file, place))
            .help("read tables of the catalog, written `database.table`");
        self.errors.push(error);
    }

    fn table(&mut self, name: &ObjectName) {
        let parts: Option<Vec<&Ident>> = name.0.iter().map(|part| part.as_ident()).collect();
        let parts = parts.unwrap_or_default();
        let mut place = name.span();
        if let Some(file) = parts.iter().find(|part| part.quote_style == Some('\'')) {
            place = self.place_of_string(&file.value).unwrap_or(place);
        }
        if parts.iter().any(|part| is_path(part)) {
            let error = Error::new(Code::FileAccess, format!("`{name}` is a file, not a table"))
                .at(from_span(self.file, place))
                .help("put it into the data folder, run `unglue catalog`, and read it as `database.table`");
            return self.errors.push(error);
        }
        match parts.as_slice() {
            [table] if self.is_bound(&normalised(table)) => {}
            [table] => self.without_database(table),
            [database, table] => match TableName::new(&normalised(database), &normalised(table)) {
                Ok(table) => self.input(table, place),
                Err(_) => self.unknown(name, "names of tables are lower-case letters, digits and `_`"),
            },
            _ => self.unknown(name, "tables are written `database.table`"),
        }
    }

    /// The next string with this content where a table can stand: as a name, the parser does not keep its place.
    fn place_of_string(&mut self, value: &str) -> Option<Span> {
        let is_it = |token: &TokenWithSpan| matches!(&token.token, Token::SingleQuotedString(text) if text == value);
        let begins_name = |token: &TokenWithSpan| match &token.token {
            Token::Word(word) => matches!(word.keyword, Keyword::FROM | Keyword::JOIN),
            token => matches!(token, Token::Comma | Token::LParen | Token::Period),
        };
        let rest = self.tokens.get(self.strings..)?;
        let found = rest.windows(2).position(|pair| begins_name(&pair[0]) && is_it(&pair[1]))?;
        self.strings += found + 2;
        self.tokens.get(self.strings - 1).map(|token| token.span)
    }

    fn is_bound(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.bound.contains(name))
    }

    fn input(&mut self, name: TableName, place: Span) {
        if self.inputs.iter().all(|input| input.name != name) {
            self.inputs.push(Input { name, at: from_span(self.file, place) });
        }
    }

    fn without_database(&mut self, table: &Ident) {
        let bound = self.scopes.iter().flat_map(|scope| scope.bound.iter().map(String::as_str));
        let help = match nearest(&normalised(table), bound) {
            Some(near) => format!("did you mean `{near}` of WITH? Tables are written `database.table`"),
            None => format!("write its database too: `database.{}`", table.value),
        };
        let error = Error::new(Code::UnknownTable, format!("`{}` names no database", table.value));
        self.errors.push(error.at(from_span(self.file, table.span)).help(help));
    }

    fn unknown(&mut self, name: &ObjectName, help: &str) {
        let error = Error::new(Code::UnknownTable, format!("`{name}` is not a table of the catalog"));
        self.errors.push(error.at(from_span(self.file, name.span())).help(help));
    }
}

fn first_token(statement: &Statement) -> Span {
    match statement {
        Statement::Insert(insert) => insert.insert_token.0.span,
        Statement::Update(update) => update.update_token.0.span,
        Statement::Delete(delete) => delete.delete_token.0.span,
        Statement::Merge(merge) => merge.merge_token.0.span,
        other => other.span(),
    }
}

/// Whether a name in FROM is a file: text in single quotes, or a quoted name that looks like a path.
fn is_path(part: &Ident) -> bool {
    const FILES: [&str; 12] =
        [".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".avro", ".orc", ".arrow", ".gz", ".zst"];
    let lower = part.value.to_lowercase();
    part.quote_style == Some('\'')
        || lower.starts_with('@')
        || lower.contains(['/', '\\'])
        || FILES.iter().any(|ending| lower.len() > ending.len() && lower.ends_with(ending))
}
