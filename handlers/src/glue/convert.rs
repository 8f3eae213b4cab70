//! Glue's structures to unglue's: what a table or partition of the catalog means, or why it cannot be read.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use aws_sdk_glue::types;
use transform::{Code, Column, Error, Format, Partition, PartitionColumns, Result, Table, TableName};

use super::format;

/// The value of a partition key that stands for NULL.
const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";
/// The text `__HIVE_DEFAULT_PARTITION__` itself, coded as in the name of a partition's folder.
const CODED_NULL_VALUE: &str = "%5F_HIVE_DEFAULT_PARTITION__";

/// Parameter that marks a table whose objects are not the catalog's to delete; what Hive and Athena write.
pub(super) const EXTERNAL: &str = "EXTERNAL";

/// Types of tables whose objects are rows of the table and nothing else. Some tools write none.
const TABLE_TYPES: [&str; 3] = ["", "EXTERNAL_TABLE", "MANAGED_TABLE"];
/// Parameters that name a table format: its objects are not rows by themselves, some are deleted or replaced.
const FORMAT_PARAMETERS: [&str; 2] = ["table_type", "spark.sql.sources.provider"];
const TABLE_FORMATS: [&str; 4] = ["delta", "hudi", "iceberg", "paimon"];

/// A table of the catalog. Names are lower-case, locations end in `/`.
///
/// # Errors
/// [`Code::UnsupportedTable`] with the property that unglue cannot deal with.
pub(super) fn table(name: &TableName, glue: &types::Table) -> Result<Table> {
    let unsupported = |why: String| unsupported(name, &why);
    readable(glue).map_err(unsupported)?;
    let Some(descriptor) = &glue.storage_descriptor else {
        return Err(unsupported("its definition has no `StorageDescriptor`".to_owned()));
    };
    let format = format::read(descriptor, glue.parameters.as_ref()).map_err(unsupported)?;
    let location = location(descriptor.location.as_deref()).map_err(unsupported)?;
    let columns = |columns: &Option<Vec<types::Column>>| -> Result<Vec<Column>> {
        columns.iter().flatten().map(|glue| column(name, glue)).collect()
    };
    Ok(Table {
        name: name.clone(),
        columns: columns(&descriptor.columns)?,
        partition_keys: columns(&glue.partition_keys)?,
        parameters: parameters(glue.parameters.as_ref(), |key| !is_implied(key, &format)),
        format,
        location,
        description: glue.description.clone().filter(|text| !text.is_empty()),
        version: glue.version_id.clone(),
    })
}

/// Whether a parameter says what other parts of a [`Table`] say: it is written with them and not shown.
pub(super) fn is_implied(key: &str, format: &Format) -> bool {
    key == EXTERNAL || (key == format::HEADER_LINES && matches!(format, Format::Csv(_)))
}

/// Whether the table is made of objects with rows, going by all but its encoding.
fn readable(glue: &types::Table) -> Result<(), String> {
    if let Some(target) = &glue.target_table {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let (database, table) = (part(&target.database_name), part(&target.name));
        return Err(format!("it is a link (`TargetTable`) to `{database}.{table}`"));
    }
    let table_type = glue.table_type.as_deref().unwrap_or_default();
    if !TABLE_TYPES.contains(&table_type) {
        return Err(format!("its `TableType` is `{table_type}`"));
    }
    for key in FORMAT_PARAMETERS {
        if let Some(value) = glue.parameters.as_ref().and_then(|parameters| parameters.get(key))
            && TABLE_FORMATS.iter().any(|format| value.eq_ignore_ascii_case(format))
        {
            return Err(format!("its parameter `{key}` is `{value}`"));
        }
    }
    Ok(())
}

fn unsupported(name: &TableName, why: &str) -> Error {
    Error::new(Code::UnsupportedTable, format!("the table `{name}` cannot be read: {why}"))
        .help("correct its definition in the Glue Data Catalog, or read another table; CSV, JSON, Parquet, Avro and ORC can be read")
}

