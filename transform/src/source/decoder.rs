//! Decoders of the records of text objects.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use regex::Regex;

use super::csv::CsvDecoder;
use super::heading::symbols;
use super::reader::ObjectReader;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::CsvOptions;

/// Decodes records into batches of the wanted columns.
pub(super) enum RecordDecoder {
    Csv(Box<CsvDecoder>),
    /// Missing keys are NULL by the decoder itself.
    Json {
        decoder: Box<arrow::json::reader::Decoder>,
        wanted: SchemaRef,
    },
}

impl ObjectReader {
    /// A decoder for objects whose fields have these names, which is arrow's.
    ///
    /// # Errors
    /// [`Code::ColumnMismatch`] if they have none of the table's columns, or one of them twice.
    pub(super) fn csv_decoder(&self, names: &[String], options: &CsvOptions) -> Result<RecordDecoder> {
        let (decoder, _) = self.csv(names, options)?;
        Ok(RecordDecoder::Csv(Box::new(decoder)))
    }

    /// The same, which decodes as arrow's does, and sooner.
    ///
    /// # Errors
    /// As [`ObjectReader::csv_decoder`].
    pub(super) fn quick_csv_decoder(&self, names: &[String], options: &CsvOptions) -> Result<RecordDecoder> {
        let (mut decoder, places) = self.csv(names, options)?;
        if options.null.is_none() || options.quote.is_none() {
            decoder = decoder.quick(symbols(options)?, names.len(), &places, self.batch_size);
        }
        Ok(RecordDecoder::Csv(Box::new(decoder)))
    }

    /// A decoder, and which fields it decodes.
    fn csv(&self, names: &[String], options: &CsvOptions) -> Result<(CsvDecoder, Vec<usize>)> {
        let known = |name: &str| self.table.columns.iter().any(|column| column.name == name);
        let mut repeated =
            names.iter().enumerate().filter(|(index, name)| known(name) && names[..*index].contains(name));
        if let Some((_, name)) = repeated.next() {
            return Err(Error::new(Code::ColumnMismatch, format!("the header names the column `{name}` twice"))
                .help("rename one of them in the object"));
        }
        if !names.iter().any(|name| known(name)) {
            return Err(Error::new(
                Code::ColumnMismatch,
                format!("the header `{}` has none of the columns of `{}`", names.join(","), self.table.name),
            )
            .help("the header of each object must name its columns"));
        }
        let fields: Vec<Field> = names
            .iter()
            .map(|name| match self.wanted.field_with_name(name) {
                Ok(field) => field.clone(),
                Err(_) => Field::new(name, DataType::Utf8, true),
            })
            .collect();
        let mut arrangement = Vec::with_capacity(self.wanted.fields().len());
        let mut projection = Vec::new();
        for field in self.wanted.fields() {
            arrangement.push(names.iter().position(|name| name == field.name()).map(|index| {
                projection.push(index);
                projection.len() - 1
            }));
        }
        let symbols = symbols(options)?;
        let mut builder = arrow::csv::ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_delimiter(symbols.delimiter)
            .with_quote(symbols.quote)
            .with_batch_size(self.batch_size)
            .with_projection(projection.clone());
        if let Some(escape) = symbols.escape {
            builder = builder.with_escape(escape);
        }
        if let Some(comment) = symbols.comment {
            builder = builder.with_comment(comment);
        }
        // Text without quotes has lost what stands for NULL by now.
        if let (Some(null), true) = (&options.null, options.quote.is_some()) {
            builder = builder.with_null_regex(null_or_empty(null)?);
        }
        let decoder = CsvDecoder::new(builder.build_decoder(), arrangement, Arc::clone(&self.wanted))
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        Ok((decoder, projection))
    }

    /// A decoder for JSON objects.
    ///
    /// # Errors
    /// [`Code::UnsupportedType`].
    pub(super) fn json_decoder(&self) -> Result<RecordDecoder> {
        let decoder = arrow::json::ReaderBuilder::new(Arc::clone(&self.wanted))
            .with_batch_size(self.batch_size)
            // A column of several kinds of values is declared a string.
            .with_coerce_primitive(true)
            .build_decoder()
            .map_err(|error| Error::new(Code::UnsupportedType, error.to_string()))?;
        Ok(RecordDecoder::Json { decoder: Box::new(decoder), wanted: Arc::clone(&self.wanted) })
    }
}

fn null_or_empty(null: &str) -> Result<Regex> {
    Regex::new(&format!("^(?:{})?$", regex::escape(null)))
        .map_err(|error| Error::new(Code::NotSupported, format!("`{null}` cannot stand for NULL: {error}")))
}

impl RecordDecoder {
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Result<usize, ArrowError> {
        match self {
            Self::Csv(decoder) => decoder.decode(bytes),
            Self::Json { decoder, .. } => decoder.decode(bytes),
        }
    }

    /// Says that no bytes follow. To be called again after every flush, because the last record may need room.
    ///
    /// # Errors
    /// If the last record of CSV is still inside quotes.
    pub(super) fn end(&mut self) -> Result<(), ArrowError> {
        match self {
            Self::Csv(decoder) => decoder.end(),
            Self::Json { .. } => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        match self {
            Self::Csv(decoder) => decoder.flush(),
            Self::Json { decoder, wanted } => {
                let Some(batch) = decoder.flush()? else { return Ok(None) };
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                RecordBatch::try_new_with_options(Arc::clone(wanted), batch.columns().to_vec(), &options).map(Some)
            }
        }
    }
}
