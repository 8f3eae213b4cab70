//! Decodes CSV. Records as nearly all are, with quotes at both ends of fields or none, are decoded here; from the first other one of an object
//! on arrow's reader does it, which knows all that CSV can be, and takes twice as long.

mod columns;
mod fields;
mod plain;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::csv::reader::Decoder;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use self::columns::{Column, Records, column};
use self::fields::Fields;
use super::records::Symbols;

/// What is wrong with a CSV record that only the end of its object ends.
pub(crate) const UNCLOSED: &str = "the record opens a quote that is never closed";

/// The longest record that is put together from pieces here.
const LONGEST: usize = 16 << 10;

/// Decodes CSV records into batches of the wanted columns.
pub(super) struct CsvDecoder {
    plain: Option<Plain>,
    /// The start of a record that is arrow's to read.
    begun: Vec<u8>,
    arrow: Box<Decoder>,
    /// For each wanted column which decoded one it is, if any.
    arrangement: Vec<Option<usize>>,
    wanted: SchemaRef,
}

impl CsvDecoder {
    /// # Errors
    /// What arrow says.
    pub(super) fn new(
        mut arrow: Decoder,
        arrangement: Vec<Option<usize>>,
        wanted: SchemaRef,
    ) -> Result<Self, ArrowError> {
        // At its start it would take U+FEFF for a byte order mark. That of an object is gone by now, and arrow may begin with any record:
        // an empty line is no record, and a start.
        arrow.decode(b"\n")?;
        Ok(Self { plain: None, begun: Vec::new(), arrow: Box::new(arrow), arrangement, wanted })
    }

    /// The same, which leaves to arrow's reader only what it must. `width` is the number of fields of a record, and `places` says which of
    /// them is which of the decoded columns.
    pub(super) fn quick(mut self, symbols: Symbols, width: usize, places: &[usize], batch_size: usize) -> Self {
        let wanted = self.arrangement.iter().zip(self.wanted.fields());
        // Those that are decoded come in the order of those that are wanted.
        let types = wanted.filter_map(|(decoded, field)| Some((places[(*decoded)?], field.data_type())));
        self.plain = Plain::new(symbols, width, types, batch_size);
        self
    }

    /// Takes bytes; fewer than all of them where the rows are to be taken first.
    ///
    /// # Errors
    /// What arrow says of a record that cannot be read.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Result<usize, ArrowError> {
        if let Some(plain) = &mut self.plain
            && let Some(taken) = plain.decode(bytes)?
        {
            return Ok(taken);
        }
        if self.is_arrows()? { self.arrow.decode(bytes) } else { Ok(0) }
    }

    /// Hands over to arrow's reader. Returns whether it can go on; if not, rows are to be taken first.
    fn is_arrows(&mut self) -> Result<bool, ArrowError> {
        if self.plain.as_ref().is_some_and(|plain| plain.rows > 0) {
            return Ok(false);
        }
        if let Some(plain) = self.plain.take() {
            self.begun = plain.begun;
        }
        if !self.begun.is_empty() {
            let taken = self.arrow.decode(&self.begun)?;
            self.begun.drain(..taken);
        }
        Ok(self.begun.is_empty())
    }

    /// Says that no bytes follow. To be called again after every flush, because the last record may need room.
    ///
    /// # Errors
    /// If the last record is still inside quotes: the decoder would take all that follows the quote for one value.
    pub(super) fn end(&mut self) -> Result<(), ArrowError> {
        if let Some(plain) = &mut self.plain
            && plain.end()?
        {
            return Ok(());
        }
        if !self.is_arrows()? {
            return Ok(());
        }
        // A line break completes the last record, unless it lies inside quotes: then only the end of the bytes does.
        self.arrow.decode(b"\n")?;
        let room = self.arrow.capacity();
        self.arrow.decode(&[])?;
        if self.arrow.capacity() == room { Ok(()) } else { Err(ArrowError::CsvError(UNCLOSED.to_owned())) }
    }

    /// The rows so far.
    ///
    /// # Errors
    /// What arrow says of a record that cannot be read.
    pub(super) fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let (rows, decoded) = match self.plain.as_mut().and_then(Plain::flush) {
            Some(flushed) => flushed,
            None => match self.arrow.flush()? {
                Some(batch) => (batch.num_rows(), batch.columns().to_vec()),
                None => return Ok(None),
            },
        };
        let column = |(place, data_type): (&Option<usize>, &DataType)| match place {
            Some(index) => decoded[*index].clone(),
            None => new_null_array(data_type, rows),
        };
        let types = self.wanted.fields().iter().map(|field| field.data_type());
        let columns = self.arrangement.iter().zip(types).map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.wanted.clone(), columns, &options).map(Some)
    }
}