/// A location as unglue has it: with `/` at the end, and `s3://` for Hadoop's other names of it.
pub(super) fn location(text: Option<&str>) -> Result<String, String> {
    let text = text.map(str::trim).unwrap_or_default();
    // Spark's stand-in for a location that only its own parameters know.
    if text.is_empty() || text.ends_with("-__PLACEHOLDER__") {
        return Err("it has no `Location`".to_owned());
    }
    let url = ["s3a://", "s3n://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let url = url.map_or_else(|| text.to_owned(), |rest| format!("s3://{rest}"));
    Ok(if url.ends_with('/') { url } else { format!("{url}/") })
}

/// Whether a location is written as one that means the same, so that it need not be changed.
pub(super) fn is_same_location(written: Option<&str>, wanted: &str) -> bool {
    location(written).is_ok_and(|written| written == wanted)
}

fn column(table: &TableName, glue: &types::Column) -> Result<Column> {
    let text = glue.r#type.as_deref().unwrap_or_default();
    let hive_type = text.parse().map_err(|error: Error| {
        unsupported(table, &format!("its column `{}` has the type `{text}`", glue.name)).because(error)
    })?;
    Ok(Column {
        name: glue.name.to_lowercase(),
        hive_type,
        comment: glue.comment.clone().filter(|text| !text.is_empty()),
    })
}

fn parameters(glue: Option<&HashMap<String, String>>, is_shown: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let all = glue.into_iter().flatten();
    all.filter(|(key, _)| is_shown(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A partition of a table.
///
/// # Errors
/// [`Code::UnsupportedTable`] if it has no location.
pub(super) fn partition(table: &TableName, glue: &types::Partition) -> Result<Partition> {
    let values = values(glue);
    let written = glue.storage_descriptor.as_ref().and_then(|descriptor| descriptor.location.as_deref());
    let location = location(written)
        .map_err(|why| unsupported(table, &format!("of its partition {}: {why}", describe(&values))))?;
    Ok(Partition { values, location, parameters: parameters(glue.parameters.as_ref(), |_| true) })
}

/// A partition's own columns, beside those of its table: readers such as Athena go by them in its objects.
pub(super) fn own_columns(table: &Table, partition: &types::Partition) -> PartitionColumns {
    let columns = partition.storage_descriptor.as_ref().and_then(|descriptor| descriptor.columns.as_deref());
    let columns = columns.unwrap_or_default();
    let is_so_far = columns.iter().zip(&table.columns).all(|(glue, wanted)| {
        column(&table.name, glue).is_ok_and(|own| own.name == wanted.name && own.hive_type == wanted.hive_type)
    });
    match columns.len().cmp(&table.columns.len()) {
        Ordering::Equal if is_so_far => PartitionColumns::Same,
        Ordering::Less if is_so_far => PartitionColumns::Fewer,
        _ => PartitionColumns::Other,
    }
}

/// The values of a partition. Hive knows no empty string in a key.
pub(super) fn values(glue: &types::Partition) -> Vec<Option<String>> {
    let decode = |value: &String| match value.as_str() {
        "" | NULL_VALUE => None,
        CODED_NULL_VALUE => Some(NULL_VALUE.to_owned()),
        text => Some(text.to_owned()),
    };
    glue.values.iter().flatten().map(decode).collect()
}

/// Values as Glue keeps them.
pub(super) fn glue_values(values: &[Option<String>]) -> Vec<String> {
    values.iter().map(|value| glue_value(value.as_deref()).to_owned()).collect()
}

/// A value as Glue keeps it.
pub(super) fn glue_value(value: Option<&str>) -> &str {
    match value {
        None | Some("") => NULL_VALUE,
        Some(NULL_VALUE) => CODED_NULL_VALUE,
        Some(text) => text,
    }
}

/// Values for people: `(2026-01-01, NULL)`.
pub(super) fn describe(values: &[Option<String>]) -> String {
    let texts: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
    format!("({})", texts.join(", "))
}

#[cfg(test)]
mod tests;
