//! The conditions of `@assert`, planned over the columns of the result.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::logical_plan::builder::LogicalTableSource;
use datafusion::logical_expr::{Expr, LogicalPlan, TableSource};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Query, SelectItem, SetExpr, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::check::check;
use super::limits;
use super::tables::SourceOf;
use crate::code::Code;
use crate::diagnose::text::Text;
use crate::diagnose::{self, Subject};
use crate::error::{Error, Location};
use crate::settings::Spanned;
use crate::table::TableName;

/// The result of a transform as the only table that a condition can see.
pub(super) struct ResultTable<'a> {
    name: &'a TableName,
    schema: SchemaRef,
}

impl<'a> ResultTable<'a> {
    /// The columns of a plan under their final, lower-case names.
    pub(super) fn new(name: &'a TableName, schema: &DFSchema) -> Self {
        let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_name(field.name().to_lowercase()));
        Self { name, schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())) }
    }
}

/// Plans one condition: a boolean for each row.
///
/// # Errors
/// What is wrong with it, located inside the setting's value.
pub(super) fn condition(
    setting: &Spanned<String>,
    table: &ResultTable<'_>,
    state: &SessionState,
) -> Result<Expr, Vec<Error>> {
    let nowhere = Location { file: String::new(), line: 1, column: 1, length: 1, text: setting.value.clone() };
    let text = Text::of_value(&setting.value, setting.at.as_ref().unwrap_or(&nowhere));
    let fail = |error: Error| vec![error.maybe_at(setting.at.clone())];
    let condition = parse(&setting.value).map_err(&fail)?;
    if condition.visit(&mut FindsQuery).is_break() {
        return Err(fail(more_than_a_row()));
    }
    let query = select(&condition, table.name).map_err(&fail)?;
    if let Some(error) = limits::too_complex(&query) {
        return Err(fail(error));
    }
    let source_of: &SourceOf<'_> = &|name| {
        let source = || Arc::new(LogicalTableSource::new(Arc::clone(&table.schema))) as Arc<dyn TableSource>;
        (name == table.name).then(source)
    };
    let check_alone = |query: Query| check(query, state, source_of).map(drop);
    let subject = Subject { text: &text, query: &query, state, check: &check_alone };
    let checked = check(query.clone(), state, source_of).map_err(|error| diagnose::errors(&error, &subject))?;
    let whole = |error: Error| vec![error.maybe_at(subject.at_expr(&condition).or_else(|| setting.at.clone()))];
    let LogicalPlan::Projection(projection) = &checked.typed else { return Err(whole(more_than_a_row())) };
    if !matches!(projection.input.as_ref(), LogicalPlan::TableScan(_)) {
        return Err(whole(more_than_a_row()));
    }
    let [expr] = projection.expr.as_slice() else { return Err(whole(more_than_a_row())) };
    match checked.typed.schema().field(0).data_type() {
        DataType::Boolean => unqualified(expr.clone()).map_err(|error| diagnose::errors(&error, &subject)),
        other => Err(whole(not_boolean(other))),
    }
}

/// Breaks at the first subquery.
struct FindsQuery;

impl Visitor for FindsQuery {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

fn more_than_a_row() -> Error {
    Error::new(Code::InvalidQuery, "`@assert` looks at one row at a time: no aggregates, windows, subqueries or unnest")
        .help("write a condition over the columns of one row; `@assert_table` is for aggregates")
}

fn not_boolean(data_type: &DataType) -> Error {
    let found = crate::hive::HiveType::of(data_type).map_or_else(|_| data_type.to_string(), |hive| hive.to_string());
    Error::new(Code::TypeMismatch, format!("`@assert` needs a boolean, this is {found}"))
        .help("compare it with something")
}

fn parse(text: &str) -> Result<SqlExpr, Error> {
    let syntax = |error: &dyn std::fmt::Display| {
        Error::new(Code::Syntax, format!("`@assert` is not an SQL expression: {error}"))
            .help("for example `-- @assert: amount >= 0`")
    };
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(text).map_err(|error| syntax(&error))?;
    let expr = parser.parse_expr().map_err(|error| syntax(&error))?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(expr),
        other => Err(syntax(&format!("it goes on with `{other}`"))),
    }
}

/// `SELECT condition FROM table`.
fn select(condition: &SqlExpr, table: &TableName) -> Result<Query, Error> {
    let frame =
        Parser::parse_sql(&GenericDialect {}, &format!("SELECT 1 FROM \"{}\".\"{}\"", table.database, table.table));
    let internal = || Error::new(Code::Internal, "the frame of an `@assert` cannot be built").help("please report it");
    let Some(Statement::Query(mut query)) = frame.map_err(|_| internal())?.pop() else { return Err(internal()) };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::UnnamedExpr(condition.clone())];
    }
    Ok(*query)
}

/// With columns named as in the table's own schema.
fn unqualified(expr: Expr) -> datafusion::common::Result<Expr> {
    let bare = expr.transform(|expr| match expr {
        Expr::Column(mut column) => {
            column.relation = None;
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(bare.data)
}
