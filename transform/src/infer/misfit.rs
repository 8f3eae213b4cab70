//! The values of a sample that do not fit a column, for people to see.

use super::csv::{Rows, rows};
use super::fit::values_fit;
use super::json::values;
use super::lattice::Shape;
use super::text::shape_of_text;
use crate::format::Format;
use crate::hive::HiveType;
use crate::source::Keys;
use crate::table::Table;

/// Characters of a value that are shown.
const SHOWN: usize = 80;

/// Values of a sample that a column cannot hold.
pub(crate) struct Misfit {
    /// The first of them.
    pub(crate) first: String,
    /// Whether they are most of all.
    pub(crate) most: bool,
}

/// The values in the sample of a text that a column of this type cannot hold, if there are any.
pub(crate) fn misfit(
    sample: &[u8],
    complete: bool,
    table: &Table,
    column: &str,
    declared: &HiveType,
) -> Option<Misfit> {
    let (mut first, mut misfits, mut all) = (None, 0, 0);
    let mut look = |value: &str, shape: &Shape| {
        if *shape != Shape::Undecided {
            all += 1;
        }
        if !values_fit(shape, declared) {
            misfits += 1;
            first.get_or_insert_with(|| value.chars().take(SHOWN).collect());
        }
    };
    match &table.format {
        Format::Csv(options) => {
            let Rows { names, records, .. } = rows(sample, complete, options, &table.columns).ok()??;
            let index = names.iter().position(|name| name == column)?;
            let fields = records.iter().filter(|record| record.len() == names.len());
            let fields = fields.filter_map(|record| std::str::from_utf8(record.get(index)?).ok());
            fields.for_each(|field| look(field, &shape_of_text(field)));
        }
        Format::Json(_) => values(sample, complete, &Keys::of(table), column, look),
        _ => return None,
    }
    Some(Misfit { first: first?, most: misfits * 2 > all })
}
