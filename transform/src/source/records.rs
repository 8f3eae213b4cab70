//! Bytes of a text object to records: decompression, and splitting where a record ends.

use std::io;

use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::code::Code;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::store::storage;

/// The decompressed bytes of an object.
///
/// Concatenated members are read to the last one, as the command-line tools do.
pub(crate) fn decompress(
    object: String,
    codec: Option<Codec>,
    raw: BoxStream<'static, object_store::Result<Bytes>>,
) -> BoxStream<'static, Result<Bytes>> {
    let raw_object = object.clone();
    let Some(codec) = codec else {
        return raw.map_err(move |error| storage(&raw_object, error)).boxed();
    };
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
        Codec::Bzip2 => members!(BzDecoder),
    };
    stream.map_err(move |error| undo(error, &object, codec)).boxed()
}

/// The storage's error that passed through a decoder, or else the decoder's own.
fn undo(error: io::Error, object: &str, codec: Codec) -> Error {
    let kind = error.kind();
    Error::passed_through(error).unwrap_or_else(|_| {
        let what = if kind == io::ErrorKind::UnexpectedEof { "ends too early" } else { "is corrupt" };
        Error::new(Code::BadObject, format!("the {} data {what}", codec.name()))
            .help("upload the object again, or move it out of the table's folder")
            .in_object(object, None)
    })
}

/// Cuts a stream of bytes into records.
///
/// Quotes and line ends mean what they mean to the CSV decoder: a quote opens only at the start of a field, and a carriage
/// return alone ends a line as well.
#[derive(Debug)]
pub(crate) struct Splitter {
    cut: Cut,
    place: Place,
    after_return: bool,
    line: u64,
    record_line: u64,
    record: Vec<u8>,
}

/// Where records end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// With a line, unless the line break lies inside quotes.
    Csv(Symbols),
    /// With `\n`.
    Lines,
    /// Where [`Elements`](super::elements::Elements) says.
    Elements,
}

/// The symbols of CSV that matter for where a record ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbols {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    pub(crate) escape: Option<u8>,
    pub(crate) comment: Option<u8>,
}

/// Where in a record of CSV the splitter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    RecordStart,
    FieldStart,
    Inside,
    Quoted,
    /// After an escape inside quotes.
    Escaped,
    /// After a quote inside quotes: it is the closing one, or the first of a doubled one.
    AfterQuote,
    Comment,
}

impl Place {
    fn is_quoted(self) -> bool {
        matches!(self, Self::Quoted | Self::Escaped)
    }
}

impl Splitter {
    pub(crate) fn new(cut: Cut) -> Self {
        Self { cut, place: Place::RecordStart, after_return: false, line: 1, record_line: 1, record: Vec::new() }
    }

    /// Takes bytes up to the end of a record. Returns how many were taken, and the record with its line if it is complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> (usize, Option<(u64, Vec<u8>)>) {
        for (index, &byte) in bytes.iter().enumerate() {
            let ends_before = std::mem::take(&mut self.after_return) && byte != b'\n';
            if ends_before {
                self.line += 1;
                self.record.extend_from_slice(&bytes[..index]);
                return (index, Some(self.cut()));
            }
            let (ends, is_csv) = match self.cut {
                Cut::Csv(symbols) => {
                    self.place = next(self.place, byte, symbols);
                    (byte == b'\n' && !self.place.is_quoted(), true)
                }
                Cut::Lines => (byte == b'\n', false),
                Cut::Elements => (byte == super::elements::END, false),
            };
            if byte == b'\n' {
                self.line += 1;
            }
            if ends {
                self.record.extend_from_slice(&bytes[..=index]);
                return (index + 1, Some(self.cut()));
            }
            if self.record_line < self.line && matches!(self.cut, Cut::Elements) && self.is_blank(&bytes[..=index]) {
                self.record_line = self.line;
            }
            self.after_return = is_csv && byte == b'\r' && !self.place.is_quoted();
        }
        self.record.extend_from_slice(bytes);
        (bytes.len(), None)
    }

    /// Whether the bytes so far end inside quotes.
    pub(crate) fn in_quotes(&self) -> bool {
        self.place.is_quoted()
    }

    /// What is left at the end of the object.
    pub(crate) fn rest(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.record.is_empty() { None } else { Some(self.cut()) }
    }

    fn is_blank(&self, more: &[u8]) -> bool {
        more.last().is_some_and(|byte| *byte == b'\n')
            && more.trim_ascii().is_empty()
            && self.record.trim_ascii().is_empty()
    }

    fn cut(&mut self) -> (u64, Vec<u8>) {
        self.place = Place::RecordStart;
        let line = std::mem::replace(&mut self.record_line, self.line);
        (line, std::mem::take(&mut self.record))
    }
}