/// Decodes records up to the first one that is arrow's to read.
struct Plain {
    symbols: Symbols,
    width: usize,
    /// Which field each is.
    columns: Vec<(usize, Box<dyn Column>)>,
    batch_size: usize,
    /// Rows in the columns.
    rows: usize,
    fields: Fields,
    /// The start of the record that the next bytes go on with.
    begun: Vec<u8>,
    /// Whether the next record is arrow's.
    is_over: bool,
}

impl Plain {
    /// `None` if symbols or types are arrow's to read.
    fn new<'a>(
        symbols: Symbols,
        width: usize,
        types: impl Iterator<Item = (usize, &'a DataType)>,
        batch_size: usize,
    ) -> Option<Self> {
        if symbols.escape.is_some() || symbols.comment.is_some() {
            return None;
        }
        let columns = types.map(|(place, data_type)| Some((place, column(data_type, batch_size)?)));
        Some(Self {
            symbols,
            width,
            columns: columns.collect::<Option<_>>()?,
            batch_size,
            rows: 0,
            fields: Fields::default(),
            begun: Vec::new(),
            is_over: false,
        })
    }

    /// Takes bytes, as [`CsvDecoder::decode`]; `None`, and no bytes, if a record begins that is arrow's.
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<usize>, ArrowError> {
        if self.is_over || self.rows == self.batch_size {
            return Ok((!self.is_over).then_some(0));
        }
        if !self.begun.is_empty() {
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            self.begun.extend_from_slice(&bytes[..end]);
            // Of its line breaks only the last one can be outside of quotes: it is taken as a whole, or not yet.
            let begun = std::mem::take(&mut self.begun);
            match self.take(&begun)? {
                Some(taken) if taken > 0 => {}
                taken => {
                    self.is_over = taken.is_none() || begun.len() > LONGEST;
                    self.begun = begun;
                }
            }
            return Ok(Some(end));
        }
        let Some(taken) = self.take(bytes)? else {
            self.is_over = true;
            return Ok(None);
        };
        if self.rows == self.batch_size {
            return Ok(Some(taken));
        }
        self.begun.extend_from_slice(&bytes[taken..]);
        Ok(Some(bytes.len()))
    }

    /// Adds whole records, as many as there is room for. Returns their bytes, or `None` if one of them is arrow's.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<usize>, ArrowError> {
        if !self.fields.find(bytes, self.symbols, self.width, self.batch_size - self.rows) {
            return Ok(None);
        }
        let Some(records) = Records::new(bytes, &self.fields, self.symbols.quote, self.width) else { return Ok(None) };
        for (place, column) in &mut self.columns {
            column.add(&records, *place)?;
        }
        self.rows += self.fields.rows();
        Ok(Some(self.fields.bytes))
    }

    /// Ends the last record. Returns whether that was all.
    fn end(&mut self) -> Result<bool, ArrowError> {
        if !self.begun.is_empty() && self.decode(b"\n")? == Some(1) {
            // Inside quotes.
            self.is_over |= !self.begun.is_empty();
        }
        Ok(!self.is_over)
    }

    fn flush(&mut self) -> Option<(usize, Vec<ArrayRef>)> {
        let rows = std::mem::take(&mut self.rows);
        (rows > 0).then(|| (rows, self.columns.iter_mut().map(|(_, column)| column.finish()).collect()))
    }
}

#[cfg(test)]
mod tests;
