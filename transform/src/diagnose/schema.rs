//! Errors about columns that are missing, ambiguous or doubled.

use datafusion::common::{Column, Diagnostic, TableReference};
use datafusion::sql::sqlparser::ast::Query;

use super::{Subject, find};
use crate::code::Code;
use crate::error::{Error, Location};
use crate::nearest::nearest;

/// How many columns are listed where no name is near.
const MOST_LISTED: usize = 12;

/// A column that none of the tables in scope has.
pub(super) fn unknown_column(field: &Column, valid: &[Column], query: &Query) -> Error {
    match &field.relation {
        Some(qualifier)
            if !valid.iter().any(|column| column.relation.as_ref().is_some_and(|r| names(qualifier, r))) =>
        {
            unknown_qualifier(qualifier, field, valid)
        }
        Some(qualifier) => {
            let of = |column: &&Column| column.relation.as_ref().is_some_and(|relation| names(qualifier, relation));
            let columns: Vec<&Column> = valid.iter().filter(of).collect();
            missing(field, &shown(qualifier, query), &columns)
        }
        None => {
            let mut tables: Vec<String> =
                valid.iter().filter_map(|column| column.relation.as_ref()).map(|table| shown(table, query)).collect();
            tables.dedup();
            let tables = if tables.len() > 3 { "any table in FROM".to_owned() } else { tables.join(" or ") };
            missing(field, &tables, &valid.iter().collect::<Vec<_>>())
        }
    }
}

fn missing(field: &Column, table: &str, columns: &[&Column]) -> Error {
    if table.is_empty() {
        return Error::new(Code::UnknownColumn, format!("`{}` is not a column: none can be named here", field.name))
            .help("write a constant");
    }
    let error = Error::new(Code::UnknownColumn, format!("`{}` is not a column of {table}", field.name));
    if let Some(nearest) = nearest(&field.name, columns.iter().map(|column| column.name.as_str())) {
        return error.help(format!("did you mean `{nearest}`?"));
    }
    let mut names: Vec<String> = Vec::new();
    for column in columns {
        let name = format!("`{}`", column.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = if names.len() > MOST_LISTED { ", ..." } else { "" };
    names.truncate(MOST_LISTED);
    error.help(format!("its columns are {}{more}", names.join(", ")))
}

fn unknown_qualifier(qualifier: &TableReference, field: &Column, valid: &[Column]) -> Error {
    let error = Error::new(Code::UnknownColumn, format!("`{qualifier}` is not a table or alias of FROM"));
    let mut tables: Vec<String> =
        valid.iter().filter_map(|column| column.relation.as_ref()).map(ToString::to_string).collect();
    tables.dedup();
    let wanted = qualifier.to_string();
    let structs = valid.iter().map(|column| column.name.as_str());
    match nearest(&wanted, tables.iter().map(String::as_str)).or_else(|| nearest(&wanted, structs)) {
        Some(nearest) => error.help(format!("did you mean `{nearest}.{}`?", field.name)),
        None if tables.is_empty() => error.help("leave the qualifier out"),
        None => error.help(format!("FROM has `{}`", tables.join("`, `"))),
    }
}

/// Whether a qualifier as written names a relation: `orders` names `raw.orders`, too.
fn names(qualifier: &TableReference, relation: &TableReference) -> bool {
    qualifier.table() == relation.table()
        && qualifier.schema().is_none_or(|schema| relation.schema().is_none_or(|other| schema == other))
}

/// A relation as its reader knows it: the table behind an alias.
fn shown(relation: &TableReference, query: &Query) -> String {
    let table = match relation {
        TableReference::Bare { table } => find::table_of_alias(query, table),
        _ => None,
    };
    format!("`{}`", table.unwrap_or_else(|| relation.to_string()))
}

/// A column that several tables in scope have.
pub(super) fn ambiguous_column(field: &Column, diagnostic: Option<&Diagnostic>, query: &Query) -> Error {
    let candidates: Vec<&str> = diagnostic
        .iter()
        .flat_map(|diagnostic| &diagnostic.notes)
        .filter_map(|note| note.message.strip_prefix("possible column "))
        .filter(|candidate| candidate.rsplit('.').next() == Some(field.name.as_str()))
        .collect();
    let tables: Vec<String> = candidates
        .iter()
        .filter_map(|candidate| candidate.rsplit_once('.'))
        .map(|(table, _)| shown(&TableReference::from(table), query))
        .collect();
    let message = if tables.len() > 1 {
        format!("`{}` is ambiguous: it is a column of {}", field.name, tables.join(" and of "))
    } else {
        format!("`{}` is ambiguous: several tables of FROM have it", field.name)
    };
    let error = Error::new(Code::AmbiguousColumn, message);
    if candidates.len() > 1 {
        error.help(format!("write `{}`", candidates.join("` or `")))
    } else {
        error.help(format!("qualify it: `alias.{}`", field.name))
    }
}

/// A table that is joined with itself without an alias.
pub(super) fn same_table_twice(table: &str) -> Error {
    Error::new(Code::AmbiguousColumn, format!("`{table}` stands in FROM twice, and its columns cannot be told apart"))
        .help(format!("give each an alias: `{table} AS a`"))
}

/// A SELECT list with two columns of one name; the place is that of the second.
pub(super) fn duplicate_column(message: &str, subject: &Subject<'_>) -> Error {
    let positions: Vec<usize> = message
        .split("at position ")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next())
        .filter_map(|number| number.parse().ok())
        .collect();
    let (name, at) = match positions.as_slice() {
        [first, second, ..] => located(*first, *second, subject),
        _ => (None, None),
    };
    let message = match name {
        Some(name) => format!("two columns are called `{name}`"),
        None => "two columns of a SELECT have the same name".to_owned(),
    };
    Error::new(Code::DuplicateColumn, message).help("give one of them another name with AS").maybe_at(at)
}

/// The second column of this name in a SELECT list; one that stands beside a `*` is taken for the second.
pub(super) fn doubled(name: &str, subject: &Subject<'_>) -> Option<Location> {
    find::selects(subject.query).iter().find_map(|select| {
        let names: Vec<Option<String>> = select.projection.iter().map(find::item_name).collect();
        let has_all = select.projection.iter().any(find::is_wildcard);
        let positions: Vec<usize> = (0..names.len()).filter(|&at| names[at].as_deref() == Some(name)).collect();
        let second = match positions.as_slice() {
            [_, second, ..] => *second,
            [only] if has_all => *only,
            _ => return None,
        };
        subject.text.location(*find::items(subject.text, select).get(second)?)
    })
}

/// The SELECT that has one name at both positions: the name, and the place of the second.
fn located(first: usize, second: usize, subject: &Subject<'_>) -> (Option<String>, Option<Location>) {
    for select in find::selects(subject.query) {
        let name_at = |position: usize| select.projection.get(position).and_then(find::item_name);
        if let (Some(one), Some(two)) = (name_at(first), name_at(second))
            && one == two
        {
            let item = find::items(subject.text, &select).get(second).copied();
            return (Some(one), item.and_then(|item| subject.text.location(item)));
        }
    }
    (None, None)
}
