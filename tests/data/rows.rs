//! Rows read back from Parquet, through the locations that the catalog prints.

use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::project::walk;

/// The content of a table: its rows as text, `column|column|partition value`, NULL as `NULL`.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<String>,
    /// Files that were read.
    pub(crate) files: usize,
}

impl Rows {
    pub(crate) fn sorted(mut self) -> Vec<String> {
        self.rows.sort();
        self.rows
    }

    /// Adds the rows of one file: the columns in the order of the catalog, then the values of its partition.
    pub(crate) fn add(&mut self, file: Bytes, columns: &[String], partition: &[String]) {
        self.files += 1;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a whole Parquet file").build().unwrap();
        for batch in reader {
            self.add_batch(&batch.expect("a readable Parquet file"), columns, partition);
        }
    }

    fn add_batch(&mut self, batch: &RecordBatch, columns: &[String], partition: &[String]) {
        let options = FormatOptions::new().with_null("NULL");
        let formatters: Vec<Option<ArrayFormatter<'_>>> = columns
            .iter()
            .map(|name| {
                let column = batch.column_by_name(name)?;
                Some(ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            })
            .collect();
        for row in 0..batch.num_rows() {
            let mut cells: Vec<String> = formatters
                .iter()
                .map(|formatter| formatter.as_ref().map_or_else(|| "NULL".to_owned(), |f| f.value(row).to_string()))
                .collect();
            cells.extend_from_slice(partition);
            self.rows.push(cells.join("|"));
        }
    }
}

/// One folder of a table, with the partition values of the files in it.
pub(crate) struct Folder {
    /// URL.
    pub(crate) location: String,
    pub(crate) partition: Vec<String>,
}

/// The columns of a table and its folders, as `catalog show --json` has them; `None` if it does not have the table.
pub(crate) fn folders(catalog: &Value, table: &str) -> Option<(Vec<String>, Vec<Folder>)> {
    let found = catalog.as_array().unwrap().iter().find(|entry| entry["name"] == table)?;
    let names = |columns: &Value| -> Vec<String> {
        columns.as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap().to_owned()).collect()
    };
    let location = |entry: &Value| entry["location"].as_str().unwrap().to_owned();
    let folders = if found["partition_keys"].as_array().unwrap().is_empty() {
        vec![Folder { location: location(found), partition: Vec::new() }]
    } else {
        let partitions = found["partitions"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or("NULL").to_owned();
        partitions
            .iter()
            .map(|partition| Folder {
                location: location(partition),
                partition: partition["values"].as_array().unwrap().iter().map(text).collect(),
            })
            .collect()
    };
    Some((names(&found["columns"]), folders))
}

/// The rows of a table on the local disk.
#[track_caller]
pub(crate) fn local_rows(catalog: &Value, table: &str) -> Rows {
    let mut rows = Rows::default();
    let Some((columns, folders)) = folders(catalog, table) else { return rows };
    for Folder { location, partition } in folders {
        let path = location.strip_prefix("file://").expect("a local location");
        if Path::new(path).is_dir() {
            walk(Path::new(path), &mut |file| rows.add(fs::read(file).unwrap().into(), &columns, &partition));
        }
    }
    rows
}
