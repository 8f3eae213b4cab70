//! Turns DataFusion's planning errors into ours, each with its place in the SQL text.

pub(crate) mod extent;
pub(crate) mod find;
mod message;
pub(crate) mod narrow;
mod schema;
pub(crate) mod text;

#[cfg(test)]
mod tests;

use datafusion::common::{DataFusionError, Diagnostic, SchemaError};
use datafusion::execution::session_state::SessionState;
use datafusion::sql::sqlparser::ast::{Expr, Query, Spanned};
use datafusion::sql::sqlparser::tokenizer::{Location as Point, Span};

use crate::code::Code;
use crate::error::{Error, Location};
use crate::nearest::nearest;
use message::{plain, sql_types};
use text::Text;

/// The query that failed, and what is needed to find the fault in it.
pub(crate) struct Subject<'a> {
    /// The text that the query was parsed from.
    pub(crate) text: &'a Text<'a>,
    /// The query.
    pub(crate) query: &'a Query,
    /// The functions that exist.
    pub(crate) state: &'a SessionState,
    /// Plans another query over the same tables.
    pub(crate) check: &'a dyn Fn(Query) -> Result<(), DataFusionError>,
}

/// Our errors for what DataFusion says about a query.
pub(crate) fn errors(error: &DataFusionError, subject: &Subject<'_>) -> Vec<Error> {
    let somewhere = |mut error: Error| {
        error.at = error.at.or_else(|| subject.text.location_of(subject.query.span()));
        error
    };
    error.iter().map(|error| somewhere(one_error(error, subject))).collect()
}

fn one_error(error: &DataFusionError, subject: &Subject<'_>) -> Error {
    let diagnostic = error.diagnostic();
    match root(error) {
        DataFusionError::SchemaError(cause, _) => match cause.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                schema::unknown_column(field, valid_fields, subject.query).maybe_at(subject.place(error, diagnostic))
            }
            // With its table, it is one that a schema has beside an alias of the same name.
            SchemaError::AmbiguousReference { field }
                if field.relation.is_some() && schema::doubled(&field.name, subject).is_some() =>
            {
                Error::new(Code::DuplicateColumn, format!("two columns are called `{}`", field.name))
                    .help("give one of them another name with AS")
                    .maybe_at(schema::doubled(&field.name, subject))
            }
            SchemaError::AmbiguousReference { field } => {
                schema::ambiguous_column(field, diagnostic, subject.query).maybe_at(subject.place(error, diagnostic))
            }
            SchemaError::DuplicateQualifiedField { qualifier, .. } => schema::same_table_twice(&qualifier.to_string())
                .maybe_at(subject.second_mention(&qualifier.to_string())),
            SchemaError::DuplicateUnqualifiedField { name } => {
                Error::new(Code::DuplicateColumn, format!("two columns are called `{name}`"))
                    .help("give one of them another name with AS")
                    .maybe_at(subject.place(error, diagnostic))
            }
        },
        other => by_message(&other.message(), error, subject),
    }
}

/// The message of a query that uses columns of one table of FROM in another, where DataFusion has no way to do so.
pub(crate) const CORRELATED: &str = "correlated subquery that cannot be turned into a join";

