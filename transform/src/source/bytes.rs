//! The bytes of a text object as the decoders know them: one request, decompressed, in UTF-8, fields in quotes, JSON object after
//! JSON object with the keys that their table knows.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt, future};
use object_store::{GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio_util::io::ReaderStream;

use super::elements::{Elements, Layout};
use super::encoding::{self, Transcoder};
use super::heading::cut;
use super::keys::{Keys, Renamer};
use super::quoting::Quoting;
use super::records::{Cut, decompress};
use crate::codec::{Codec, MAGIC};
use crate::error::Result;
use crate::format::{CsvOptions, Format};
use crate::store::storage;

/// Bytes of a local file that are read at a time.
const FILE_CHUNK: usize = 256 << 10;

/// Bytes of a text that tell what it is.
const START: usize = 4096;

/// A text object.
pub(super) struct Text {
    /// Its bytes.
    pub(super) bytes: BoxStream<'static, Result<Bytes>>,
    /// Where its records end.
    pub(super) cut: Cut,
}

/// Opens an object of a table of CSV or JSON, of which `keys` have the table's names then. Without them JSON stays as it is written, for
/// whoever reads its records one by one: a broken one would else matter to those behind it.
///
/// # Errors
/// What the storage did not do; [`Code::BadObject`](crate::Code::BadObject) for content that is no text.
pub(super) async fn open(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    format: &Format,
    keys: Option<&Arc<Keys>>,
) -> Result<Text> {
    let object = meta.location.to_string();
    let (mut start, mut text) = peek(decompressed(store, meta).await?, START).await?;
    let in_object = |error: crate::Error| error.in_object(&object, None);
    encoding::check_text(&start).map_err(in_object)?;
    let declared = match format {
        Format::Csv(options) => options.encoding.as_deref(),
        _ => None,
    };
    if let Some(other) = encoding::of(&start, declared).map_err(in_object)? {
        (start, text) = peek(transcoded(text, Transcoder::new(other), object.clone()), START).await?;
    }
    if start.starts_with(encoding::MARK) {
        text = text
            .enumerate()
            .map(|(piece, bytes)| Ok(if piece == 0 { bytes?.slice(encoding::MARK.len()..) } else { bytes? }))
            .boxed();
    }
    Ok(match format {
        Format::Csv(options) => Text { bytes: csv(text, options)?, cut: cut(options)? },
        _ => {
            let layout = Layout::of(&start);
            let mut elements = Elements::new(layout);
            let Some(keys) = keys else {
                let bytes = text.map_ok(move |bytes| elements.mark(bytes)).boxed();
                return Ok(Text { bytes, cut: layout.cut() });
            };
            let mut renamer = Renamer::new(Arc::clone(keys));
            let renamed = ended(text).map_ok(move |piece| match piece {
                Some(bytes) => renamer.rename(elements.mark(bytes)),
                None => renamer.finish(),
            });
            // No bytes at all would be the end for the decoder.
            let bytes = renamed.try_filter(|bytes| future::ready(!bytes.is_empty())).boxed();
            Text { bytes, cut: layout.cut() }
        }
    })
}

/// The bytes of an object without the compression round it.
///
/// # Errors
/// What the storage did not do.
pub(super) async fn decompressed(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let object = meta.location.to_string();
    let failed = |error| storage(&object, error);
    let result = store.get(&meta.location).await.map_err(failed)?;
    let (start, raw) = peek(stored(result), MAGIC).await.map_err(failed)?;
    Ok(decompress(object.clone(), Codec::of_content(&start), raw))
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

/// The first bytes of a stream, fewer only if it is shorter, and the whole of it.
async fn peek<E: Send + 'static>(
    mut bytes: BoxStream<'static, Result<Bytes, E>>,
    wanted: usize,
) -> Result<(Bytes, BoxStream<'static, Result<Bytes, E>>), E> {
    let Some(mut start) = bytes.try_next().await? else { return Ok((Bytes::new(), bytes)) };
    while start.len() < wanted {
        let Some(more) = bytes.try_next().await? else { break };
        let mut longer = BytesMut::from(start);
        longer.extend_from_slice(&more);
        start = longer.freeze();
    }
    Ok((start.clone(), stream::iter([Ok(start)]).chain(bytes).boxed()))
}

fn transcoded(
    text: BoxStream<'static, Result<Bytes>>,
    mut transcoder: Transcoder,
    object: String,
) -> BoxStream<'static, Result<Bytes>> {
    ended(text)
        .map(move |piece| match piece? {
            Some(bytes) => transcoder.decode(&bytes, false),
            None => transcoder.decode(&[], true),
        })
        .map_err(move |error: crate::Error| error.within(&object, None))
        .boxed()
}

/// CSV with quotes.
fn csv(text: BoxStream<'static, Result<Bytes>>, options: &CsvOptions) -> Result<BoxStream<'static, Result<Bytes>>> {
    if options.quote.is_some() {
        return Ok(text);
    }
    let mut quoting = Quoting::new(options)?;
    let quoted = ended(text).map_ok(move |piece| match piece {
        Some(bytes) => quoting.quote(&bytes),
        None => quoting.finish(),
    });
    Ok(quoted.boxed())
}

/// The pieces of a stream, then nothing.
fn ended(text: BoxStream<'static, Result<Bytes>>) -> impl Stream<Item = Result<Option<Bytes>>> {
    text.map_ok(Some).chain(stream::iter([Ok(None)]))
}
