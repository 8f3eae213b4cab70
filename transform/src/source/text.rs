//! CSV and JSON lines: one request an object, decoded as the catalog declares the table.
//!
//! CSV columns are found by the header of each object, so that a reordered header swaps nothing; DataFusion's own reader
//! goes by position. A column that an object lacks is NULL.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::{Buf, Bytes};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, apply_expression_roots};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio_util::io::ReaderStream;

use super::keys::KeyFolder;
use super::locate::explain_failure;
use super::records::{Splitter, Symbols, decompress};
use super::to_datafusion;
use crate::code::Code;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::store::storage;
use crate::table::{CsvOptions, Format, Table};

/// Bytes of a local file that are read at a time.
const FILE_CHUNK: usize = 256 << 10;

/// What is wrong with a CSV record that only the end of its object ends.
pub(crate) const UNCLOSED: &str = "the record opens a quote that is never closed";

/// DataFusion's description of a scan over CSV or JSON lines.
#[derive(Debug, Clone)]
pub(super) struct TextSource {
    table: Arc<Table>,
    schema: TableSchema,
    projection: SplitProjection,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl TextSource {
    pub(super) fn new(table: Arc<Table>, schema: TableSchema) -> Self {
        let projection = SplitProjection::unprojected(&schema);
        Self { table, schema, projection, batch_size: 8192, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl FileSource for TextSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        _config: &FileScanConfig,
        _partition: usize,
    ) -> DataFusionResult<Arc<dyn FileOpener>> {
        let wanted = Arc::new(self.schema.file_schema().project(&self.projection.file_indices)?);
        let reader = TextReader { table: Arc::clone(&self.table), wanted, batch_size: self.batch_size };
        let opener = Arc::new(TextOpener { store, reader: Arc::new(reader) });
        ProjectionOpener::try_new(self.projection.clone(), opener, self.schema.file_schema())
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_size, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> DataFusionResult<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        match self.table.format {
            Format::Csv(_) => "csv",
            _ => "json",
        }
    }

    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn fmt_extra(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ", table={}", self.table.name)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        apply_expression_roots(self.projection.source.iter(), f)
    }
}

struct TextOpener {
    store: Arc<dyn ObjectStore>,
    reader: Arc<TextReader>,
}

impl FileOpener for TextOpener {
    fn open(&self, file: PartitionedFile) -> DataFusionResult<FileOpenFuture> {
        let store = Arc::clone(&self.store);
        let reader = Arc::clone(&self.reader);
        Ok(Box::pin(async move {
            let batches = reader.read(store, file.object_meta).await.map_err(to_datafusion)?;
            Ok(batches.map_err(to_datafusion).boxed())
        }))
    }
}

/// Reads objects of one table into batches of the wanted columns.
#[derive(Debug)]
pub(super) struct TextReader {
    pub(super) table: Arc<Table>,
    pub(super) wanted: SchemaRef,
    pub(super) batch_size: usize,
}

/// The decompressed bytes of an object, in one request; JSON with its keys in lower case.
pub(super) async fn open(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    format: &Format,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let object = meta.location.to_string();
    let result = store.get(&meta.location).await.map_err(|error| storage(&object, error))?;
    let text = decompress(object, Codec::of(meta.location.as_ref()), stored(result));
    if *format != Format::Json {
        return Ok(text);
    }
    let mut folder = KeyFolder::default();
    Ok(text.map_ok(move |bytes| folder.fold(bytes)).boxed())
}

/// The bytes of an object as they are stored. object_store by itself reads a local file 8 KiB at a time, and hands each piece from one
/// thread to another.
fn stored(result: GetResult) -> BoxStream<'static, object_store::Result<Bytes>> {
    match result.payload {
        GetResultPayload::File(file, _) => ReaderStream::with_capacity(tokio::fs::File::from_std(file), FILE_CHUNK)
            .map_err(|source| object_store::Error::Generic { store: "LocalFileSystem", source: source.into() })
            .boxed(),
        GetResultPayload::Stream(stream) => stream,
    }
}

/// What is known while an object is read.
struct Reading {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    input: BoxStream<'static, Result<Bytes>>,
    pending: Bytes,
    ended: bool,
    decoder: RecordDecoder,
}