/// The errors that DataFusion tells apart by their text only.
fn by_message(message: &str, error: &DataFusionError, subject: &Subject<'_>) -> Error {
    let diagnostic = error.diagnostic();
    let place = || subject.place(error, diagnostic);
    if let Some(name) = quoted_after(message, "Invalid function '") {
        return unknown_function(name, subject.state).maybe_at(place());
    }
    if let Some(name) = quoted_after(message, "table function '") {
        return Error::new(Code::FileAccess, format!("`{name}` is a table function, and none can be called"))
            .help("read a table of the catalog")
            .maybe_at(subject.first_mention(name));
    }
    if let Some(name) = quoted_after(message, "table '") {
        return Error::new(Code::UnknownTable, format!("there is no table `{name}`"))
            .help("tables are written `database.table`")
            .maybe_at(subject.first_mention(name).or_else(place));
    }
    if message.starts_with("Projections require unique expression names") {
        return schema::duplicate_column(message, subject);
    }
    if let Some(field) = message.strip_prefix("Field ").and_then(|rest| rest.strip_suffix(" not found in struct")) {
        return Error::new(Code::UnknownColumn, format!("`{field}` is not a field of the struct"))
            .help("compare the column's type in the catalog: `unglue catalog show`")
            .maybe_at(place());
    }
    if ["DDL not supported", "DML not supported", "Statement not supported"]
        .iter()
        .any(|text| message.starts_with(text))
    {
        return Error::new(Code::NotASelect, plain(message)).help("leave only the SELECT").maybe_at(place());
    }
    if message == CORRELATED {
        let lateral = find::lateral(subject.query).and_then(|span| subject.text.location_of(span));
        return Error::new(Code::InvalidQuery, "the columns of an outer table cannot be used in this way here")
            .help("write `unnest(...)` in the SELECT list instead of FROM, and a correlated subquery as a join")
            .maybe_at(subject.culprit(error).or(lateral));
    }
    if is_about_types(message) {
        return type_mismatch(message, diagnostic).maybe_at(subject.culprit(error).or_else(place));
    }
    let (message, at) = match diagnostic {
        Some(diagnostic) if message.contains("different number of columns") => {
            (column_counts(diagnostic), last_note(diagnostic).and_then(|span| subject.text.location_of(span)))
        }
        // DataFusion points at the argument of the inner call.
        Some(diagnostic) if message.contains("cannot be nested") => {
            (plain(&diagnostic.message), subject.culprit(error))
        }
        Some(diagnostic) => (plain(&diagnostic.message), place()),
        None => (plain(message), place()),
    };
    let refused = Error::new(Code::InvalidQuery, message).maybe_at(at);
    match (diagnostic.and_then(|diagnostic| diagnostic.helps.first()), root(error)) {
        (Some(help), _) => refused.help(plain(&help.message)),
        (None, DataFusionError::NotImplemented(_)) => {
            refused.help("DataFusion does not have it: write it in another way")
        }
        (None, _) => refused.help("change the marked part"),
    }
}

fn unknown_function(name: &str, state: &SessionState) -> Error {
    if state.window_functions().contains_key(name) {
        return Error::new(Code::UnknownFunction, format!("`{name}` is a window function and needs OVER"))
            .help(format!("write `{name}(...) OVER (...)`"));
    }
    let functions = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
    let functions = functions.chain(state.window_functions().keys()).chain(state.higher_order_functions().keys());
    let unknown = Error::new(Code::UnknownFunction, format!("there is no function `{name}`"));
    match nearest(name, functions.map(String::as_str)) {
        Some(nearest) => unknown.help(format!("did you mean `{nearest}`?")),
        None => unknown.help("the functions are those of DataFusion"),
    }
}

fn is_about_types(message: &str) -> bool {
    let phrases = [
        "Cannot coerce",
        "Cannot infer common",
        "Cannot get result type",
        "No function matches the given name and argument types",
        "compatible types",
        "Failed to coerce",
        "ommon type",
        "coercion",
        "non-boolean predicate",
        "Unary operator",
        "can only be applied to",
        "Expected LIMIT",
        "Expected OFFSET",
        "Cannot CAST",
        "Unsupported CAST",
    ];
    phrases.iter().any(|phrase| message.contains(phrase))
}

/// What DataFusion says before an operation whose operands do not fit.
const OPERATIONS: [&str; 6] = [
    "Cannot coerce arithmetic expression ",
    "Cannot infer common argument type for comparison operation ",
    "Cannot infer common argument type for logical boolean operation ",
    "Cannot infer common argument type for regex operation ",
    "Cannot infer common type for bitwise operation ",
    "Cannot infer common string type for string concat operation ",
];