/// The place after a byte of CSV.
fn next(place: Place, byte: u8, symbols: Symbols) -> Place {
    match place {
        Place::Quoted if byte == symbols.quote => Place::AfterQuote,
        Place::Quoted if Some(byte) == symbols.escape => Place::Escaped,
        Place::Quoted | Place::Escaped => Place::Quoted,
        Place::RecordStart if Some(byte) == symbols.comment => Place::Comment,
        Place::Comment => Place::Comment,
        Place::RecordStart | Place::FieldStart | Place::AfterQuote if byte == symbols.quote => Place::Quoted,
        _ if byte == symbols.delimiter => Place::FieldStart,
        _ => Place::Inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: Symbols = Symbols { delimiter: b',', quote: b'"', escape: Some(b'\\'), comment: Some(b'#') };

    /// The records of a text with their lines, however it is cut into pieces.
    fn records(text: &str) -> Vec<(u64, String)> {
        let split = |size: usize| {
            let mut splitter = Splitter::new(Cut::Csv(SYMBOLS));
            let mut records = Vec::new();
            for mut piece in text.as_bytes().chunks(size) {
                while !piece.is_empty() {
                    let (taken, record) = splitter.take(piece);
                    piece = &piece[taken..];
                    records.extend(record);
                }
            }
            records.extend(splitter.rest());
            records.into_iter().map(|(line, record)| (line, String::from_utf8(record).unwrap())).collect::<Vec<_>>()
        };
        let whole = split(text.len());
        for size in 1..text.len() {
            assert_eq!(split(size), whole, "{text:?} in pieces of {size}");
        }
        whole
    }

    fn expected(records: &[(u64, &str)]) -> Vec<(u64, String)> {
        records.iter().map(|(line, record)| (*line, (*record).to_owned())).collect()
    }

    #[test]
    fn records_end_where_lines_end() {
        assert_eq!(records("a,b\nc\n\nd"), expected(&[(1, "a,b\n"), (2, "c\n"), (3, "\n"), (4, "d")]));
        assert_eq!(records("a\r\nb\r\n"), expected(&[(1, "a\r\n"), (2, "b\r\n")]));
        assert_eq!(records("a\rb\r"), expected(&[(1, "a\r"), (2, "b\r")]));
        assert_eq!(records("a\r\rb\n"), expected(&[(1, "a\r"), (2, "\r"), (3, "b\n")]));
    }

    #[test]
    fn quotes_protect_line_breaks_only_where_they_open_a_field() {
        assert_eq!(records("a,\"b\nb\"\nc"), expected(&[(1, "a,\"b\nb\"\n"), (3, "c")]));
        assert_eq!(records("\"a\"\"\n\"\nb"), expected(&[(1, "\"a\"\"\n\"\n"), (3, "b")]));
        assert_eq!(records("5\" pipe,x\n6,y"), expected(&[(1, "5\" pipe,x\n"), (2, "6,y")]));
        assert_eq!(records("\"a\" \"b\nc"), expected(&[(1, "\"a\" \"b\n"), (2, "c")]));
        assert_eq!(records("a,\"b\nc\nd"), expected(&[(1, "a,\"b\nc\nd")]));
        assert_eq!(records("\"a\r\nb\"\r\nc"), expected(&[(1, "\"a\r\nb\"\r\n"), (3, "c")]));
    }

    #[test]
    fn comments_and_escaped_quotes() {
        assert_eq!(records("a\n# \"x\nb"), expected(&[(1, "a\n"), (2, "# \"x\n"), (3, "b")]));
        assert_eq!(records("\"a\\\"\nb\"\nc"), expected(&[(1, "\"a\\\"\nb\"\n"), (3, "c")]));
        assert_eq!(records("x,#\"\ny"), expected(&[(1, "x,#\"\n"), (2, "y")]));
    }

    #[test]
    fn elements_begin_where_their_first_line_is() {
        let mut splitter = Splitter::new(Cut::Elements);
        let (mut rest, mut found) = (&b"\n\n{\n}\t\n {}\t{}\n\t\n"[..], Vec::new());
        while !rest.is_empty() {
            let (taken, record) = splitter.take(rest);
            rest = &rest[taken..];
            found.extend(record.map(|(line, _)| line));
        }
        assert_eq!(found, [3, 5, 5]);
    }
}
