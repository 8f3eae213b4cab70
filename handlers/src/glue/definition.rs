//! unglue's structures to Glue's: a definition is laid over the one that is there, so that all that unglue does not know of
//! survives.

use std::collections::HashMap;

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::{self, PartitionInput, StorageDescriptor, TableInput};
use transform::{Code, Column, Error, Format, HiveType, Partition, Result, Table};

use super::convert::{self, EXTERNAL, is_implied, is_same_location};
use super::format;

/// Bytes of a column's comment that Glue keeps.
const COMMENT_BYTES: usize = 255;
/// Bytes of a table's description that Glue keeps.
const DESCRIPTION_BYTES: usize = 2048;

/// The definition as far as Glue can keep it: a long text for people is cut, since it is no reason to fail a run.
pub(super) fn fitted(table: &Table) -> Table {
    let comment = |column: &Column| Column {
        comment: column.comment.as_deref().map(single_line).and_then(|text| cut(&text, COMMENT_BYTES)),
        ..column.clone()
    };
    Table {
        columns: table.columns.iter().map(comment).collect(),
        partition_keys: table.partition_keys.iter().map(comment).collect(),
        description: table.description.as_deref().and_then(|text| cut(text, DESCRIPTION_BYTES)),
        parameters: table
            .parameters
            .iter()
            .filter(|(key, _)| !is_implied(key, &table.format))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        ..table.clone()
    }
}

/// Glue refuses comments with line breaks and other control characters.
fn single_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
}

