//! ORC: the footer, then each stripe's wanted columns, by name.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use orc_rust::arrow_reader::ArrowReaderBuilder;
use orc_rust::error::OrcError;
use orc_rust::projection::ProjectionMask;
use orc_rust::proto::PostScript;
use orc_rust::reader::AsyncChunkReader;
use orc_rust::schema::TimestampPrecision;
use prost::Message;

use super::arrangement::Arrangement;
use super::reader::ObjectReader;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::panic::unpanicked;
use crate::store::storage;

/// Hive before its version 2 wrote the places of columns for their names.
const PLACE: &str = "_col";

/// Bytes of a compressed block at most: its header has 23 bits for them.
const LARGEST_BLOCK: u64 = 1 << 23;

/// What the footer of an object says: its columns, and how many rows it has.
///
/// # Errors
/// What the storage did not do; [`Code::BadObject`].
pub(crate) async fn orc_schema(store: &Arc<dyn ObjectStore>, meta: ObjectMeta) -> Result<(Schema, u64)> {
    let builder = open(store, meta).await?;
    Ok((builder.schema().as_ref().clone(), builder.file_metadata().number_of_rows()))
}

/// Batches of the wanted columns of one object.
///
/// # Errors
/// What the storage did not do; what is wrong with the object's footer.
pub(super) async fn read(
    store: &Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    reader: &Arc<ObjectReader>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let path = meta.location.clone();
    let in_object = |error: Error| error.within(&path, None);
    let builder = open(store, meta).await.map_err(in_object)?;
    let columns = Schema::new(super::fields(&reader.table.columns));
    let arrangement = Arrangement::new(reader, &orc_by_place(&columns, &builder.schema()), &path).map_err(in_object)?;
    // Rows are counted by a column at least.
    let read = if arrangement.needed().is_empty() { vec![0] } else { arrangement.needed() };
    let arrangement = arrangement.only(&read).map_err(in_object)?;
    let root = builder.file_metadata().root_data_type();
    let indices = read.iter().map(|place| root.children()[*place].data_type().column_index());
    let mask = ProjectionMask::roots(root, indices);
    let batches = builder.with_batch_size(reader.batch_size).with_projection(mask).build_async();
    Ok(AssertUnwindSafe(batches)
        .catch_unwind()
        .map(move |batch| {
            let batch = batch.map_err(|_| bad("a stripe is damaged")).and_then(|batch| batch.map_err(failure));
            let batch = batch.and_then(|batch| arrangement.apply(&batch));
            batch.map_err(|error| error.within(&path, None))
        })
        .boxed())
}

async fn open(store: &Arc<dyn ObjectStore>, meta: ObjectMeta) -> Result<ArrowReaderBuilder<Stored>> {
    let stored = Stored { store: Arc::clone(store), meta };
    let opened = unpanicked(async { ArrowReaderBuilder::try_new_async(stored).await.map_err(damaged) }).await;
    let builder = opened.map_err(|error| match error.code {
        Code::Internal => bad("its footer is damaged").because(error),
        _ => error,
    })?;
    // As exact as SQL's timestamps are here; nanoseconds would end in the year 2262.
    Ok(builder.with_timestamp_precision(TimestampPrecision::Microsecond))
}

/// The schema of an object, with the table's names where it has only places.
pub(crate) fn orc_by_place(columns: &Schema, object: &Schema) -> Schema {
    let by_place = object.fields().iter().enumerate().all(|(place, field)| *field.name() == format!("{PLACE}{place}"));
    let is_named_so = columns.fields().iter().any(|field| field.name().starts_with(PLACE));
    if !by_place || is_named_so {
        return object.clone();
    }
    let fields = object.fields().iter().enumerate().map(|(place, field)| match columns.fields().get(place) {
        Some(column) => field.as_ref().clone().with_name(column.name()),
        None => field.as_ref().clone(),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// The storage's error that passed through the decoder, or else the decoder's own.
fn failure(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<OrcError>() {
            Ok(error) => damaged(*error),
            Err(other) => bad(&other.to_string()),
        },
        other => bad(&other.to_string()),
    }
}

fn damaged(error: OrcError) -> Error {
    match error {
        OrcError::IoError { source, .. } => {
            Error::passed_through(source).unwrap_or_else(|error| bad(&error.to_string()))
        }
        other => bad(&other.to_string()),
    }
}

fn bad(why: &str) -> Error {
    Error::new(Code::BadObject, format!("not a readable ORC file: {why}"))
        .help("upload the object again, or move it out of the table's folder")
}

/// Refuses a file whose end says that its compressed blocks are larger than a block can be: the library would ask for so much memory.
fn check_blocks(end: &[u8]) -> Result<()> {
    let Some((length, rest)) = end.split_last() else { return Ok(()) };
    let postscript = rest.len().checked_sub(usize::from(*length)).map(|start| PostScript::decode(&rest[start..]));
    // What is no postscript is the library's to refuse.
    let Some(Ok(postscript)) = postscript else { return Ok(()) };
    match postscript.compression_block_size {
        Some(size) if size > LARGEST_BLOCK => Err(bad(&format!("it has blocks of {size} bytes"))),
        _ => Ok(()),
    }
}

/// An ORC object of a store.
struct Stored {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl AsyncChunkReader for Stored {
    fn len(&mut self) -> BoxFuture<'_, io::Result<u64>> {
        std::future::ready(Ok(self.meta.size)).boxed()
    }

    /// The library trusts the lengths that a file claims for its parts.
    fn get_bytes(&mut self, offset: u64, length: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        let end = offset.checked_add(length).filter(|end| *end <= self.meta.size);
        async move {
            let end = end.ok_or_else(|| io::Error::other(bad("it is too short for what its footer says")))?;
            // No part of an object is empty.
            if length == 0 {
                return Ok(Bytes::new());
            }
            let range = Some(GetRange::Bounded(offset..end));
            let options = GetOptions { range, if_match: self.meta.e_tag.clone(), ..GetOptions::default() };
            let failed = |error| io::Error::other(storage(self.meta.location.as_ref(), error));
            let found = self.store.get_opts(&self.meta.location, options).await.map_err(failed)?;
            let bytes = found.bytes().await.map_err(failed)?;
            if end == self.meta.size {
                check_blocks(&bytes).map_err(io::Error::other)?;
            }
            Ok(bytes)
        }
        .boxed()
    }
}
