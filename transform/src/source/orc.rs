//! ORC: the footer, then each stripe's wanted columns, by name.

mod stored;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::{ObjectMeta, ObjectStore};
use orc_rust::arrow_reader::ArrowReaderBuilder;
use orc_rust::error::OrcError;
use orc_rust::projection::ProjectionMask;
use orc_rust::schema::TimestampPrecision;

use super::arrangement::Arrangement;
use super::reader::ObjectReader;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::panic::unpanicked;
use stored::Stored;

/// Hive before its version 2 wrote the places of columns for their names.
const PLACE: &str = "_col";

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
    let opened = unpanicked(async {
        let (stored, is_open) = Stored::open(Arc::clone(store), meta).await?;
        let builder = ArrowReaderBuilder::try_new_async(stored).await.map_err(damaged)?;
        is_open.store(true, Ordering::Relaxed);
        Ok(builder)
    });
    let builder = opened.await.map_err(|error| match error.code {
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
