//! An ORC object of a store, as the library reads it: it trusts the lengths that a file claims, and what its compressed blocks become.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use orc_rust::proto::{CompressionKind, PostScript};
use orc_rust::reader::AsyncChunkReader;
use prost::Message;
use prost::encoding::decode_varint;

use super::bad;
use crate::error::Result;
use crate::store::storage;

/// Bytes of an object's end that are read at first; the library wants 16 KiB.
const TAIL: u64 = 64 << 10;
/// Bytes of the parts at the end that describe the others, and what they may be decompressed.
const LARGEST_TAIL: u64 = 64 << 20;
const LARGEST_FOOTER: u64 = 256 << 20;

/// Bytes of a block where a file does not say how many there are at most.
const USUAL_BLOCK: u64 = 256 << 10;
/// Bytes of a block at most: its header has 23 bits for them.
const LARGEST_BLOCK: u64 = 1 << 23;
/// Bytes before each block: three, of which one bit says that it is not compressed.
const HEADER: usize = 3;

/// See the module's documentation.
pub(super) struct Stored {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// The end of the object, which has been checked, and where it begins.
    tail: Bytes,
    begin: u64,
    blocks: Blocks,
    /// Whether the library has read the end: all that follows is made of blocks.
    is_open: Arc<AtomicBool>,
}

impl Stored {
    /// Reads the end of an object. The flag is to be set when the library has done so too.
    ///
    /// # Errors
    /// What the storage did not do; [`Code::BadObject`](crate::Code::BadObject).
    pub(super) async fn open(store: Arc<dyn ObjectStore>, meta: ObjectMeta) -> Result<(Self, Arc<AtomicBool>)> {
        let begin = meta.size.saturating_sub(TAIL);
        let tail = read(&store, &meta, begin, meta.size).await?;
        let Some((length, rest)) = tail.split_last() else { return Err(bad("it is empty")) };
        let start = rest.len().checked_sub(usize::from(*length)).ok_or_else(|| bad("it is too short"))?;
        let postscript = PostScript::decode(&rest[start..]).map_err(|error| bad(&error.to_string()))?;
        let blocks = Blocks::of(&postscript)?;
        let (footer, metadata) = (postscript.footer_length(), postscript.metadata_length());
        let described = footer.checked_add(metadata).filter(|length| *length <= LARGEST_TAIL);
        let described = described.ok_or_else(|| bad("its footer is too long"))?;
        let end = begin + start as u64;
        let first = end.checked_sub(described).ok_or_else(|| bad("it is too short for its footer"))?;
        let (begin, tail) = if first < begin {
            let before = read(&store, &meta, first, begin).await?;
            (first, [before.as_ref(), tail.as_ref()].concat().into())
        } else {
            (begin, tail)
        };
        let is_open = Arc::new(AtomicBool::new(false));
        let stored = Self { store, meta, tail, begin, blocks, is_open: Arc::clone(&is_open) };
        let described = stored.in_tail(first, end);
        let (metadata, footer) = described.split_at(usize::try_from(metadata).unwrap_or(usize::MAX));
        if stored.blocks.check(metadata)?.saturating_add(stored.blocks.check(footer)?) > LARGEST_FOOTER {
            return Err(bad("its footer is too long"));
        }
        Ok((stored, is_open))
    }

    /// A part that lies in the tail.
    fn in_tail(&self, start: u64, end: u64) -> Bytes {
        let place = |at: u64| usize::try_from(at - self.begin).unwrap_or(usize::MAX).min(self.tail.len());
        self.tail.slice(place(start)..place(end))
    }
}

async fn read(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta, start: u64, end: u64) -> Result<Bytes> {
    // No part of an object is empty.
    if start == end {
        return Ok(Bytes::new());
    }
    let range = Some(GetRange::Bounded(start..end));
    let options = GetOptions { range, if_match: meta.e_tag.clone(), ..GetOptions::default() };
    let failed = |error| storage(meta.location.as_ref(), error);
    store.get_opts(&meta.location, options).await.map_err(failed)?.bytes().await.map_err(failed)
}

impl AsyncChunkReader for Stored {
    fn len(&mut self) -> BoxFuture<'_, io::Result<u64>> {
        std::future::ready(Ok(self.meta.size)).boxed()
    }

    fn get_bytes(&mut self, offset: u64, length: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        let end = offset.checked_add(length).filter(|end| *end <= self.meta.size);
        async move {
            let end = end.ok_or_else(|| io::Error::other(bad("it is too short for what its footer says")))?;
            let bytes = if offset >= self.begin {
                self.in_tail(offset, end)
            } else {
                read(&self.store, &self.meta, offset, end).await.map_err(io::Error::other)?
            };
            if self.is_open.load(Ordering::Relaxed) {
                self.blocks.check(&bytes).map_err(io::Error::other)?;
            }
            Ok(bytes)
        }
        .boxed()
    }
}