impl TextReader {
    /// Batches of the wanted columns of one object.
    pub(super) async fn read(
        self: Arc<Self>,
        store: Arc<dyn ObjectStore>,
        meta: ObjectMeta,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let mut input = open(&store, &meta, &self.table.format).await?;
        let (decoder, pending) = match &self.table.format {
            Format::Csv(options) => {
                let in_header = |error: Error| match error.object {
                    None => error.in_object(&meta.location, Some(1)),
                    Some(_) => error,
                };
                let Some((header, pending)) = read_header(&mut input, options).await.map_err(in_header)? else {
                    return Ok(stream::empty().boxed());
                };
                (self.csv_decoder(&header, options).map_err(in_header)?, pending)
            }
            _ => (self.json_decoder()?, Bytes::new()),
        };
        let reading = Reading { store, meta, input, pending, ended: false, decoder };
        Ok(stream::try_unfold((self, reading), |(reader, mut reading)| async move {
            match reading.next().await {
                Ok(Some(batch)) => Ok(Some((batch, (reader, reading)))),
                Ok(None) => Ok(None),
                Err(Failure::Input(error)) => Err(error),
                Err(Failure::Record(error)) => {
                    Err(explain_failure(&reader, &reading.store, &reading.meta, error).await)
                }
            }
        })
        .boxed())
    }

    /// A decoder for objects with this header.
    ///
    /// # Errors
    /// [`Code::ColumnMismatch`] if the header has none of the table's columns, or one of them twice.
    pub(super) fn csv_decoder(&self, header: &[String], options: &CsvOptions) -> Result<RecordDecoder> {
        let known = |name: &str| self.table.columns.iter().any(|column| column.name == name);
        let mut repeated =
            header.iter().enumerate().filter(|(index, name)| known(name) && header[..*index].contains(name));
        if let Some((_, name)) = repeated.next() {
            return Err(Error::new(Code::ColumnMismatch, format!("the header names the column `{name}` twice"))
                .help("rename one of them in the object"));
        }
        if !header.iter().any(|name| known(name)) {
            return Err(Error::new(
                Code::ColumnMismatch,
                format!("the header `{}` has none of the columns of `{}`", header.join(","), self.table.name),
            )
            .help("the first line of each object must name its columns"));
        }
        let fields: Vec<Field> = header
            .iter()
            .map(|name| match self.wanted.field_with_name(name) {
                Ok(field) => field.clone(),
                Err(_) => Field::new(name, DataType::Utf8, true),
            })
            .collect();
        let mut arrangement = Vec::with_capacity(self.wanted.fields().len());
        let mut projection = Vec::new();
        for field in self.wanted.fields() {
            arrangement.push(header.iter().position(|name| name == field.name()).map(|index| {
                projection.push(index);
                projection.len() - 1
            }));
        }
        let decoder = arrow::csv::ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_delimiter(byte(options.delimiter)?)
            .with_quote(byte(options.quote)?)
            .with_batch_size(self.batch_size)
            .with_projection(projection)
            .build_decoder();
        Ok(RecordDecoder::Csv { decoder: Box::new(decoder), arrangement, wanted: Arc::clone(&self.wanted) })
    }

    /// A decoder for JSON lines.
    pub(super) fn json_decoder(&self) -> Result<RecordDecoder> {
        let decoder = arrow::json::ReaderBuilder::new(Arc::clone(&self.wanted))
            .with_batch_size(self.batch_size)
            // A column of several kinds of values is declared a string.
            .with_coerce_primitive(true)
            .build_decoder()
            .map_err(|error| Error::new(Code::UnsupportedType, error.to_string()))?;
        Ok(RecordDecoder::Json { decoder: Box::new(decoder), wanted: Arc::clone(&self.wanted) })
    }
}

/// One of the delimiters that the CSV decoder takes.
fn byte(symbol: char) -> Result<u8> {
    u8::try_from(symbol).map_err(|_| {
        Error::new(Code::NotSupported, format!("`{symbol}` cannot delimit CSV")).help("use an ASCII character")
    })
}

/// The symbols that cut a CSV object into records.
pub(crate) fn symbols(options: &CsvOptions) -> Result<Symbols> {
    Ok(Symbols { delimiter: byte(options.delimiter)?, quote: byte(options.quote)? })
}

