//! Finds what could not be read: the objects are read once more, only when a run has failed.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::careful::{Careful, plain};
use super::text::TextReader;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::inputs::Input;
use crate::panic::unpanicked;

/// Records that are tried together before each is tried alone.
const CHUNK: usize = 1024;

/// The error for the first record of an object that the table's reader refuses.
pub(super) async fn explain_failure(
    reader: &Arc<TextReader>,
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    failure: ArrowError,
) -> Error {
    match find(reader, store, meta).await {
        Ok(Some(error)) | Err(error) => error,
        Ok(None) => Error::new(Code::BadRecord, plain(&failure)).in_object(&meta.location, None),
    }
    .help("mend the object and upload it again, or have `@on_bad_record: quarantine` leave such records out")
}

async fn find(reader: &Arc<TextReader>, store: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> Result<Option<Error>> {
    let mut careful = Careful::open(Arc::clone(reader), store, meta).await?;
    while let Some(records) = careful.next(CHUNK).await? {
        if let Some(bad) = careful.sift(records)?.bad.into_iter().next() {
            // Corrupt compression may only show at the end, and is the better reason.
            while careful.next(CHUNK).await?.is_some() {}
            return Ok(Some(Error::new(Code::BadRecord, bad.reason).in_object(&meta.location, Some(bad.line))));
        }
    }
    Ok(None)
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
