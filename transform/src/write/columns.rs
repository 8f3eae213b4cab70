//! Encoding, one column at a time: the columns of a buffer are encoded side by side, each into all files that are open.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::chunk::{Chunk, Chunks, OpenChunk};
use super::compress::Compression;
use super::scatter::Rows;
use super::spool::Spool;
use super::unwritable;
use crate::code::Code;
use crate::error::{Error, Result};

/// What a buffer means for one file: rows that are added to its row group, which may end after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Number of the file.
    pub(super) file: usize,
    /// The rows of the buffer.
    pub(super) rows: Range<usize>,
    /// Whether the row group ends with them.
    pub(super) ends: bool,
}

/// The columns of a table, with what each has encoded of the row groups that are open.
pub(super) struct Columns {
    columns: Vec<Column>,
}

/// A top-level column.
struct Column {
    index: usize,
    field: FieldRef,
    factory: ArrowRowGroupWriterFactory,
    chunks: Arc<Chunks>,
    /// By file, its leaves.
    open: HashMap<usize, Vec<OpenChunk>>,
}

/// What a column has made of a buffer.
struct Encoded {
    column: Column,
    /// The leaves of the row groups that have ended, in their order.
    ended: Vec<Vec<Chunk>>,
    size: Size,
}

/// What row groups that are open take.
#[derive(Debug, Default)]
pub(super) struct Size {
    /// Bytes of memory.
    pub(super) memory: usize,
    /// Bytes that each file will have, roughly.
    pub(super) files: HashMap<usize, u64>,
}

impl Columns {
    pub(super) fn new(schema: &Schema, properties: WriterProperties, spool: &Arc<Spool>) -> Result<Self> {
        let (compression, properties) = Compression::of(properties);
        let (compression, properties) = (Arc::new(compression), Arc::new(properties));
        let columns = schema.fields().iter().enumerate().map(|(index, field)| {
            let own = Arc::new(Schema::new(vec![Arc::clone(field)]));
            let chunks = Arc::new(Chunks::new(spool, &compression));
            let factory = factory(own, &properties)?.with_page_store_factory(Arc::clone(&chunks) as _);
            Ok(Column { index, field: Arc::clone(field), factory, chunks, open: HashMap::new() })
        });
        Ok(Self { columns: columns.collect::<Result<_>>()? })
    }

    /// Begins to encode rows. The columns are away until [`Encoding::finish`] brings them back.
    pub(super) fn encode(self, rows: Rows, pieces: Vec<Piece>) -> Encoding {
        let mut columns = self.columns;
        // The longest first, so that nothing is left to wait for at the end.
        columns.sort_by_key(|column| std::cmp::Reverse(rows.weight(column.index)));
        let (rows, pieces) = (Arc::new(rows), Arc::new(pieces));
        let tasks = columns.into_iter().map(|column| {
            let (rows, pieces) = (Arc::clone(&rows), Arc::clone(&pieces));
            SpawnedTask::spawn(async move { column.encode(&rows, &pieces) })
        });
        Encoding { tasks: tasks.collect(), pieces: Arc::clone(&pieces) }
    }
}

/// Columns that are being encoded. Dropping it ends the work.
pub(super) struct Encoding {
    tasks: Vec<SpawnedTask<Result<Encoded>>>,
    pieces: Arc<Vec<Piece>>,
}

impl Encoding {
    /// Waits for the end. Returns the columns, the row groups that have ended with their files, in their order, and what
    /// those take that have not.
    pub(super) async fn finish(self) -> Result<(Columns, Vec<(usize, Vec<Chunk>)>, Size)> {
        let mut encoded = Vec::with_capacity(self.tasks.len());
        for task in self.tasks {
            let outcome = task.join().await.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
            encoded.push(outcome?);
        }
        encoded.sort_by_key(|encoded| encoded.column.index);
        let mut size = Size::default();
        let mut groups: Vec<(usize, Vec<Chunk>)> =
            self.pieces.iter().filter(|piece| piece.ends).map(|piece| (piece.file, Vec::new())).collect();
        let mut columns = Vec::with_capacity(encoded.len());
        for of_column in encoded {
            for ((_, chunks), ended) in groups.iter_mut().zip(of_column.ended) {
                chunks.extend(ended);
            }
            size.memory += of_column.size.memory;
            for (file, bytes) in of_column.size.files {
                *size.files.entry(file).or_default() += bytes;
            }
            columns.push(of_column.column);
        }
        Ok((Columns { columns }, groups, size))
    }
}

impl Column {
    fn encode(mut self, rows: &Rows, pieces: &[Piece]) -> Result<Encoded> {
        let parts =
            if pieces.iter().all(|piece| piece.rows.is_empty()) { Vec::new() } else { rows.column(self.index)? };
        let mut ended = Vec::new();
        for piece in pieces {
            let mut first = 0;
            for part in &parts {
                let range = piece.rows.start.max(first)..piece.rows.end.min(first + part.len());
                if !range.is_empty() {
                    self.write(piece.file, &part.slice(range.start - first, range.len()))?;
                }
                first += part.len();
            }
            if piece.ends {
                let leaves = self.open.remove(&piece.file).into_iter().flatten();
                let closed = leaves.map(|leaf| leaf.close(self.chunks.compression()).map_err(unwritable));
                ended.push(closed.collect::<Result<Vec<_>>>()?);
            }
        }
        let mut size = Size::default();
        for (file, leaves) in &self.open {
            size.memory += leaves.iter().map(OpenChunk::memory).sum::<usize>();
            size.files.insert(*file, leaves.iter().map(OpenChunk::bytes).sum());
        }
        Ok(Encoded { column: self, ended, size })
    }

    fn write(&mut self, file: usize, values: &ArrayRef) -> Result<()> {
        let leaves = match self.open.entry(file) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let writers = self.factory.create_column_writers(0).map_err(unwritable)?;
                entry.insert(self.chunks.open(writers))
            }
        };
        let values = compute_leaves(&self.field, values).map_err(unwritable)?;
        for (leaf, values) in leaves.iter_mut().zip(values) {
            leaf.write(&values).map_err(unwritable)?;
        }
        Ok(())
    }
}

/// What makes the writers of row groups of a schema.
fn factory(schema: SchemaRef, properties: &Arc<WriterProperties>) -> Result<ArrowRowGroupWriterFactory> {
    let parquet = ArrowSchemaConverter::new().convert(&schema).map_err(unwritable)?;
    let file = SerializedFileWriter::new(std::io::sink(), parquet.root_schema_ptr(), Arc::clone(properties));
    Ok(ArrowRowGroupWriterFactory::new(&file.map_err(unwritable)?, schema))
}
