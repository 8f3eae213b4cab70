//! Avro's container files: one request an object, columns by name.

use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow_avro::reader::ReaderBuilder;
use bytes::{Buf, Bytes};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::arrangement::Arrangement;
use super::bytes::decompressed;
use super::reader::ObjectReader;
use crate::code::Code;
use crate::error::{Error, Result};

/// The metadata of an Arrow schema that holds the schema as an object declares it, as JSON.
pub(crate) const AVRO_SCHEMA: &str = "avro.schema";

/// Batches that wait for whoever reads them.
const WAITING: usize = 2;

/// How the decoder says that the values are no records, and that it does not know a type.
const NO_RECORD: &str = "Expected a Record schema";
const UNKNOWN_TYPE: &str = "Failed to resolve ";

/// Bytes of the marker that ends each block.
const MARKER: usize = 16;

/// The schema that the start of an object declares, as it is written there among the metadata.
///
/// # Errors
/// [`Code::BadObject`].
pub(crate) fn avro_schema(start: &[u8]) -> Result<Schema> {
    let opened = std::panic::catch_unwind(|| ReaderBuilder::new().build(start));
    let reader = opened.map_err(|_| bad("its header is damaged"))?.map_err(failure)?;
    let text = reader.avro_header().get(AVRO_SCHEMA).map(|text| String::from_utf8_lossy(text).into_owned());
    let metadata = text.map(|text| (AVRO_SCHEMA.to_owned(), text)).into_iter().collect();
    Ok(reader.schema().as_ref().clone().with_metadata(metadata))
}

/// Batches of the wanted columns of one object.
///
/// # Errors
/// What the storage did not do.
pub(super) async fn read(
    store: &Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    reader: &Arc<ObjectReader>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let object = meta.location.to_string();
    let bytes = decompressed(store, &meta).await?;
    let (batches, received) = mpsc::channel(WAITING);
    let (handle, reader, place) = (Handle::current(), Arc::clone(reader), object.clone());
    // The decoder pulls its bytes, and must not hold up others while it waits for them.
    let decoding = tokio::task::spawn_blocking(move || {
        let pieces = Pieces { handle, bytes, current: Bytes::new(), last: Arc::default() };
        let sent = decode(pieces, &reader, &meta.location, |batch| batches.blocking_send(Ok(batch)).is_ok());
        if let Err(error) = sent {
            // Nobody waits for it any more if this fails.
            let _ = batches.blocking_send(Err(error.in_object(&place, None)));
        }
    });
    let decoded = stream::unfold(received, |mut received| async move { Some((received.recv().await?, received)) });
    let ended = stream::once(async move {
        match decoding.await {
            Err(failure) if failure.is_panic() => Err(bad("a block is damaged").in_object(&object, None)),
            _ => Ok(None),
        }
    });
    Ok(decoded.map_ok(Some).chain(ended).try_filter_map(|batch| async move { Ok(batch) }).boxed())
}

/// Decodes an object, and gives each batch away until nobody wants more.
fn decode(pieces: Pieces, reader: &ObjectReader, path: &Path, mut give: impl FnMut(RecordBatch) -> bool) -> Result<()> {
    let last = Arc::clone(&pieces.last);
    let batches = ReaderBuilder::new().with_batch_size(reader.batch_size).build(BufReader::new(pieces));
    let mut batches = batches.map_err(failure)?;
    let arrangement = Arrangement::new(reader, &batches.schema(), path)?;
    let sync = batches.avro_header().sync();
    for batch in &mut batches {
        if !give(arrangement.apply(&batch.map_err(failure)?)?) {
            return Ok(());
        }
    }
    // The decoder takes the middle of a block for the end of the object. Each block ends with the marker of the header.
    let is_whole = *last.lock().unwrap_or_else(PoisonError::into_inner) == sync;
    if is_whole { Ok(()) } else { Err(bad("it ends in the middle of a block")) }
}

/// The storage's error that passed through the decoder, or else the decoder's own.
fn failure(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, source) => Error::passed_through(source).unwrap_or_else(|error| bad(&error.to_string())),
        ArrowError::ParseError(why) if why.starts_with(NO_RECORD) => {
            Error::new(Code::BadObject, "the values of the Avro file are no records, of which a table is made")
                .help("write a record for each row, or move the object out of the table's folder")
        }
        ArrowError::ParseError(why) if why.starts_with(UNKNOWN_TYPE) => {
            let name = why[UNKNOWN_TYPE.len()..].trim_start_matches('.');
            let message =
                format!("the Avro schema names the type `{name}`, which is not defined before, or holds itself");
            Error::new(Code::BadObject, message)
                .help("no table can hold a type that holds itself; write other types out where they are first used")
        }
        other => bad(&other.to_string()),
    }
}

fn bad(why: &str) -> Error {
    Error::new(Code::BadObject, format!("not a readable Avro file: {why}"))
        .help("upload the object again, or move it out of the table's folder")
}

/// A stream of bytes as a thread that may wait reads it.
struct Pieces {
    handle: Handle,
    bytes: BoxStream<'static, Result<Bytes>>,
    current: Bytes,
    /// The last bytes that were read.
    last: Arc<Mutex<[u8; MARKER]>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.handle.block_on(self.bytes.next()) {
                Some(bytes) => self.current = bytes.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let new = &buffer[length.saturating_sub(MARKER)..length];
        last.rotate_left(new.len());
        last[MARKER - new.len()..].copy_from_slice(new);
        Ok(length)
    }
}