/// The text, or as much of it as fits with `…`; `None` for an empty one, which Glue does not tell from none.
fn cut(text: &str, bytes: usize) -> Option<String> {
    const CUT: &str = "…";
    if text.len() <= bytes {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let end = text.floor_char_boundary(bytes - CUT.len());
    Some(format!("{}{CUT}", &text[..end]))
}

/// The definition for Glue, over the `present` one where there is one.
///
/// # Errors
/// [`Code::Internal`] if the SDK refuses to build it.
pub(super) fn table_input(wanted: &Table, present: Option<&types::Table>) -> Result<TableInput> {
    let known = present.and_then(|present| present.storage_descriptor.clone());
    let known_parameters = present.and_then(|present| present.parameters.as_ref());
    let known_format = known.as_ref().and_then(|descriptor| format::read(descriptor, known_parameters).ok());
    let keeps_format = known_format.as_ref() == Some(&wanted.format);

    let mut descriptor = known.unwrap_or_else(|| StorageDescriptor::builder().build());
    descriptor.columns = Some(columns(&wanted.columns, descriptor.columns.as_deref())?);
    if !is_same_location(descriptor.location.as_deref(), &wanted.location) {
        descriptor.location = Some(wanted.location.clone());
    }
    if !keeps_format {
        format::write(&mut descriptor, &wanted.format, &wanted.columns);
    }
    // Athena looks for it in either place; what somebody wrote into one of them stays.
    let known_literal = known_parameters.and_then(|parameters| parameters.get(format::AVRO_SCHEMA));
    if let (Some(literal), Some(serde)) = (wanted.parameters.get(format::AVRO_SCHEMA), &mut descriptor.serde_info)
        && known_literal != Some(literal)
    {
        serde.parameters.get_or_insert_default().insert(format::AVRO_SCHEMA.to_owned(), literal.clone());
    }

    let mut parameters: HashMap<String, String> = wanted.parameters.clone().into_iter().collect();
    // Where the encoding stays, its parameters stay where they are, which may be in the descriptor.
    let implied = known_parameters.into_iter().flatten().filter(|(key, _)| is_implied(key, &wanted.format));
    parameters.extend(
        implied
            .filter(|(key, _)| keeps_format || *key != format::HEADER_LINES)
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    if let (false, Format::Csv(options)) = (keeps_format, &wanted.format) {
        parameters.insert(format::HEADER_LINES.to_owned(), options.header_lines.to_string());
    }
    if present.is_none() {
        parameters.insert(EXTERNAL.to_owned(), "TRUE".to_owned());
    }

    let known_keys = present.and_then(|present| present.partition_keys.as_deref());
    let input = TableInput::builder()
        .name(&wanted.name.table)
        .set_description(wanted.description.clone())
        .storage_descriptor(descriptor)
        .set_partition_keys(Some(columns(&wanted.partition_keys, known_keys)?))
        .set_parameters(Some(parameters));
    let input = match present {
        None => input.table_type("EXTERNAL_TABLE"),
        Some(present) => input
            .set_table_type(present.table_type.clone())
            .set_owner(present.owner.clone())
            .retention(present.retention)
            .set_last_access_time(present.last_access_time)
            .set_last_analyzed_time(present.last_analyzed_time)
            .set_view_original_text(present.view_original_text.clone())
            .set_view_expanded_text(present.view_expanded_text.clone()),
    };
    input.build().map_err(incomplete)
}

/// Columns for Glue. One that is there already keeps its parameters, its spelling, and what says the same in other words.
fn columns(wanted: &[Column], known: Option<&[types::Column]>) -> Result<Vec<types::Column>> {
    let glue = |column: &Column| {
        let known = known.into_iter().flatten().find(|known| known.name.to_lowercase() == column.name);
        let mut glue = match known {
            Some(known) => known.clone(),
            None => types::Column::builder().name(&column.name).build().map_err(incomplete)?,
        };
        let written: Option<HiveType> = glue.r#type.as_deref().and_then(|text| text.parse().ok());
        if written.as_ref() != Some(&column.hive_type) {
            glue.r#type = Some(column.hive_type.to_string());
        }
        if glue.comment.clone().filter(|text| !text.is_empty()) != column.comment {
            glue.comment.clone_from(&column.comment);
        }
        Ok(glue)
    };
    wanted.iter().map(glue).collect()
}

/// A partition for Glue: encoded and made of columns as the table is now, since it is unglue that writes its objects.
pub(super) fn partition_input(
    wanted: &Partition,
    table: &types::Table,
    present: Option<&types::Partition>,
) -> PartitionInput {
    let known = present.and_then(|present| present.storage_descriptor.as_ref());
    let mut descriptor = table.storage_descriptor.clone().unwrap_or_else(|| StorageDescriptor::builder().build());
    let written = known.and_then(|known| known.location.clone());
    let is_same = is_same_location(written.as_deref(), &wanted.location);
    descriptor.location = if is_same { written } else { Some(wanted.location.clone()) };
    // A crawler counts rows and bytes there: those of the table are not those of a partition.
    descriptor.parameters = known.and_then(|known| known.parameters.clone());
    let values = present.and_then(|present| present.values.clone());
    PartitionInput::builder()
        .set_values(Some(values.unwrap_or_else(|| convert::glue_values(&wanted.values))))
        .storage_descriptor(descriptor)
        .set_parameters(Some(wanted.parameters.clone().into_iter().collect()))
        .set_last_access_time(present.and_then(|present| present.last_access_time))
        .set_last_analyzed_time(present.and_then(|present| present.last_analyzed_time))
        .build()
}

/// A partition with its table's columns. How its objects are encoded is left as it is: others may have put them there.
pub(super) fn inheriting(present: &types::Partition, table: &types::Table) -> PartitionInput {
    let of_table = table.storage_descriptor.as_ref();
    let mut descriptor = present.storage_descriptor.clone().unwrap_or_else(|| StorageDescriptor::builder().build());
    descriptor.columns = of_table.and_then(|descriptor| descriptor.columns.clone());
    // Avro's readers take the columns from there.
    let literal =
        of_table.and_then(|descriptor| descriptor.serde_info.as_ref()?.parameters.as_ref()?.get(format::AVRO_SCHEMA));
    if let (Some(literal), Some(serde)) = (literal, &mut descriptor.serde_info) {
        serde.parameters.get_or_insert_default().insert(format::AVRO_SCHEMA.to_owned(), literal.clone());
    }
    PartitionInput::builder()
        .set_values(present.values.clone())
        .storage_descriptor(descriptor)
        .set_parameters(present.parameters.clone())
        .set_last_access_time(present.last_access_time)
        .set_last_analyzed_time(present.last_analyzed_time)
        .build()
}

/// The SDK found a structure incomplete: ours are not.
pub(super) fn incomplete(error: BuildError) -> Error {
    Error::new(Code::Internal, "a request to the Glue Data Catalog could not be built").because(error)
}

#[cfg(test)]
mod tests;