/// How the blocks of a file are compressed.
struct Blocks {
    kind: CompressionKind,
    /// Bytes of a block, decompressed.
    largest: u64,
}

impl Blocks {
    fn of(postscript: &PostScript) -> Result<Self> {
        let largest = postscript.compression_block_size.unwrap_or(USUAL_BLOCK);
        if largest > LARGEST_BLOCK {
            return Err(bad(&format!("it has blocks of {largest} bytes")));
        }
        Ok(Self { kind: postscript.compression(), largest: largest.max(USUAL_BLOCK) })
    }

    /// Bytes of a part of the file, decompressed. What is no block, or cannot be decompressed, is the library's to refuse.
    ///
    /// # Errors
    /// [`Code::BadObject`](crate::Code::BadObject) for a block that becomes larger than the file says.
    fn check(&self, part: &[u8]) -> Result<u64> {
        if self.kind == CompressionKind::None {
            return Ok(part.len() as u64);
        }
        let (mut rest, mut all) = (part, 0_u64);
        while let Some((&[a, b, c], after)) = rest.split_first_chunk::<HEADER>() {
            let header = u32::from_le_bytes([a, b, c, 0]);
            let length = (header >> 1) as usize;
            let Some((block, after)) = after.split_at_checked(length) else { break };
            let size = if header & 1 == 1 { length as u64 } else { self.decompressed(block) };
            if size > self.largest {
                let most = self.largest;
                return Err(bad(&format!("a compressed block becomes larger than the {most} bytes of its blocks")));
            }
            all += size;
            rest = after;
        }
        Ok(all)
    }

    /// Bytes of a block, decompressed; no more than are needed to see that it is too large.
    fn decompressed(&self, mut block: &[u8]) -> u64 {
        let counted = |decoder: &mut dyn Read| io::copy(&mut decoder.take(self.largest + 1), &mut io::sink());
        let counted = match self.kind {
            CompressionKind::Zlib => counted(&mut flate2::read::DeflateDecoder::new(block)),
            CompressionKind::Zstd => {
                zstd::stream::read::Decoder::new(block).and_then(|mut decoder| counted(&mut decoder))
            }
            CompressionKind::Snappy => Ok(decode_varint(&mut block).unwrap_or_default()),
            // Each byte becomes 255 at most.
            CompressionKind::Lzo => Ok(if block.len() as u64 > USUAL_BLOCK { self.largest + 1 } else { 0 }),
            // The library has a limit here.
            CompressionKind::Lz4 | CompressionKind::None => Ok(0),
        };
        counted.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn framed(block: &[u8], is_original: bool) -> Vec<u8> {
        let header = (u32::try_from(block.len()).unwrap() << 1 | u32::from(is_original)).to_le_bytes();
        [&header[..HEADER], block].concat()
    }

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn blocks_become_no_larger_than_the_file_says() {
        let zeros = |length: u64| vec![0_u8; usize::try_from(length).unwrap()];
        let varint = |size: u64| {
            let mut block = Vec::new();
            prost::encoding::encode_varint(size, &mut block);
            block
        };
        for (kind, compress) in [
            (CompressionKind::Zlib, (&|size| deflated(&zeros(size))) as &dyn Fn(u64) -> Vec<u8>),
            (CompressionKind::Zstd, &|size| zstd::encode_all(zeros(size).as_slice(), 1).unwrap()),
            (CompressionKind::Snappy, &varint),
        ] {
            let blocks = Blocks { kind, largest: USUAL_BLOCK };
            let whole = framed(&compress(USUAL_BLOCK), false);
            let part = [whole.as_slice(), &framed(b"as it is", true), &whole].concat();
            assert_eq!(blocks.check(&part).unwrap(), 2 * USUAL_BLOCK + 8, "{kind:?}");
            let bomb = framed(&compress(USUAL_BLOCK + 1), false);
            let error = blocks.check(&[part, bomb].concat()).unwrap_err();
            assert!(error.message.contains("becomes larger"), "{error}");
        }
        let none = Blocks { kind: CompressionKind::None, largest: USUAL_BLOCK };
        assert_eq!(none.check(&[0xFF; 9]).unwrap(), 9);
        let zlib = Blocks { kind: CompressionKind::Zlib, largest: USUAL_BLOCK };
        assert_eq!(zlib.check(&framed(b"no deflate", false)[..7]).unwrap(), 0, "cut short");
    }
}