fn type_mismatch(message: &str, diagnostic: Option<&Diagnostic>) -> Error {
    let text = if let Some(call) = quoted_after(message, "argument types '") {
        let (name, types) = call.split_once('(').unwrap_or((call, ")"));
        format!("`{name}` cannot be called with ({}", sql_types(types))
    } else if let Some((_, found)) = message.split_once("non-boolean predicate ") {
        let data_type = found.rsplit_once("returning ").map_or(found, |(_, data_type)| data_type);
        format!("a condition must be a boolean, this is {}", sql_types(data_type))
    } else if let Some(operation) = OPERATIONS.iter().find_map(|operation| message.strip_prefix(operation)) {
        format!("the types do not fit: {}", sql_types(operation.trim_end_matches(" to valid types")))
    } else {
        plain(message)
    };
    let error = Error::new(Code::TypeMismatch, text);
    match diagnostic.and_then(|diagnostic| diagnostic.notes.first()) {
        Some(note) if note.message.contains("can only be used with") => error.help(plain(&note.message)),
        _ => error.help("add a CAST, or correct the expression"),
    }
}

/// How many columns each side of a set operation has.
fn column_counts(diagnostic: &Diagnostic) -> String {
    let count = |note: &datafusion::common::diagnostic::DiagnosticNote| {
        note.message.chars().filter(char::is_ascii_digit).collect::<String>()
    };
    let counts: Vec<String> = diagnostic.notes.iter().map(count).collect();
    format!("{}: {}", plain(&diagnostic.message), counts.join(" and "))
}

fn last_note(diagnostic: &Diagnostic) -> Option<Span> {
    diagnostic.notes.last().and_then(|note| note.span).map(parser_span)
}

fn parser_span(span: datafusion::common::Span) -> Span {
    Span::new(Point::new(span.start.line, span.start.column), Point::new(span.end.line, span.end.column))
}

/// The quoted word after a text.
fn quoted_after<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    rest.split_once('\'').map(|(name, _)| name)
}

/// The error below all context.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, root),
        other => other,
    }
}

/// Whether two errors say the same.
fn alike(one: &DataFusionError, other: &DataFusionError) -> bool {
    match (root(one), root(other)) {
        (DataFusionError::SchemaError(one, _), DataFusionError::SchemaError(other, _)) => {
            match (one.as_ref(), other.as_ref()) {
                (SchemaError::FieldNotFound { field: one, .. }, SchemaError::FieldNotFound { field: other, .. }) => {
                    one == other
                }
                (one, other) => one.to_string() == other.to_string(),
            }
        }
        (one, other) => one.message() == other.message(),
    }
}

impl Subject<'_> {
    /// Where DataFusion says the fault is, or else where it is found.
    fn place(&self, error: &DataFusionError, diagnostic: Option<&Diagnostic>) -> Option<Location> {
        let told = diagnostic.and_then(|diagnostic| diagnostic.span).map(parser_span);
        told.and_then(|span| self.text.location_of(span)).or_else(|| self.culprit(error)).or_else(|| self.named(error))
    }

    /// The smallest expression that fails in the same way by itself.
    fn culprit(&self, error: &DataFusionError) -> Option<Location> {
        let fails_alike = |query: Query| match (self.check)(query) {
            Ok(()) => false,
            Err(found) => found.iter().any(|found| alike(error, found)),
        };
        let culprit = narrow::culprit(self.query, &fails_alike)?;
        self.at_expr(&culprit)
    }

    /// Where a column that is not in an expression is named.
    fn named(&self, error: &DataFusionError) -> Option<Location> {
        let DataFusionError::SchemaError(cause, _) = root(error) else { return None };
        let (SchemaError::FieldNotFound { field, .. } | SchemaError::AmbiguousReference { field }) = cause.as_ref()
        else {
            return None;
        };
        let qualifier = field.relation.as_ref().map(|relation| relation.table());
        self.text.location_of(find::column(self.query, qualifier, &field.name)?)
    }

    pub(crate) fn at_expr(&self, expr: &Expr) -> Option<Location> {
        let whole = extent::extent_of(self.text, expr).and_then(|extent| self.text.location(extent));
        whole.or_else(|| self.text.location_of(expr.span()))
    }

    fn first_mention(&self, table: &str) -> Option<Location> {
        self.text.location_of(*find::tables(self.query, table).first()?)
    }

    fn second_mention(&self, table: &str) -> Option<Location> {
        self.text.location_of(*find::tables(self.query, table).get(1)?)
    }
}
