//! Bytes of a text object to records: decompression, and splitting where a record ends.

use std::io;

use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::store::storage;

/// How an object is compressed, told by the suffix of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Not at all.
    Plain,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
    /// `.bz2`
    Bzip2,
}

impl Codec {
    /// The codec of an object's name.
    pub(crate) fn of(path: &Path) -> Self {
        match path.as_ref().rsplit('.').next().map(str::to_ascii_lowercase).as_deref() {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            Some("bz2") => Self::Bzip2,
            _ => Self::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        }
    }
}

/// The decompressed bytes of an object.
///
/// Concatenated members are read to the last one, as the command-line tools do.
pub(crate) fn decompress(
    object: String,
    codec: Codec,
    raw: BoxStream<'static, object_store::Result<Bytes>>,
) -> BoxStream<'static, Result<Bytes>> {
    let raw_object = object.clone();
    if codec == Codec::Plain {
        return raw.map_err(move |error| storage(&raw_object, error)).boxed();
    }
    let reader = StreamReader::new(raw.map_err(move |error| io::Error::other(storage(&raw_object, error))));
    macro_rules! members {
        ($decoder:ident) => {{
            let mut decoder = $decoder::new(reader);
            decoder.multiple_members(true);
            ReaderStream::with_capacity(decoder, 64 << 10).boxed()
        }};
    }
    let stream: BoxStream<'static, io::Result<Bytes>> = match codec {
        Codec::Gzip => members!(GzipDecoder),
        Codec::Zstd => members!(ZstdDecoder),
        _ => members!(BzDecoder),
    };
    stream.map_err(move |error| undo(error, &object, codec)).boxed()
}

/// The storage's error that passed through a decoder, or else the decoder's own.
fn undo(error: io::Error, object: &str, codec: Codec) -> Error {
    let kind = error.kind();
    if error.get_ref().is_some_and(|inner| inner.is::<Error>())
        && let Some(inner) = error.into_inner()
        && let Ok(inner) = inner.downcast::<Error>()
    {
        return *inner;
    }
    let what = if kind == io::ErrorKind::UnexpectedEof { "ends too early" } else { "is corrupt" };
    Error::new(Code::BadObject, format!("the {} data {what}", codec.name()))
        .help("upload the object again, or move it out of the table's folder")
        .in_object(object, None)
}

/// Cuts a stream of bytes into records: lines, but for line breaks inside quotes.
#[derive(Debug)]
pub(crate) struct Splitter {
    quote: Option<u8>,
    in_quotes: bool,
    line: u64,
    record_line: u64,
    record: Vec<u8>,
}

impl Splitter {
    /// `quote` is the character that protects line breaks, where the format has one.
    pub(crate) fn new(quote: Option<u8>) -> Self {
        Self { quote, in_quotes: false, line: 1, record_line: 1, record: Vec::new() }
    }

    /// Takes bytes up to the end of a record. Returns how many were taken, and the record with its line if it is complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> (usize, Option<(u64, Vec<u8>)>) {
        for (index, &byte) in bytes.iter().enumerate() {
            if Some(byte) == self.quote {
                self.in_quotes = !self.in_quotes;
            } else if byte == b'\n' {
                self.line += 1;
                if !self.in_quotes {
                    self.record.extend_from_slice(&bytes[..=index]);
                    return (index + 1, Some(self.cut()));
                }
            }
        }
        self.record.extend_from_slice(bytes);
        (bytes.len(), None)
    }

    /// What is left at the end of the object.
    pub(crate) fn rest(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.record.is_empty() { None } else { Some(self.cut()) }
    }

    fn cut(&mut self) -> (u64, Vec<u8>) {
        let line = std::mem::replace(&mut self.record_line, self.line);
        (line, std::mem::take(&mut self.record))
    }
}
