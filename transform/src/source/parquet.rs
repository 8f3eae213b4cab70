//! Parquet objects that DataFusion's reader is not asked for.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::arrangement::Arrangement;
use super::names::{check_types, rename};
use super::reader::ObjectReader;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::panic::unpanicked;

/// Batches of the wanted columns of one object, what fits none of them included.
///
/// # Errors
/// What is wrong with the object's footer.
pub(super) async fn read(
    store: &Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    reader: &Arc<ObjectReader>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let path = meta.location.clone();
    let in_object = |error: Error| error.in_object(&path, None);
    let object = ParquetObject { store: Arc::clone(store), meta };
    let opened = unpanicked(ParquetRecordBatchStreamBuilder::new(object).map(|opened| opened.map_err(bad))).await;
    let builder = opened.map_err(in_object)?;
    let arrangement = Arrangement::new(reader, builder.schema(), &path).map_err(in_object)?;
    let batches = builder.with_batch_size(reader.batch_size).build().map_err(bad).map_err(in_object)?;
    Ok(AssertUnwindSafe(batches)
        .catch_unwind()
        .map(move |batch| {
            let batch = batch
                .map_err(|_| bad(ParquetError::General("a column is damaged".to_owned())))
                .and_then(|batch| arrangement.apply(&batch.map_err(bad)?));
            batch.map_err(|error| error.in_object(&path, None))
        })
        .boxed())
}

/// Reads an object to its end, as its table declares it.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn check(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta, columns: &Schema) -> Result<()> {
    let object = ParquetObject { store: Arc::clone(store), meta: meta.clone() };
    let builder = ParquetRecordBatchStreamBuilder::new(object).await.map_err(bad)?;
    check_types(columns, &rename(columns, builder.schema())?)?;
    let mut batches = builder.build().map_err(bad)?;
    while batches.try_next().await.map_err(bad)?.is_some() {}
    Ok(())
}

fn bad(error: ParquetError) -> Error {
    Error::new(Code::BadObject, format!("not a readable Parquet file: {error}"))
        .help("upload the object again, or move it out of the table's folder")
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
