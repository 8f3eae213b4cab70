//! How the objects of a table differ from what the catalog declares, and what the table's policy makes of it.
//!
//! Nothing is ever taken away: columns are added at the end, types become wider, and what a column was called, or that somebody
//! wrote a comment, stays.

use super::columns::{self, ObjectSchema, Union, columns, schemas, union};
use super::literal;
use super::sample::{Content, Sample};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::hive::HiveType;
use crate::infer::{Misfit, Seen, misfit};
use crate::schema_change::{Other, POLICY, RESCUED, SchemaChange};
use crate::source::Keys;
use crate::table::{Column, Table};

/// Table parameter: columns that had no value yet, so that their type is a guess; separated by commas.
pub(super) const UNDECIDED: &str = "unglue.undecided";

/// Table parameter: names that have capitals where they appeared first, as they were written there; separated by commas.
pub(super) const SPELLED: &str = "unglue.spelled";

/// Table parameter of tables that were made from their objects.
pub(super) const MADE_BY: &str = "unglue.catalog";

/// How objects differ from their table in one column.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ColumnChange {
    /// The column.
    pub column: String,
    /// The difference.
    pub kind: ColumnChangeKind,
    /// Its type in the catalog before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<HiveType>,
    /// The type that the objects show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<HiveType>,
    /// A value that shows it; of [`ColumnChangeKind::Recased`] the name as the object writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// URL of the object that shows it.
    pub object: String,
    /// Whether the catalog changes for it.
    pub applied: bool,
}

/// What a [`ColumnChange`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnChangeKind {
    /// The table does not have the column.
    Added,
    /// The object does not have the column; it is read as NULL.
    Missing,
    /// The object has its columns in another order.
    Reordered,
    /// The object writes the column's name in another letter case than those before; it is read all the same.
    Recased,
    /// The object's values need a wider type.
    Widened,
    /// The object declares a narrower type, which the table's holds.
    Narrowed,
    /// The object's values cannot be read as the table declares.
    Incompatible,
    /// The column had no value before, and has its type from the first ones.
    Decided,
}

impl ColumnChangeKind {
    /// The word for it in messages of every kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Missing => "missing",
            Self::Reordered => "reordered",
            Self::Recased => "recased",
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
            Self::Incompatible => "incompatible",
            Self::Decided => "decided",
        }
    }
}

/// Whether an object is set aside for a difference.
fn is_refused(policy: SchemaChange, change: &ColumnChange) -> bool {
    use ColumnChangeKind as Kind;
    !change.applied
        && match policy.other {
            Other::Ignore | Other::Rescue => false,
            Other::RefuseMisfits => change.kind == Kind::Incompatible,
            Other::Refuse => matches!(change.kind, Kind::Added | Kind::Missing | Kind::Widened | Kind::Incompatible),
        }
}

/// What becomes of a table.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// All differences, each with the first object that shows it.
    pub(super) changes: Vec<ColumnChange>,
    /// The columns at the end that are new.
    pub(super) added: Vec<Column>,
    /// The definition to put, if it changes.
    pub(super) definition: Option<Table>,
}

/// What objects that arrived make of a table of the catalog. What does not fit it, and may not change it, is a finding.
///
/// # Errors
/// [`Code::UnsupportedTable`] if its policy cannot be understood.
pub(super) fn of_known_table(table: &Table, samples: &[Sample], findings: &mut Vec<Error>) -> Result<Drift> {
    let policy = SchemaChange::of(table)?;
    let mut schemas = schemas(&table.format, &table.columns, &Keys::of(table), samples, findings);
    schemas.retain(|schema| match names_nothing(table, schema) {
        Some(error) => {
            findings.push(error.in_object(&schema.sample.url, None));
            false
        }
        None => true,
    });
    let mut drift = Drift::default();
    let mut wanted = table.clone();
    for schema in &schemas {
        in_order(table, schema, &mut drift.changes);
        recased(table, schema, &mut drift.changes);
    }
    let mut undecided = remembered(table, UNDECIDED);
    let spelled = columns::spelled(&schemas);
    for column in &mut wanted.columns {
        compare(table, column, &schemas, policy, &mut undecided, &mut drift.changes);
    }
    let mut new = union(schemas, findings);
    new.retain(|found| found.name != RESCUED && !table.columns.iter().any(|column| column.name == found.name));
    add(table, new, policy, &mut undecided, &mut drift, findings);
    if policy.other == Other::Rescue && !wanted.columns.iter().any(|column| column.name == RESCUED) {
        let comment = Some("what fits no other column, as JSON".to_owned());
        drift.added.push(Column { name: RESCUED.to_owned(), hive_type: HiveType::String, comment });
    }
    wanted.columns.extend(drift.added.iter().cloned());
    remember(&mut wanted, UNDECIDED, &undecided);
    let is_added = |name: &String| drift.added.iter().any(|column| column.name == name.to_lowercase());
    let spelled = remembered(table, SPELLED).into_iter().chain(spelled.into_iter().filter(is_added));
    remember(&mut wanted, SPELLED, &spelled.collect::<Vec<_>>());
    findings
        .extend(drift.changes.iter().filter(|change| is_refused(policy, change)).map(|change| refusal(table, change)));
    if wanted.columns != table.columns {
        literal::remember(&mut wanted, samples);
    }
    if wanted != *table {
        drift.definition = Some(wanted);
    }
    Ok(drift)
}

