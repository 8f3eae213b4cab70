//! Finds the record that could not be read: the object is read once more, record by record, only when a run has failed.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::{Buf, Bytes};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::records::Splitter;
use super::text::{RecordDecoder, TextReader, UNCLOSED, header_names, open, symbols};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::hive::HiveType;
use crate::inputs::Input;
use crate::panic::unpanicked;
use crate::table::{CsvOptions, Format};

/// Records that are tried together before each is tried alone.
const CHUNK: usize = 1024;

/// The error for the first record of an object that the table's reader refuses.
pub(super) async fn explain_failure(
    reader: &TextReader,
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    failure: ArrowError,
) -> Error {
    match find(reader, store, meta).await {
        Ok(Some(error)) | Err(error) => error,
        Ok(None) => Error::new(Code::BadRecord, plain(&failure)).in_object(&meta.location, None),
    }
    .help("mend the object and upload it again")
}

async fn find(reader: &TextReader, store: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> Result<Option<Error>> {
    let mut input = open(store, meta, &reader.table.format).await?;
    let csv = match &reader.table.format {
        Format::Csv(options) => Some(options),
        _ => None,
    };
    let mut splitter = Splitter::new(csv.map(symbols).transpose()?);
    let mut search = Search { reader, csv, header: None, chunk: Vec::new(), object: meta.location.to_string() };
    while let Some(mut bytes) = input.try_next().await? {
        while !bytes.is_empty() {
            let (taken, record) = splitter.take(&bytes);
            bytes.advance(taken);
            if let Some(record) = record
                && let Some(error) = search.add(record)?
            {
                // Corrupt compression may only show at the end, and is the better reason.
                while input.try_next().await?.is_some() {}
                return Ok(Some(error));
            }
        }
    }
    if let Some(record) = splitter.rest()
        && let Some(error) = search.add(record)?
    {
        return Ok(Some(error));
    }
    search.check()
}

struct Search<'a> {
    reader: &'a TextReader,
    csv: Option<&'a CsvOptions>,
    header: Option<Vec<String>>,
    chunk: Vec<(u64, Vec<u8>)>,
    object: String,
}

impl Search<'_> {
    fn add(&mut self, record: (u64, Vec<u8>)) -> Result<Option<Error>> {
        if let (Some(options), None) = (self.csv, &self.header) {
            self.header = header_names(&record.1, options)?;
            return Ok(None);
        }
        self.chunk.push(record);
        if self.chunk.len() < CHUNK { Ok(None) } else { self.check() }
    }

    fn decoder(&self) -> Result<RecordDecoder> {
        match (self.csv, &self.header) {
            (Some(options), Some(header)) => self.reader.csv_decoder(header, options),
            _ => self.reader.json_decoder(),
        }
    }

    /// The first bad record of the chunk, which is emptied.
    fn check(&mut self) -> Result<Option<Error>> {
        let chunk = std::mem::take(&mut self.chunk);
        let together: Vec<u8> = chunk.iter().flat_map(|(_, record)| record.iter().copied()).collect();
        if decode(self.decoder()?, &together).is_ok() {
            return Ok(None);
        }
        for (line, record) in chunk {
            if let Err(failure) = decode(self.decoder()?, &record) {
                let message = self.explain(&record, &failure)?;
                return Ok(Some(Error::new(Code::BadRecord, message).in_object(&self.object, Some(line))));
            }
        }
        Ok(None)
    }

    /// What is wrong with a record, in the words of its columns.
    fn explain(&self, record: &[u8], failure: &ArrowError) -> Result<String> {
        let (Some(options), Some(header)) = (self.csv, &self.header) else {
            return Ok(plain(failure));
        };
        let mut splitter = Splitter::new(Some(symbols(options)?));
        splitter.take(record);
        if splitter.in_quotes() {
            return Ok(UNCLOSED.to_owned());
        }
        let Some(fields) = csv_fields(record, options) else {
            return Ok("the record is not UTF-8 text".to_owned());
        };
        if fields.len() != header.len() {
            return Ok(format!("the record has {} fields, the header has {}", fields.len(), header.len()));
        }
        for field in self.reader.wanted.fields() {
            let only = TextReader {
                table: Arc::clone(&self.reader.table),
                wanted: SchemaRef::new(Schema::new(vec![field.as_ref().clone()])),
                batch_size: 1,
            };
            if decode(only.csv_decoder(header, options)?, record).is_err()
                && let Some(index) = header.iter().position(|name| name == field.name())
            {
                let value: String = fields[index].chars().take(80).collect();
                let hive_type = HiveType::of(field.data_type())?;
                return Ok(format!("column `{}`: `{value}` is not a {hive_type}", field.name()));
            }
        }
        Ok(plain(failure))
    }
}

