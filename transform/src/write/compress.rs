//! Compressing pages with few compressors.
//!
//! Parquet's column writers have a compressor each. With zstd it takes about a megabyte: for every column of every open file that
//! is most of the memory of a run, and its pages have to be zeroed and fetched again and again. Column writers are told not to
//! compress, and each page is compressed by one of as many compressors as there are threads, on its way to where it waits.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use parquet::basic::Compression as Codec;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use zstd::bulk::Compressor;

/// Type of dictionary pages in page headers.
const DICTIONARY: u64 = 2;
/// A field of 32 bits that follows the field before, in Thrift's compact protocol.
const NEXT_I32: u8 = 0x15;

/// How pages are compressed.
pub(super) struct Compression {
    /// zstd; `None`: the column writers compress by themselves.
    shared: Option<(Codec, i32)>,
    idle: Mutex<Vec<Idle>>,
}

/// A compressor that nobody uses, and the room for its output.
struct Idle {
    compressor: Compressor<'static>,
    output: Vec<u8>,
}

/// A page as it will lie in the file.
pub(super) struct Compressed {
    /// Its header and its values.
    pub(super) bytes: Bytes,
    /// Bytes that it would have without compression.
    pub(super) uncompressed: u64,
    pub(super) is_dictionary: bool,
}

impl Compression {
    /// Of the settings; and these as column writers are to have them.
    pub(super) fn of(properties: WriterProperties) -> (Self, WriterProperties) {
        // It is one for all columns.
        let (shared, properties) = match properties.compression(&ColumnPath::new(Vec::new())) {
            codec @ Codec::ZSTD(level) => {
                let properties = properties.into_builder().set_compression(Codec::UNCOMPRESSED).build();
                (Some((codec, level.compression_level())), properties)
            }
            _ => (None, properties),
        };
        (Self { shared, idle: Mutex::default() }, properties)
    }

    /// The codec of pages that column writers have not compressed.
    pub(super) fn codec(&self) -> Option<Codec> {
        self.shared.map(|(codec, _)| codec)
    }

    /// A page, as it comes from a column writer.
    pub(super) fn page(&self, header: &[u8], values: &[u8]) -> Result<Compressed> {
        let parsed =
            Header::parse(header).ok_or_else(|| ParquetError::General("a page has a strange header".to_owned()))?;
        let is_dictionary = parsed.page_type == DICTIONARY;
        let Some((_, level)) = self.shared else {
            let bytes = [header, values].concat().into();
            return Ok(Compressed { bytes, uncompressed: 0, is_dictionary });
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut idle = match idle {
            Some(idle) => idle,
            None => Idle { compressor: Compressor::new(level)?, output: Vec::new() },
        };
        idle.output.clear();
        idle.output.reserve(zstd::zstd_safe::compress_bound(values.len()));
        let size = idle.compressor.compress_to_buffer(values, &mut idle.output)?;
        let header = parsed.resized(size);
        let bytes = [header.as_slice(), &idle.output[..size]].concat().into();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        Ok(Compressed { bytes, uncompressed: (header.len() + values.len()) as u64, is_dictionary })
    }
}

/// A page header, as far as it matters here: its first fields are the type of the page and its sizes, without compression and with
/// it.
struct Header<'a> {
    page_type: u64,
    before_size: &'a [u8],
    after_size: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(header: &'a [u8]) -> Option<Self> {
        let mut rest = header;
        let page_type = next_i32(&mut rest)?;
        next_i32(&mut rest)?;
        // The field's own type stays.
        let before_size = &header[..header.len() - rest.len() + 1];
        next_i32(&mut rest)?;
        Some(Self { page_type, before_size, after_size: rest })
    }

    /// The header with another size of the page.
    fn resized(&self, size: usize) -> Vec<u8> {
        let mut header = Vec::with_capacity(self.before_size.len() + self.after_size.len() + 5);
        header.extend_from_slice(self.before_size);
        let mut left = (size as u64) << 1;
        while left >= 0x80 {
            header.push(left as u8 | 0x80);
            left >>= 7;
        }
        header.push(left as u8);
        header.extend_from_slice(self.after_size);
        header
    }
}

/// Takes a field of 32 bits that is not negative.
fn next_i32(rest: &mut &[u8]) -> Option<u64> {
    let (&kind, mut bytes) = rest.split_first()?;
    if kind != NEXT_I32 {
        return None;
    }
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, after) = bytes.split_first()?;
        bytes = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            *rest = bytes;
            return Some(number >> 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_size_of_what_was_compressed() {
        // A data page of 300 bytes, then the header of a data page.
        let header = [0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0xd8, 0x04, 0x2c, 0x15, 0x0a, 0x00, 0x00];
        let parsed = Header::parse(&header).unwrap();
        assert_eq!(parsed.page_type, 0);
        assert_eq!(parsed.resized(300), header);
        assert_eq!(parsed.resized(7), [0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x0e, 0x2c, 0x15, 0x0a, 0x00, 0x00]);
        assert!(Header::parse(&header[..7]).is_none());
        assert!(Header::parse(&[0x25, 0x00]).is_none());
    }
}
