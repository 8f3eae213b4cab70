//! Row checks of the header: `@not_null` and `@assert`, on every row before it is written.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::common::DFSchema;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, col};
use datafusion::physical_expr::PhysicalExpr;

use crate::code::Code;
use crate::error::{Error, Location, Result};
use crate::failure::of_execution;
use crate::settings::Settings;
use crate::trace::HIDDEN;

/// One check, ready to run.
pub(crate) struct Check {
    text: String,
    at: Option<Location>,
    expression: Arc<dyn PhysicalExpr>,
}

/// The checks of a transform over its result's schema; `further` are those that its way of writing needs, each as the setting
/// that asks for it.
pub(crate) fn compile(
    state: &SessionState,
    schema: &DFSchema,
    settings: &Settings,
    asserts: &[(String, Expr)],
    further: Vec<(String, Option<Location>, Expr)>,
) -> Result<Vec<Check>> {
    let not_null = settings.not_null.iter().map(|column| {
        let expression = col(column.value.to_lowercase()).is_not_null();
        (format!("@not_null: {}", column.value), column.at.clone(), expression)
    });
    // As in a CHECK constraint of SQL, a condition that is NULL holds.
    let asserts = asserts.iter().zip(&settings.assert).map(|((text, expression), written)| {
        (format!("@assert: {text}"), written.at.clone(), expression.clone().is_not_false())
    });
    not_null
        .chain(asserts)
        .chain(further)
        .map(|(text, at, expression)| {
            let expression = state.create_physical_expr(expression, schema).map_err(of_execution)?;
            Ok(Check { text, at, expression })
        })
        .collect()
}

impl Check {
    /// The check as it stands in the header.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// # Errors
    /// [`Code::CheckFailed`] with the values of the first row that breaks the check.
    pub(crate) fn verify(&self, batch: &RecordBatch) -> Result<()> {
        let outcome = self.expression.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
        let outcome = outcome.map_err(of_execution)?;
        let holds = outcome.as_boolean();
        let broken: Vec<usize> = (0..holds.len()).filter(|row| !holds.is_null(*row) && !holds.value(*row)).collect();
        let Some(&first) = broken.first() else { return Ok(()) };
        Err(Error::new(
            Code::CheckFailed,
            format!(
                "`{}` does not hold for at least {} {}, for example {}",
                self.text,
                broken.len(),
                if broken.len() == 1 { "row" } else { "rows" },
                row(batch, first)
            ),
        )
        .maybe_at(self.at.clone())
        .help("mend the data, the query or the check; the table is as it was"))
    }
}

/// The first values of a row, as people read them.
fn row(batch: &RecordBatch, row: usize) -> String {
    let schema = batch.schema();
    let own = schema.fields().iter().zip(batch.columns()).filter(|(field, _)| !field.name().starts_with(HIDDEN));
    let values = own.take(6).map(|(field, column)| {
        let value = if column.is_null(row) {
            "NULL".to_owned()
        } else {
            array_value_to_string(column, row).unwrap_or_default().chars().take(40).collect()
        };
        format!("{} = {value}", field.name())
    });
    format!("({})", values.collect::<Vec<_>>().join(", "))
}
