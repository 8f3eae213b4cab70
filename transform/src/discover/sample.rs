//! Samples of a table's objects: the start of texts, the footers of Parquet.

use std::io::Read;

use arrow::datatypes::Schema as ArrowSchema;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::DecodeResult;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

use super::format::{self, Family};
use super::survey::Object;
use crate::code::{Code, Kind};
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::panic::unpanicked;
use crate::source::{self, Transcoder, encoding_of};
use crate::store::{DataRoot, storage};

/// Samples read at a time.
const PARALLEL_READS: usize = 16;

/// Bytes read of a text. A block of bzip2 holds 900 kB of text, of which a smaller sample might show nothing.
const START: u64 = 256 * 1024;
const START_OF_BZIP2: u64 = 1024 * 1024;

/// Bytes of decompressed text that are looked at.
const TEXT: u64 = 1024 * 1024;

/// Bytes read of all texts together, and looked at: of many objects less of each.
const STARTS: u64 = 16 * 1024 * 1024;
const TEXTS: u64 = 64 * 1024 * 1024;

/// Bytes read of the end of a Parquet object at first, and at most.
const FOOTER: u64 = 64 * 1024;
const LARGEST_FOOTER: u64 = 64 * 1024 * 1024;

/// What was seen of one object.
#[derive(Debug)]
pub(super) struct Sample {
    /// URL of the object.
    pub url: String,
    /// Path below the table's location.
    pub below: String,
    /// The content.
    pub content: Content,
}

/// The part of an object that tells its schema.
#[derive(Debug)]
pub(super) enum Content {
    /// The start of a text, decompressed and in UTF-8.
    Text {
        /// The text.
        text: Vec<u8>,
        /// Whether that is all of it.
        complete: bool,
        /// CSV or JSON.
        family: Family,
        /// Whether the name says that fields are divided by tabs.
        tabs: bool,
    },
    /// What the object says of itself.
    Declared {
        /// Parquet, Avro or ORC.
        family: Family,
        /// The schema.
        schema: ArrowSchema,
        /// Number of rows; of Avro, whether there are any.
        rows: i64,
    },
}

impl Sample {
    /// The format of the object.
    pub(super) fn family(&self) -> Family {
        match &self.content {
            Content::Text { family, .. } | Content::Declared { family, .. } => *family,
        }
    }
}

/// Reads samples of some objects, from the oldest to the newest: of more than `at_most`, half from either end. `known` is the format of
/// their table, if it has one. An object that cannot be read, or is of another format, is a finding; one that is gone since the
/// listing is none.
///
/// # Errors
/// What the storage did not do.
pub(super) async fn read(
    root: &DataRoot,
    objects: &[Object],
    known: Option<&Format>,
    at_most: usize,
    findings: &mut Vec<Error>,
) -> Result<Vec<Sample>> {
    let chosen = chosen(objects, at_most);
    let share = Share::of(chosen.len() as u64);
    let read: Vec<(Object, Result<Content>)> = futures::stream::iter(chosen)
        .map(|object| async move {
            let content = content(root, &object, known, share).await;
            (object, content)
        })
        .buffered(PARALLEL_READS)
        .collect()
        .await;
    let mut samples = Vec::with_capacity(read.len());
    for (object, content) in read {
        match content {
            Ok(content) => {
                let sample = Sample { url: object.url, below: object.below, content };
                match known.map(Family::of) {
                    Some(expected) if expected != sample.family() => findings.push(
                        format::other_than_table(&sample.below, sample.family(), expected).in_object(sample.url, None),
                    ),
                    _ => samples.push(sample),
                }
            }
            Err(error) if error.code == Code::ObjectGone => {}
            Err(error) if error.kind() == Kind::Retry => return Err(error),
            Err(error) => findings.push(error.in_object(object.url, None)),
        }
    }
    Ok(samples)
}

