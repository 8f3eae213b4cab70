//! Columns of the fields of CSV records, by arrow's own parsers: what is a value and what is not is decided there.

use std::sync::Arc;

use arrow::array::{ArrayBuilder, ArrayRef, BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow::compute::kernels::cast_utils::{Parser, parse_decimal, string_to_datetime};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use chrono::Utc;

use super::fields::Fields;

/// Whole records that are written plainly.
pub(super) struct Records<'a> {
    text: &'a str,
    fields: &'a Fields,
    width: usize,
    /// Where there are any.
    quote: Option<u8>,
}

impl<'a> Records<'a> {
    /// The records whose fields were found in some bytes; `None` if these are not UTF-8, or a line has no character: that is no record.
    pub(super) fn new(bytes: &'a [u8], fields: &'a Fields, quote: u8, width: usize) -> Option<Self> {
        let text = std::str::from_utf8(&bytes[..fields.bytes]).ok()?;
        let records = Self { text, fields, width, quote: fields.quoted.then_some(quote) };
        (width > 1 || records.written(0).all(|written| !written.is_empty())).then_some(records)
    }

    /// The fields at a place as they are written, without the carriage return that ends a line.
    #[inline]
    fn written(&self, place: usize) -> impl Iterator<Item = &'a str> {
        let has_returns = self.fields.returns && place + 1 == self.width;
        self.fields.spans(place, self.width).map(move |(from, to)| {
            let written = &self.text[from..to];
            if has_returns { written.strip_suffix('\r').unwrap_or(written) } else { written }
        })
    }

    /// The values at a place; those without a character are NULL.
    #[inline]
    fn values(&self, place: usize) -> impl Iterator<Item = Option<&'a str>> {
        self.written(place).map(|written| {
            let first = written.as_bytes().first()?;
            let value = if self.quote == Some(*first) { &written[1..written.len() - 1] } else { written };
            (!value.is_empty()).then_some(value)
        })
    }
}

/// A column in the making.
pub(super) trait Column: Send {
    /// Adds the values of the column at a place of the records.
    ///
    /// # Errors
    /// If one of them is none of the column's type.
    fn add(&mut self, records: &Records<'_>, place: usize) -> Result<(), ArrowError>;

    /// The column; the next one begins.
    fn finish(&mut self) -> ArrayRef;
}

/// A column of a type, for batches of so many rows; `None` for types that are read by arrow's reader only.
pub(super) fn column(data_type: &DataType, rows: usize) -> Option<Box<dyn Column>> {
    let parse_timestamp = |text: &str| Some(string_to_datetime(&Utc, text).ok()?.timestamp_micros());
    Some(match *data_type {
        DataType::Utf8 => Box::new(StringBuilder::with_capacity(rows, 0)),
        DataType::Boolean => Box::new(BooleanBuilder::with_capacity(rows)),
        DataType::Int8 => Values::<Int8Type, _>::boxed(data_type, rows, Int8Type::parse),
        DataType::Int16 => Values::<Int16Type, _>::boxed(data_type, rows, Int16Type::parse),
        DataType::Int32 => Values::<Int32Type, _>::boxed(data_type, rows, Int32Type::parse),
        DataType::Int64 => Values::<Int64Type, _>::boxed(data_type, rows, Int64Type::parse),
        DataType::Float32 => Values::<Float32Type, _>::boxed(data_type, rows, Float32Type::parse),
        DataType::Float64 => Values::<Float64Type, _>::boxed(data_type, rows, Float64Type::parse),
        DataType::Date32 => Values::<Date32Type, _>::boxed(data_type, rows, Date32Type::parse),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Values::<TimestampMicrosecondType, _>::boxed(data_type, rows, parse_timestamp)
        }
        DataType::Decimal128(precision, scale) => Values::<Decimal128Type, _>::boxed(data_type, rows, move |text| {
            parse_decimal::<Decimal128Type>(text, precision, scale).ok()
        }),
        _ => return None,
    })
}

struct Values<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    data_type: DataType,
    rows: usize,
    parse: F,
}

impl<T: ArrowPrimitiveType, F: Fn(&str) -> Option<T::Native> + Send + 'static> Values<T, F> {
    fn boxed(data_type: &DataType, rows: usize, parse: F) -> Box<dyn Column> {
        let builder = PrimitiveBuilder::with_capacity(rows).with_data_type(data_type.clone());
        Box::new(Self { builder, data_type: data_type.clone(), rows, parse })
    }
}

impl<T: ArrowPrimitiveType, F: Fn(&str) -> Option<T::Native> + Send> Column for Values<T, F> {
    fn add(&mut self, records: &Records<'_>, place: usize) -> Result<(), ArrowError> {
        for text in records.values(place) {
            match text {
                None => self.builder.append_null(),
                Some(text) => {
                    self.builder.append_value((self.parse)(text).ok_or_else(|| is_none(text, &self.data_type))?);
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        let next = PrimitiveBuilder::with_capacity(self.rows).with_data_type(self.data_type.clone());
        Arc::new(std::mem::replace(&mut self.builder, next).finish())
    }
}

impl Column for StringBuilder {
    fn add(&mut self, records: &Records<'_>, place: usize) -> Result<(), ArrowError> {
        for text in records.values(place) {
            self.append_option(text);
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        let next = Self::with_capacity(self.len(), self.values_slice().len());
        Arc::new(std::mem::replace(self, next).finish())
    }
}

impl Column for BooleanBuilder {
    fn add(&mut self, records: &Records<'_>, place: usize) -> Result<(), ArrowError> {
        for text in records.values(place) {
            let value = match text {
                None => None,
                Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
                Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
                Some(text) => return Err(is_none(text, &DataType::Boolean)),
            };
            self.append_option(value);
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        let next = Self::with_capacity(self.len());
        Arc::new(std::mem::replace(self, next).finish())
    }
}

fn is_none(text: &str, data_type: &DataType) -> ArrowError {
    ArrowError::ParseError(format!("`{text}` is no value of the type {data_type}"))
}