/// Decodes bytes to their end, as if they were an object's.
fn decode(mut decoder: RecordDecoder, mut bytes: &[u8]) -> Result<(), ArrowError> {
    loop {
        let taken = decoder.decode(bytes)?;
        bytes = &bytes[taken..];
        if bytes.is_empty() {
            decoder.end()?;
        }
        let batch = decoder.flush()?;
        if bytes.is_empty() && batch.is_none() {
            return Ok(());
        }
    }
}

/// The fields of one CSV record; `None` for a blank line or bytes that are not UTF-8.
pub(crate) fn csv_fields(record: &[u8], options: &CsvOptions) -> Option<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(options.delimiter as u8)
        .quote(options.quote as u8)
        .flexible(true)
        .from_reader(record);
    let fields = reader.records().next()?.ok()?;
    Some(fields.iter().map(str::to_owned).collect())
}

/// A decoder's message without the names of libraries.
fn plain(failure: &ArrowError) -> String {
    let text = failure.to_string();
    let text = text.strip_prefix("Json error: ").or_else(|| text.strip_prefix("Csv error: ")).unwrap_or(&text);
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters.take(300)).collect()).unwrap_or_default()
}

/// The first of the inputs' Parquet objects that cannot be read as its table declares, with the reason.
///
/// DataFusion's Parquet errors do not name the object.
pub(crate) async fn first_unreadable_parquet(store: &Arc<dyn ObjectStore>, inputs: &[Input]) -> Option<Error> {
    for input in inputs.iter().filter(|input| input.table.format == Format::Parquet) {
        let columns = Schema::new(super::fields(&input.table.columns));
        for object in &input.objects {
            if let Err(error) = unpanicked(read_parquet(store, &object.meta, &columns)).await {
                return Some(error.in_object(&object.meta.location, None));
            }
        }
    }
    None
}

async fn read_parquet(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta, columns: &Schema) -> Result<()> {
    let bad = |error: ParquetError| {
        Error::new(Code::BadObject, format!("not a readable Parquet file: {error}"))
            .help("upload the object again, or move it out of the table's folder")
    };
    let object = ParquetObject { store: Arc::clone(store), meta: meta.clone() };
    let builder = ParquetRecordBatchStreamBuilder::new(object).await.map_err(bad)?;
    super::names::rename(columns, builder.schema())?;
    let mut batches = builder.build().map_err(bad)?;
    while batches.try_next().await.map_err(bad)?.is_some() {}
    Ok(())
}

/// Bytes of a file's end that hold most footers.
const FOOTER: usize = 64 << 10;

/// The footer of a Parquet object that unglue wrote, in one request where it is not large.
///
/// # Errors
/// [`Code::BadObject`].
pub(crate) async fn footer(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> Result<ParquetMetaData> {
    let mut object = ParquetObject { store: Arc::clone(store), meta: meta.clone() };
    let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER));
    reader.load_and_finish(&mut object, meta.size).await.map_err(|error| {
        Error::new(Code::BadObject, format!("a file of the table cannot be read: {error}"))
            .help("rebuild the table with `unglue run --full-refresh`")
            .in_object(&meta.location, None)
    })
}

/// A Parquet object of a store.
struct ParquetObject {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl ParquetObject {
    /// The library trusts the length that the last bytes of a file claim for its footer.
    async fn check_footer(&mut self) -> Result<(), ParquetError> {
        let too_short = || ParquetError::General("it is too short for its footer".to_owned());
        let size = self.meta.size;
        let tail = self.get_bytes(size.checked_sub(8).ok_or_else(too_short)?..size).await?;
        let claimed = tail.get(..4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        match claimed {
            Some(length) if u64::from(length) + 8 <= size => Ok(()),
            _ => Err(too_short()),
        }
    }
}

impl AsyncFileReader for ParquetObject {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        Box::pin(async move {
            let bytes = self.store.get_range(&self.meta.location, range).await;
            bytes.map_err(|error| ParquetError::External(Box::new(error)))
        })
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let size = self.meta.size;
        Box::pin(async move {
            self.check_footer().await?;
            ParquetMetaDataReader::new().load_and_finish(self, size).await.map(Arc::new)
        })
    }
}
