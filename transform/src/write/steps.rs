//! The inner steps of the writer, for the benches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::execution::runtime_env::RuntimeEnv;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::columns::{Columns, Piece};
use super::encodings::{self, SAMPLE};
use super::scatter::{Buffer, Partitions};
use super::spool::Spool;
use super::unwritable;
use crate::error::Result;

/// Numbers the partitions of the rows of a batch by its last `keys` columns, and gathers the other columns by partition. Returns the
/// number of partitions.
///
/// # Errors
/// [`crate::Code::Internal`].
pub fn scatter(batch: &RecordBatch, keys: usize) -> Result<usize> {
    let columns = batch.num_columns() - keys;
    let fields = batch.schema().fields()[columns..].to_vec();
    let mut partitions = Partitions::new(Arc::new(Schema::new(fields)))?;
    let numbers = partitions.numbers(&batch.columns()[columns..], batch.num_rows())?;
    let mut buffer = Buffer::default();
    buffer.push(batch.clone(), &numbers);
    let (rows, ranges) = buffer.arranged(partitions.len());
    for index in 0..columns {
        std::hint::black_box(rows.column(index)?);
    }
    Ok(ranges.len())
}

/// Encodes a batch, cut into `files` row groups, as a run would: encodings by a sample, zstd(3). Returns the bytes of the pages.
///
/// # Errors
/// [`crate::Code::Internal`].
pub async fn encode(batch: RecordBatch, files: usize) -> Result<u64> {
    let schema = batch.schema();
    let zstd = Codec::ZSTD(ZstdLevel::try_new(3).map_err(unwritable)?);
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let sample: Vec<ArrayRef> =
        batch.columns().iter().map(|column| column.slice(0, SAMPLE.min(column.len()))).collect();
    let parquet = ArrowSchemaConverter::new().convert(&schema).map_err(unwritable)?;
    let properties = encodings::chosen(&properties, &parquet.root_schema_ptr(), false, &sample)?;
    let spool = Arc::new(Spool::new(usize::MAX, Arc::clone(&RuntimeEnv::default().disk_manager)));
    let rows = batch.num_rows();
    let mut buffer = Buffer::default();
    buffer.push(batch, &vec![0; rows]);
    let (ordered, _) = buffer.sorted();
    let each = rows.div_ceil(files.max(1));
    let pieces = (0..files).map(|file| Piece { file, rows: file * each..((file + 1) * each).min(rows), ends: true });
    let columns = Columns::new(&schema, properties, &spool)?;
    let (_, groups, _) = columns.encode(ordered, pieces.collect()).finish().await?;
    Ok(groups.iter().flat_map(|(_, chunks)| chunks).map(super::chunk::Chunk::bytes).sum())
}
