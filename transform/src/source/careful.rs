//! Reads a text object record by record, so that one that cannot be read is told from the others.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::{Buf, Bytes};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::bytes::{Text, open};
use super::csv::UNCLOSED;
use super::decoder::RecordDecoder;
use super::heading::{Head, Heading, csv_fields, cut};
use super::keys::Renamer;
use super::reader::ObjectReader;
use super::records::Splitter;
use super::rejects::Rejected;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::{CsvOptions, Format};
use crate::hive::HiveType;

/// Bytes of records that are tried together.
const CHUNK_BYTES: usize = 8 << 20;

/// What can be done about a record that cannot be read.
pub(super) const MEND: &str =
    "mend the object and upload it again, or have `@on_bad_record: quarantine` leave such records out";

/// A record.
pub(super) struct Record {
    /// The line on which it begins.
    pub(super) line: u64,
    /// Its text, with the keys that the table knows.
    pub(super) text: Vec<u8>,
    /// The same as it is written in the object, if that is another.
    pub(super) written: Option<Vec<u8>>,
}

impl Record {
    /// The same as one that cannot be read.
    pub(super) fn bad(self, reason: String) -> Bad {
        Bad { line: self.line, reason, record: self.written.unwrap_or(self.text) }
    }
}

/// A text object, as far as it has been read.
pub(super) struct Careful {
    reader: Arc<ObjectReader>,
    text: Text,
    pending: Bytes,
    splitter: Splitter,
    /// For JSON.
    renamer: Option<Renamer>,
    /// Lines of a header that were taken, and the names of the fields once they are known; for CSV.
    lines: u32,
    names: Option<Vec<String>>,
    object: String,
}

/// Some records, told apart.
pub(super) struct Sifted {
    /// The rows of those that can be read.
    pub(super) batches: Vec<RecordBatch>,
    /// Those themselves.
    pub(super) good: Vec<Record>,
    /// Those that cannot.
    pub(super) bad: Vec<Bad>,
}

/// A record that cannot be read.
pub(super) struct Bad {
    /// The line on which it begins.
    pub(super) line: u64,
    /// What is wrong with it, in the words of its columns.
    pub(super) reason: String,
    pub(super) record: Vec<u8>,
}

/// Batches of the wanted columns of one object; records that cannot be read are put aside.
///
/// # Errors
/// What the storage did not do, and what is wrong with the object as a whole.
pub(super) async fn read(
    reader: Arc<ObjectReader>,
    store: &Arc<dyn ObjectStore>,
    meta: ObjectMeta,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let at_once = reader.batch_size;
    let careful = Careful::open(reader, store, &meta).await?;
    let sifted = stream::try_unfold(careful, move |mut careful| async move {
        let Some(records) = careful.next(at_once).await? else { return Ok(None) };
        let Sifted { batches, bad, .. } = careful.sifter(&careful.reader).sift(records)?;
        careful.put_aside(bad)?;
        Ok(Some((stream::iter(batches.into_iter().map(Ok)), careful)))
    });
    Ok(sifted.try_flatten().boxed())
}

impl Careful {
    pub(super) async fn open(
        reader: Arc<ObjectReader>,
        store: &Arc<dyn ObjectStore>,
        meta: &ObjectMeta,
    ) -> Result<Self> {
        let text = open(store, meta, &reader.table.format, None).await?;
        let splitter = Splitter::new(text.cut);
        let is_json = matches!(reader.table.format, Format::Json(_));
        let renamer = is_json.then(|| Renamer::new(Arc::clone(&reader.keys)));
        let object = meta.location.to_string();
        Ok(Self { reader, text, pending: Bytes::new(), splitter, renamer, lines: 0, names: None, object })
    }

    /// The next records, some of them at once; `None` at the end of the object.
    ///
    /// # Errors
    /// What the storage did not do, what is wrong with the object's compression or characters.
    pub(super) async fn next(&mut self, at_most: usize) -> Result<Option<Vec<Record>>> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < at_most && bytes < CHUNK_BYTES {
            let (line, record) = if self.pending.is_empty() {
                match self.text.bytes.try_next().await? {
                    Some(bytes) => {
                        self.pending = bytes;
                        continue;
                    }
                    None => match self.splitter.rest() {
                        Some(record) => record,
                        None => break,
                    },
                }
            } else {
                let (taken, record) = self.splitter.take(&self.pending);
                self.pending.advance(taken);
                let Some(record) = record else { continue };
                record
            };
            if self.is_row(&record)? {
                bytes += record.len();
                let text = self.renamer.as_mut().map(|renamer| renamer.record(&record));
                let text = text.filter(|text| *text != record);
                records.push(match text {
                    Some(text) => Record { line, text, written: Some(record) },
                    None => Record { line, text: record, written: None },
                });
            }
        }
        Ok((!records.is_empty()).then_some(records))
    }

    /// Whether a record is no part of the header.
    fn is_row(&mut self, record: &[u8]) -> Result<bool> {
        let reader = Arc::clone(&self.reader);
        let Format::Csv(options) = &reader.table.format else { return Ok(true) };
        if self.names.is_some() {
            return Ok(true);
        }
        let mut heading = Heading::again(options, &reader.table.columns, self.lines);
        let head = heading.take(record);
        self.lines = heading.lines();
        let (names, is_row) = match head.map_err(|error| error.in_object(&self.object, Some(1)))? {
            Head::Passed => return Ok(false),
            Head::Names(names) => (names, false),
            Head::Row(names) => (names, true),
        };
        // Fields of which the table knows none are no rows of it.
        reader.csv_decoder(&names, options).map_err(|error| error.in_object(&self.object, Some(1)))?;
        self.names = Some(names);
        Ok(is_row)
    }

    /// The names of the fields of a CSV object, once they are known.
    pub(super) fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// Puts records aside that cannot be read.
    ///
    /// # Errors
    /// [`Code::BadRecord`] for the first of them if there is no place for them, or if there are too many.
    pub(super) fn put_aside(&self, bad: Vec<Bad>) -> Result<()> {
        for Bad { line, reason, record } in bad {
            let Some(rejects) = &self.reader.rejects else {
                return Err(Error::new(Code::BadRecord, reason).in_object(&self.object, Some(line)).help(MEND));
            };
            let (object, record) = (self.object.clone(), String::from_utf8_lossy(&record).into_owned());
            rejects.add(Rejected { table: self.reader.table.name.clone(), object, line, reason, record })?;
        }
        Ok(())
    }

    /// Tells records apart with the columns that are wanted.
    pub(super) fn sifter<'a>(&'a self, reader: &'a Arc<ObjectReader>) -> Sifter<'a> {
        Sifter { reader, names: self.names.as_deref() }
    }
}