/// Keeps names of columns in a table's parameters.
pub(super) fn remember(table: &mut Table, parameter: &str, names: &[String]) {
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.contains(',')).collect();
    if names.is_empty() {
        table.parameters.remove(parameter);
    } else {
        table.parameters.insert(parameter.to_owned(), names.join(","));
    }
}

fn remembered(table: &Table, parameter: &str) -> Vec<String> {
    let written = table.parameters.get(parameter).map(String::as_str).unwrap_or_default();
    written.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Why an object is none of the table's: none of its columns is.
fn names_nothing(table: &Table, schema: &ObjectSchema<'_>) -> Option<Error> {
    // Keys of JSON may all be missing, and without a header the fields have the table's names.
    let may_be = match &table.format {
        Format::Json(_) => true,
        Format::Csv(options) => !options.has_names(),
        _ => false,
    };
    let knows = |(name, _): &(String, Seen)| table.columns.iter().any(|column| column.name == *name);
    if may_be || schema.columns.is_empty() || schema.columns.iter().any(knows) {
        return None;
    }
    // A header without any known column is more likely a row of data than a set of new columns, and another object without one
    // belongs to another table.
    let (message, help) = match table.format {
        Format::Csv(_) => {
            ("the header names no column of the table", "the first line of the object must name the columns")
        }
        _ => ("the object has none of the table's columns", "move it to the table that it belongs to"),
    };
    Some(Error::new(Code::ColumnMismatch, message).help(help))
}

/// Columns that an object lacks or has in another order.
fn in_order(table: &Table, schema: &ObjectSchema<'_>, changes: &mut Vec<ColumnChange>) {
    let has_order = match &table.format {
        Format::Json(_) => false,
        Format::Csv(options) => options.has_names(),
        _ => true,
    };
    if !has_order || schema.columns.is_empty() {
        return;
    }
    let place = |column: &Column| schema.columns.iter().position(|(name, _)| *name == column.name);
    let mut furthest = None;
    for column in table.columns.iter().filter(|column| column.name != RESCUED) {
        match place(column) {
            None => tell(column, ColumnChangeKind::Missing, None, schema, changes),
            place if place < furthest => tell(column, ColumnChangeKind::Reordered, None, schema, changes),
            place => furthest = place,
        }
    }
}

/// Columns whose names an object writes in another letter case than the objects that the table was made from.
fn recased(table: &Table, schema: &ObjectSchema<'_>, changes: &mut Vec<ColumnChange>) {
    if !table.parameters.contains_key(MADE_BY) {
        return;
    }
    let spelled = remembered(table, SPELLED);
    for column in &table.columns {
        let name = &column.name;
        // A key that a mapping names, or a field without a header, says nothing of it.
        let Some(now) = schema.spelled.get(name) else { continue };
        let before = spelled.iter().find(|spelled| spelled.to_lowercase() == *name).unwrap_or(name);
        if now != before {
            tell(column, ColumnChangeKind::Recased, Some(now.clone()), schema, changes);
        }
    }
}

/// Adds a difference that changes nothing, once for each column.
fn tell(
    column: &Column,
    kind: ColumnChangeKind,
    sample: Option<String>,
    schema: &ObjectSchema<'_>,
    changes: &mut Vec<ColumnChange>,
) {
    if changes.iter().any(|change| change.column == column.name && change.kind == kind) {
        return;
    }
    changes.push(ColumnChange {
        column: column.name.clone(),
        kind,
        old: Some(column.hive_type.clone()),
        new: None,
        sample,
        object: schema.sample.url.clone(),
        applied: false,
    });
}

/// How objects differ from a column, whose type may become wider.
fn compare(
    table: &Table,
    column: &mut Column,
    schemas: &[ObjectSchema<'_>],
    policy: SchemaChange,
    undecided: &mut Vec<String>,
    changes: &mut Vec<ColumnChange>,
) {
    let old = column.hive_type.clone();
    let seen = || {
        schemas.iter().filter_map(|schema| {
            let (_, seen) = schema.columns.iter().find(|(name, _)| *name == column.name)?;
            Some((schema.sample, seen))
        })
    };
    let change = |sample: &Sample, kind, new, value, applied| ColumnChange {
        column: column.name.clone(),
        kind,
        old: Some(old.clone()),
        new,
        sample: value,
        object: sample.url.clone(),
        applied,
    };
    if undecided.contains(&column.name)
        && let Some((sample, _)) = seen().find(|(_, seen)| !seen.is_undecided())
    {
        undecided.retain(|name| *name != column.name);
        let all = seen().map(|(_, seen)| seen.clone()).reduce(|a, b| a.join(&b).unwrap_or(a));
        // Whoever has changed the type by hand knows better.
        if let (HiveType::String, Some(Ok(decided))) = (&old, all.map(|all| all.hive_type()))
            && policy.widen
            && decided != old
        {
            changes.push(change(sample, ColumnChangeKind::Decided, Some(decided.clone()), None, true));
            column.hive_type = decided;
            return;
        }
    }
    let mut wider = old.clone();
    let mut told = Vec::new();
    for (sample, seen) in seen() {
        let new = seen.hive_type().ok();
        if seen.fits(&old) {
            if seen.is_narrower(&old) && !told.contains(&ColumnChangeKind::Narrowed) {
                told.push(ColumnChangeKind::Narrowed);
                changes.push(change(sample, ColumnChangeKind::Narrowed, new, None, false));
            }
            continue;
        }
        let found = witness(table, sample, &column.name, &old);
        let value = || found.as_ref().map(|found| found.first.clone());
        match seen.wider(&wider).filter(|_| policy.widen) {
            Some(all) => {
                if !told.contains(&ColumnChangeKind::Widened) {
                    told.push(ColumnChangeKind::Widened);
                    changes.push(change(sample, ColumnChangeKind::Widened, Some(all.clone()), value(), true));
                }
                wider = all;
            }
            // A few odd values are records that cannot be read, which is for those to decide who read them.
            None if found.as_ref().is_some_and(|found| !found.most) => {}
            None if !told.contains(&ColumnChangeKind::Incompatible) => {
                told.push(ColumnChangeKind::Incompatible);
                changes.push(change(sample, ColumnChangeKind::Incompatible, new, value(), false));
            }
            None => {}
        }
    }
    // What was told first may have become wider still.
    let last = changes.iter_mut().rev().find(|change| change.column == column.name && change.applied);
    if let Some(told) = last
        && wider != old
    {
        told.new = Some(wider.clone());
        column.hive_type = wider;
    }
}

/// Columns that the table lacks.
fn add(
    table: &Table,
    new: Vec<Union<'_>>,
    policy: SchemaChange,
    undecided: &mut Vec<String>,
    drift: &mut Drift,
    findings: &mut Vec<Error>,
) {
    let objects: Vec<(String, String, bool)> =
        new.iter().map(|new| (new.name.clone(), new.sample.url.clone(), new.seen.is_undecided())).collect();
    for column in columns(new, &table.partition_keys, findings) {
        let Some((_, object, is_undecided)) = objects.iter().find(|(name, ..)| *name == column.name) else { continue };
        drift.changes.push(ColumnChange {
            column: column.name.clone(),
            kind: ColumnChangeKind::Added,
            old: None,
            new: Some(column.hive_type.clone()),
            sample: None,
            object: object.clone(),
            applied: policy.add,
        });
        if policy.add {
            if *is_undecided {
                undecided.push(column.name.clone());
            }
            drift.added.push(column);
        }
    }
}

/// The values of a text that a column cannot hold.
fn witness(table: &Table, sample: &Sample, column: &str, declared: &HiveType) -> Option<Misfit> {
    let Content::Text { text, complete, .. } = &sample.content else { return None };
    misfit(text, *complete, table, column, declared)
}

fn refusal(table: &Table, change: &ColumnChange) -> Error {
    let ColumnChange { column, kind, old, new, sample, object, .. } = change;
    let declared = old.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = match kind {
        ColumnChangeKind::Added => format!("the column `{column}` is not one of the table's"),
        ColumnChangeKind::Missing => format!("the object lacks the column `{column}`"),
        _ => match (new, sample) {
            (Some(new), Some(value)) => {
                format!("the column `{column}` looks like {new} (`{value}`), but the table declares {declared}")
            }
            (Some(new), None) => format!("the column `{column}` looks like {new}, but the table declares {declared}"),
            (None, _) => format!("the column `{column}` is of a type that no table has, the table declares {declared}"),
        },
    };
    let help = match table.parameters.get(POLICY) {
        Some(policy) => format!("mend the object, or change the table: its `{POLICY}` is `{policy}`"),
        None => "mend the object, or change the column's type in the catalog".to_owned(),
    };
    Error::new(Code::ColumnMismatch, message).help(help).in_object(object, None)
}