fn chosen(objects: &[Object], at_most: usize) -> Vec<Object> {
    let mut chosen: Vec<Object> = objects.to_vec();
    chosen.sort_by(|a, b| (a.modified, &a.below).cmp(&(b.modified, &b.below)));
    if chosen.len() > at_most {
        chosen.drain(at_most / 2..chosen.len() - at_most / 2);
    }
    chosen
}

/// Bytes of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    start: u64,
    text: u64,
}

impl Share {
    fn of(objects: u64) -> Self {
        Self { start: START.min(STARTS / objects.max(1)), text: TEXT.min(TEXTS / objects.max(1)) }
    }
}

async fn content(root: &DataRoot, object: &Object, known: Option<&Format>, share: Share) -> Result<Content> {
    let expected = known.map(Family::of).or_else(|| format::promised(object.file_name()));
    if expected == Some(Family::Parquet) {
        return parquet(root, object).await;
    }
    if expected == Some(Family::Orc) {
        let found = root.store().head(&object.path).await.map_err(|error| storage(&object.url, error))?;
        return orc(root, found).await;
    }
    let (mut start, mut found) = part(root, object, GetRange::Bounded(0..share.start), None).await?;
    let codec = Codec::of_content(&start);
    if codec == Some(Codec::Bzip2) && found.size > share.start {
        (start, found) = part(root, object, GetRange::Bounded(0..START_OF_BZIP2), None).await?;
    }
    let is_whole = found.size <= start.len() as u64;
    let (text, complete) = match codec {
        None => (start.to_vec(), is_whole),
        Some(codec) => decompress(codec, &start, is_whole, share.text)?,
    };
    match format::of_magic(&text) {
        Some(Family::Parquet) if codec.is_none() => return parquet(root, object).await,
        Some(Family::Orc) if codec.is_none() => return orc(root, found).await,
        Some(Family::Avro) => return avro(&text),
        Some(family) => {
            let message = format!("the content is {} inside of a compressed object", family.name());
            return Err(Error::new(Code::BadObject, message).help("upload it without the compression round it"));
        }
        None => {}
    }
    let declared = match known {
        Some(Format::Csv(options)) => options.encoding.as_deref(),
        _ => None,
    };
    let text = match encoding_of(&text, declared)? {
        Some(encoding) => {
            // The last character of an incomplete sample may be cut.
            let whole = if complete { text.len() } else { text.len() / 4 * 4 };
            Transcoder::new(encoding).decode(&text[..whole], complete)?.to_vec()
        }
        None => text,
    };
    let family = format::of_text(&text, complete, expected)?;
    Ok(Content::Text { text, complete, family, tabs: format::has_tabs(object.file_name()) })
}

/// What an Avro header says. Its blocks are not counted.
fn avro(start: &[u8]) -> Result<Content> {
    let schema = source::avro_schema(start)?;
    Ok(Content::Declared { family: Family::Avro, schema, rows: 1 })
}

async fn orc(root: &DataRoot, found: ObjectMeta) -> Result<Content> {
    let (schema, rows) = source::orc_schema(root.store(), found).await?;
    Ok(Content::Declared { family: Family::Orc, schema, rows: i64::try_from(rows).unwrap_or(i64::MAX) })
}

async fn parquet(root: &DataRoot, object: &Object) -> Result<Content> {
    unpanicked(footer(root, object)).await.map_err(|error| match error.code {
        Code::Internal => damaged_footer().because(error),
        _ => error,
    })
}

/// A part of an object, with its size and version: whoever told of the object may have seen another. With a version it must be that.
///
/// # Errors
/// [`Code::ObjectGone`] if the object is gone, empty, or another by now, which is an arrival of its own.
async fn part(
    root: &DataRoot,
    object: &Object,
    range: GetRange,
    version: Option<&ObjectMeta>,
) -> Result<(Bytes, ObjectMeta)> {
    let if_match = version.and_then(|version| version.e_tag.clone());
    let options = GetOptions { range: Some(range), if_match, ..GetOptions::default() };
    let found = match root.store().get_opts(&object.path, options).await {
        Ok(found) => found,
        Err(object_store::Error::Precondition { .. }) => return Err(replaced(object)),
        // No part of an empty object can be asked for.
        Err(error) => match root.store().head(&object.path).await {
            Ok(meta) if meta.size == 0 => return Err(replaced(object)),
            _ => return Err(storage(&object.url, error)),
        },
    };
    let meta = found.meta.clone();
    Ok((found.bytes().await.map_err(|error| storage(&object.url, error))?, meta))
}