/// Tells records that can be read from the others.
pub(super) struct Sifter<'a> {
    reader: &'a Arc<ObjectReader>,
    /// The names of the fields, for CSV.
    names: Option<&'a [String]>,
}

impl Sifter<'_> {
    fn csv(&self) -> Option<&CsvOptions> {
        match &self.reader.table.format {
            Format::Csv(options) => Some(options),
            _ => None,
        }
    }

    fn decoder(&self) -> Result<RecordDecoder> {
        match (self.csv(), self.names) {
            (Some(options), Some(names)) => self.reader.csv_decoder(names, options),
            _ => self.reader.json_decoder(),
        }
    }

    /// The rows of records, if all of them can be read.
    ///
    /// # Errors
    /// As the decoder's, which is not the records' fault.
    pub(super) fn together(&self, records: &[Record]) -> Result<Option<Vec<RecordBatch>>> {
        let text: Vec<u8> = records.iter().flat_map(|record| record.text.iter().copied()).collect();
        Ok(decode(self.decoder()?, &text).ok())
    }

    /// The rows of a record, if it can be read.
    ///
    /// # Errors
    /// As [`Sifter::together`].
    pub(super) fn alone(&self, record: &[u8]) -> Result<Option<Vec<RecordBatch>>> {
        Ok(decode(self.decoder()?, record).ok())
    }

    /// Tells the records that can be read from the others.
    ///
    /// # Errors
    /// As [`Sifter::together`].
    pub(super) fn sift(&self, records: Vec<Record>) -> Result<Sifted> {
        if let Some(batches) = self.together(&records)? {
            return Ok(Sifted { batches, good: records, bad: Vec::new() });
        }
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for record in records {
            match decode(self.decoder()?, &record.text) {
                Ok(_) => good.push(record),
                Err(failure) => {
                    let reason = self.explain(&record.text, &failure)?;
                    bad.push(record.bad(reason));
                }
            }
        }
        // What can be read alone can be read together, unless a record ends in the middle of a value.
        match self.together(&good)? {
            Some(batches) => Ok(Sifted { batches, good, bad }),
            None => {
                let alone = good.iter().map(|record| Ok(self.alone(&record.text)?.unwrap_or_default()));
                let alone: Vec<Vec<RecordBatch>> = alone.collect::<Result<_>>()?;
                Ok(Sifted { batches: alone.into_iter().flatten().collect(), good, bad })
            }
        }
    }

    /// What is wrong with a record, in the words of its columns.
    fn explain(&self, record: &[u8], failure: &ArrowError) -> Result<String> {
        let (Some(options), Some(names)) = (self.csv(), self.names) else { return Ok(plain(failure)) };
        let mut splitter = Splitter::new(cut(options)?);
        splitter.take(record);
        if splitter.in_quotes() {
            return Ok(UNCLOSED.to_owned());
        }
        let Some(fields) = csv_fields(record, options) else {
            return Ok("the record is not UTF-8 text".to_owned());
        };
        if fields.len() != names.len() {
            let what = if options.has_names() { "the header" } else { "the first record" };
            return Ok(format!("the record has {} fields, {what} has {}", fields.len(), names.len()));
        }
        for field in self.reader.wanted.fields() {
            let only = self.reader.wanting(vec![field.as_ref().clone()]);
            if decode(only.csv_decoder(names, options)?, record).is_err()
                && let Some(index) = names.iter().position(|name| name == field.name())
            {
                let value: String = fields[index].chars().take(80).collect();
                let hive_type = HiveType::of(field.data_type())?;
                return Ok(format!("column `{}`: `{value}` is not a {hive_type}", field.name()));
            }
        }
        Ok(plain(failure))
    }
}

/// Decodes bytes to their end, as if they were an object's.
fn decode(mut decoder: RecordDecoder, mut bytes: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut batches = Vec::new();
    loop {
        let taken = decoder.decode(bytes)?;
        bytes = &bytes[taken..];
        if bytes.is_empty() {
            decoder.end()?;
        }
        let batch = decoder.flush()?;
        if bytes.is_empty() && batch.is_none() {
            return Ok(batches);
        }
        batches.extend(batch);
    }
}

/// A decoder's message without the names of libraries.
pub(super) fn plain(failure: &ArrowError) -> String {
    let text = failure.to_string();
    let text = text.strip_prefix("Json error: ").or_else(|| text.strip_prefix("Csv error: ")).unwrap_or(&text);
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters.take(300)).collect()).unwrap_or_default()
}
