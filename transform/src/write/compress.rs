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

use crate::page::{DICTIONARY, Header};

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
        let (parsed, _) =
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
