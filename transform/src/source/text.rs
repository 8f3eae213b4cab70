//! CSV and JSON: one request an object, decoded as the catalog declares the table.
//!
//! CSV columns are found by the header of each object, so that a reordered header swaps nothing; DataFusion's own reader
//! goes by position, which is what happens here where there is no header. A column that an object lacks is NULL.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::{Buf, Bytes};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::bytes::{Text, open};
use super::careful;
use super::csv::UNCLOSED;
use super::decoder::RecordDecoder;
use super::heading::{Head, Heading};
use super::locate::explain_failure;
use super::reader::ObjectReader;
use super::records::Splitter;
use super::rescue;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::{CsvOptions, Format};

/// What is known while an object is read.
struct Reading {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    input: BoxStream<'static, Result<Bytes>>,
    pending: Bytes,
    ended: bool,
    decoder: RecordDecoder,
}

impl ObjectReader {
    /// Batches of the wanted columns of one object of CSV or JSON.
    pub(super) async fn read_text(
        self: Arc<Self>,
        store: Arc<dyn ObjectStore>,
        meta: ObjectMeta,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        if self.rescues() {
            return rescue::text::read(&self, &store, &meta).await;
        }
        if self.rejects.is_some() {
            return careful::read(self, &store, meta).await;
        }
        let mut text = open(&store, &meta, &self.table.format, Some(&self.keys)).await?;
        let (decoder, pending) = match &self.table.format {
            Format::Csv(options) => {
                let in_header = |error: Error| error.within(&meta.location, Some(1));
                let heading = self.heading(&mut text, options).await.map_err(in_header)?;
                let Some((names, pending)) = heading else { return Ok(stream::empty().boxed()) };
                (self.quick_csv_decoder(&names, options).map_err(in_header)?, pending)
            }
            _ => (self.json_decoder()?, Bytes::new()),
        };
        let input = text.bytes;
        let reading = Reading { store, meta, input, pending, ended: false, decoder };
        Ok(stream::try_unfold((self, reading), |(reader, mut reading)| async move {
            match reading.next().await {
                Ok(Some(batch)) => Ok(Some((batch, (reader, reading)))),
                Ok(None) => Ok(None),
                Err(Failure::Input(error)) => Err(error),
                Err(Failure::Record(error)) => {
                    Err(explain_failure(&reader, &reading.store, &reading.meta, error).await)
                }
            }
        })
        .boxed())
    }

    /// The names of the fields of a CSV object, lower-case, and the bytes of its rows; `None` for an object without a line.
    async fn heading(&self, text: &mut Text, options: &CsvOptions) -> Result<Option<(Vec<String>, Bytes)>> {
        let mut heading = Heading::new(options, &self.table.columns);
        let mut splitter = Splitter::new(text.cut);
        while let Some(mut bytes) = text.bytes.try_next().await? {
            while !bytes.is_empty() {
                let (taken, record) = splitter.take(&bytes);
                bytes.advance(taken);
                let Some((_, record)) = record else { continue };
                match heading.take(&record)? {
                    Head::Passed => {}
                    Head::Names(names) => return Ok(Some((names, bytes))),
                    Head::Row(names) => return Ok(Some((names, [&record, bytes.as_ref()].concat().into()))),
                }
            }
        }
        if splitter.in_quotes() {
            return Err(Error::new(Code::BadRecord, UNCLOSED).help("close the quote, and upload the object again"));
        }
        let Some((_, record)) = splitter.rest() else { return Ok(None) };
        Ok(match heading.take(&record)? {
            Head::Passed => None,
            Head::Names(names) => Some((names, Bytes::new())),
            Head::Row(names) => Some((names, record.into())),
        })
    }
}

/// Why an object could not be read on.
enum Failure {
    /// The bytes did not come.
    Input(Error),
    /// They came, and are not records of the table.
    Record(ArrowError),
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if self.pending.is_empty() && !self.ended {
                match self.input.try_next().await.map_err(Failure::Input)? {
                    Some(bytes) => self.pending = bytes,
                    None => self.ended = true,
                }
            }
            if self.ended && self.pending.is_empty() {
                self.decoder.end().map_err(Failure::Record)?;
            }
            let taken = self.decoder.decode(&self.pending).map_err(Failure::Record)?;
            self.pending.advance(taken);
            let full = taken == 0 || !self.pending.is_empty();
            if full || self.ended {
                match self.decoder.flush().map_err(Failure::Record)? {
                    Some(batch) => return Ok(Some(batch)),
                    None if self.ended && self.pending.is_empty() => return Ok(None),
                    None => {}
                }
            }
        }
    }
}
