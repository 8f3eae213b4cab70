//! Finds what could not be read: the objects are read once more, only when a run has failed.

use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use object_store::{ObjectMeta, ObjectStore};

use super::careful::{Careful, MEND, plain};
use super::parquet;
use super::reader::ObjectReader;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::inputs::Input;
use crate::panic::unpanicked;

/// Records that are tried together before each is tried alone.
const CHUNK: usize = 1024;

/// The error for the first record of an object that the table's reader refuses.
pub(super) async fn explain_failure(
    reader: &Arc<ObjectReader>,
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    failure: ArrowError,
) -> Error {
    match find(reader, store, meta).await {
        Ok(Some(error)) | Err(error) => error,
        Ok(None) => Error::new(Code::BadRecord, plain(&failure)).in_object(&meta.location, None),
    }
    .help(MEND)
}

async fn find(reader: &Arc<ObjectReader>, store: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> Result<Option<Error>> {
    let mut careful = Careful::open(Arc::clone(reader), store, meta).await?;
    while let Some(records) = careful.next(CHUNK).await? {
        if let Some(bad) = careful.sifter(reader).sift(records)?.bad.into_iter().next() {
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
            if let Err(error) = unpanicked(parquet::check(store, &object.meta, &columns)).await {
                return Some(error.in_object(&object.meta.location, None));
            }
        }
    }
    None
}