/// The names in the header of a CSV object, lower-case, and the bytes after it; `None` for an object without a line.
pub(super) async fn read_header(
    input: &mut BoxStream<'static, Result<Bytes>>,
    options: &CsvOptions,
) -> Result<Option<(Vec<String>, Bytes)>> {
    let mut splitter = Splitter::new(Some(symbols(options)?));
    while let Some(mut bytes) = input.try_next().await? {
        while !bytes.is_empty() {
            let (taken, record) = splitter.take(&bytes);
            bytes.advance(taken);
            if let Some((_, record)) = record
                && let Some(header) = header_names(&record, options)?
            {
                return Ok(Some((header, bytes)));
            }
        }
    }
    if splitter.in_quotes() {
        return Err(Error::new(Code::BadRecord, UNCLOSED).help("close the quote, and upload the object again"));
    }
    let Some((_, record)) = splitter.rest() else { return Ok(None) };
    Ok(header_names(&record, options)?.map(|header| (header, Bytes::new())))
}

/// The names of a header record; `None` for a blank line.
///
/// # Errors
/// [`Code::BadObject`] if it is not UTF-8.
pub(super) fn header_names(record: &[u8], options: &CsvOptions) -> Result<Option<Vec<String>>> {
    let record = record.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(record);
    if record.trim_ascii().is_empty() {
        return Ok(None);
    }
    let Some(fields) = super::locate::csv_fields(record, options) else {
        return Err(Error::new(Code::BadObject, "the header is not UTF-8 text")
            .help("save the object as UTF-8 and upload it again"));
    };
    Ok(Some(fields.iter().map(|name| name.trim().to_lowercase()).collect()))
}

/// Why an object could not be read on.
enum Failure {
    /// The bytes did not come.
    Input(Error),
    /// They came, and are not records of the table.
    Record(ArrowError),
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if self.pending.is_empty() && !self.ended {
                match self.input.try_next().await.map_err(Failure::Input)? {
                    Some(bytes) => self.pending = bytes,
                    None => self.ended = true,
                }
            }
            if self.ended && self.pending.is_empty() {
                self.decoder.end().map_err(Failure::Record)?;
            }
            let taken = self.decoder.decode(&self.pending).map_err(Failure::Record)?;
            self.pending.advance(taken);
            let full = taken == 0 || !self.pending.is_empty();
            if full || self.ended {
                match self.decoder.flush().map_err(Failure::Record)? {
                    Some(batch) => return Ok(Some(batch)),
                    None if self.ended && self.pending.is_empty() => return Ok(None),
                    None => {}
                }
            }
        }
    }
}

/// Decodes records into batches of the wanted columns.
pub(super) enum RecordDecoder {
    /// `arrangement` says for each wanted column which decoded one it is, if any.
    Csv { decoder: Box<arrow::csv::reader::Decoder>, arrangement: Vec<Option<usize>>, wanted: SchemaRef },
    /// Missing keys are NULL by the decoder itself.
    Json { decoder: Box<arrow::json::reader::Decoder>, wanted: SchemaRef },
}

impl RecordDecoder {
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Result<usize, ArrowError> {
        match self {
            Self::Csv { decoder, .. } => decoder.decode(bytes),
            Self::Json { decoder, .. } => decoder.decode(bytes),
        }
    }

    /// Says that no bytes follow. To be called again after every flush, because the last record may need room.
    ///
    /// # Errors
    /// If the last record is still inside quotes: the decoder would take all that follows the quote for one value.
    pub(super) fn end(&mut self) -> Result<(), ArrowError> {
        let Self::Csv { decoder, .. } = self else { return Ok(()) };
        // A line break completes the last record, unless it lies inside quotes: then only the end of the bytes does.
        decoder.decode(b"\n")?;
        let room = decoder.capacity();
        decoder.decode(&[])?;
        if decoder.capacity() == room { Ok(()) } else { Err(ArrowError::CsvError(UNCLOSED.to_owned())) }
    }

    pub(super) fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let (batch, columns, wanted) = match self {
            Self::Csv { decoder, arrangement, wanted } => {
                let Some(batch) = decoder.flush()? else { return Ok(None) };
                let columns = arrangement
                    .iter()
                    .zip(wanted.fields())
                    .map(|(place, field)| match place {
                        Some(index) => Arc::clone(batch.column(*index)),
                        None => new_null_array(field.data_type(), batch.num_rows()),
                    })
                    .collect();
                (batch, columns, wanted)
            }
            Self::Json { decoder, wanted } => {
                let Some(batch) = decoder.flush()? else { return Ok(None) };
                let columns = batch.columns().to_vec();
                (batch, columns, wanted)
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(wanted), columns, &options).map(Some)
    }
}