fn replaced(object: &Object) -> Error {
    Error::new(Code::ObjectGone, "the object was replaced while it was read").in_object(&object.url, None)
}

/// The start of a compressed text, and whether that is all of it. A sample may end anywhere; an object must not.
fn decompress(codec: Codec, start: &[u8], is_whole: bool, at_most: u64) -> Result<(Vec<u8>, bool)> {
    let damaged = |error: std::io::Error| {
        Error::new(Code::BadObject, "the compressed content is damaged or cut short")
            .because(error)
            .help("upload the object again")
    };
    let decoder: Box<dyn Read + '_> = match codec {
        Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(start)),
        Codec::Zstd => Box::new(zstd::stream::read::Decoder::new(start).map_err(damaged)?),
        Codec::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(start)),
    };
    let mut text = Vec::new();
    // One byte more than is looked at tells a text that ends there from one that goes on.
    let read = decoder.take(at_most + 1).read_to_end(&mut text);
    if text.len() as u64 > at_most {
        text.truncate(usize::try_from(at_most).unwrap_or(usize::MAX));
        return Ok((text, false));
    }
    match read {
        Ok(_) => Ok((text, is_whole)),
        Err(_) if !is_whole && !text.is_empty() => Ok((text, false)),
        Err(error) => Err(damaged(error)),
    }
}

async fn footer(root: &DataRoot, object: &Object) -> Result<Content> {
    let metadata = parquet_metadata(root, object).await?;
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).map_err(not_parquet)?;
    Ok(Content::Declared { family: Family::Parquet, schema, rows: file.num_rows() })
}

async fn parquet_metadata(root: &DataRoot, object: &Object) -> Result<ParquetMetaData> {
    let (tail, found) = part(root, object, GetRange::Suffix(FOOTER), None).await?;
    check_footer_length(&tail, found.size)?;
    let place = found.size - tail.len() as u64..found.size;
    let (mut wanted, mut data) = (vec![place], vec![tail]);
    let mut decoder = ParquetMetaDataPushDecoder::try_new(found.size)
        .map_err(not_parquet)?
        .with_page_index_policy(PageIndexPolicy::Skip);
    loop {
        decoder.push_ranges(wanted, data).map_err(not_parquet)?;
        wanted = match decoder.try_decode().map_err(not_parquet)? {
            DecodeResult::Data(metadata) => return Ok(metadata),
            DecodeResult::NeedsData(ranges) => ranges,
            DecodeResult::Finished => {
                return Err(Error::new(Code::Internal, "the Parquet decoder ended without a footer"));
            }
        };
        data = futures::stream::iter(wanted.clone())
            .map(|wanted| part(root, object, GetRange::Bounded(wanted), Some(&found)))
            .buffered(PARALLEL_READS)
            .map_ok(|(part, _)| part)
            .try_collect()
            .await?;
    }
}

/// The decoder trusts the length that the last 8 bytes give.
fn check_footer_length(tail: &[u8], size: u64) -> Result<()> {
    let length = match tail.last_chunk::<8>() {
        Some([a, b, c, d, b'P', b'A', b'R', b'1']) => u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => return Err(not_parquet(ParquetError::General("the last bytes are not `PAR1`".to_owned()))),
    };
    if length + 12 > size || length > LARGEST_FOOTER {
        return Err(not_parquet(ParquetError::General(format!("a footer of {length} bytes in {size}"))));
    }
    Ok(())
}

fn not_parquet(error: ParquetError) -> Error {
    damaged_footer().because(error)
}

fn damaged_footer() -> Error {
    Error::new(Code::BadObject, "the object is not a whole Parquet file").help("upload it again")
}
