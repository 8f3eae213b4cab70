//! What the catalog should say about a target: pure, from what it says now and what the query gives.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::projection;
use crate::settings::{ChangedInput, WriteMode};
use crate::table::{Column, Table};
use crate::transform::Transform;

/// Parameter of a table that names the transform it belongs to.
pub(crate) const OWNER: &str = "unglue.transform";

/// The table that a run of the transform registers.
///
/// An existing table keeps its location, its parameters, and comments that people wrote where the SQL has none. For
/// `append` its columns stay and new ones are added at the end; for `overwrite` they become those of the query.
///
/// # Errors
/// [`Code::ForeignTable`] if the table is not this transform's; [`Code::PartitionProjection`] if readers would not see what
/// the transform replaces; [`Code::SchemaChanged`] if rows that stay would not fit.
pub(crate) fn register(
    existing: Option<Table>,
    transform: &Transform,
    columns: &[Column],
    partition_keys: &[Column],
    write: WriteMode,
    location: String,
) -> Result<Table> {
    let target = &transform.target;
    let Some(mut table) = existing else {
        return Ok(Table {
            name: target.clone(),
            columns: columns.to_vec(),
            partition_keys: partition_keys.to_vec(),
            format: Format::Parquet,
            location,
            description: transform.settings.description.clone(),
            parameters: parameters(transform),
            version: None,
        });
    };
    if table.parameters.get(OWNER) != Some(&target.to_string()) {
        return Err(Error::new(Code::ForeignTable, format!("the table `{target}` exists and is not this transform's"))
            .help("rename the SQL file"));
    }
    // Corrections replace partitions, too.
    if write != WriteMode::Append || transform.settings.changed_input.value == ChangedInput::Replace {
        not_projected(&table, transform)?;
    }
    if write != WriteMode::Overwrite {
        unchanged(&table.partition_keys, partition_keys, target)?;
        compatible(&table.columns, columns, target)?;
    }
    let kept: Vec<Column> = if write == WriteMode::Overwrite { Vec::new() } else { table.columns.clone() };
    table.columns = merge(&kept, &table.columns, columns);
    table.partition_keys = merge(&[], &table.partition_keys, partition_keys);
    table.description = transform.settings.description.clone().or(table.description);
    table.parameters.extend(parameters(transform));
    Ok(table)
}

/// Refuses a table whose partitions readers do not look up in the catalog: they would not see that one is replaced.
///
/// # Errors
/// [`Code::PartitionProjection`].
pub(crate) fn not_projected(table: &Table, transform: &Transform) -> Result<()> {
    if !projection::is_on(table) {
        return Ok(());
    }
    let settings = &transform.settings;
    let written = settings.write.as_ref().and_then(|write| write.at.clone());
    Err(Error::new(
        Code::PartitionProjection,
        format!("`{}` has partition projection, so that Athena would not see partitions that are replaced", table.name),
    )
    .maybe_at(settings.changed_input.at.clone())
    .maybe_at(written)
    .help(
        "remove the table's parameter `projection.enabled`, or use `@write: append` with `@changed_input: append` or `reject`",
    ))
}

/// `first`, then the new columns that are not among them; comments come from the SQL, else from `known`.
fn merge(first: &[Column], known: &[Column], new: &[Column]) -> Vec<Column> {
    let find = |columns: &[Column], name: &str| columns.iter().find(|column| column.name == name).cloned();
    let added = new.iter().filter(|column| find(first, &column.name).is_none());
    first
        .iter()
        .chain(added)
        .map(|column| {
            let comment = find(new, &column.name).and_then(|column| column.comment);
            let comment = comment.or_else(|| find(known, &column.name).and_then(|column| column.comment));
            Column { comment, ..column.clone() }
        })
        .collect()
}

fn parameters(transform: &Transform) -> BTreeMap<String, String> {
    let settings = &transform.settings;
    let mut parameters = BTreeMap::from([
        ("classification".to_owned(), "parquet".to_owned()),
        (OWNER.to_owned(), transform.target.to_string()),
    ]);
    if let Some(owner) = &settings.owner {
        parameters.insert("unglue.owner".to_owned(), owner.clone());
    }
    if !settings.tags.is_empty() {
        parameters.insert("unglue.tags".to_owned(), settings.tags.join(","));
    }
    parameters
}

fn unchanged(old: &[Column], new: &[Column], target: &crate::TableName) -> Result<()> {
    let describe = |columns: &[Column]| {
        columns.iter().map(|column| format!("{} {}", column.name, column.hive_type)).collect::<Vec<_>>().join(", ")
    };
    if describe(old) == describe(new) {
        return Ok(());
    }
    Err(Error::new(
        Code::SchemaChanged,
        format!("`{target}` is partitioned by ({}), the query gives ({})", describe(old), describe(new)),
    )
    .help("rebuild the table with `unglue run --full-refresh`, or give the new definition another name"))
}

fn compatible(old: &[Column], new: &[Column], target: &crate::TableName) -> Result<()> {
    for column in old {
        let Some(now) = new.iter().find(|now| now.name == column.name) else {
            return Err(Error::new(
                Code::SchemaChanged,
                format!("`{target}` has a column `{}`, the query does not", column.name),
            )
            .help("keep the column, or rebuild the table with `unglue run --full-refresh`"));
        };
        if now.hive_type != column.hive_type {
            return Err(Error::new(
                Code::SchemaChanged,
                format!(
                    "column `{}` of `{target}` is {}, the query gives {}",
                    column.name, column.hive_type, now.hive_type
                ),
            )
            .help(format!("CAST it to {}, or rebuild the table with `unglue run --full-refresh`", column.hive_type)));
        }
    }
    Ok(())
}
