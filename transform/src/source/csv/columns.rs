//! Columns of the fields of CSV records, by arrow's own parsers where they are not plain numbers or dates: what is a value and what is not is
//! decided there.

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
use super::plain;

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
        let mut start = 0;
        let is_empty = |ends: &[u32]| {
            let line = &text[std::mem::replace(&mut start, ends[0] as usize + 1)..ends[0] as usize];
            line.is_empty() || line == "\r"
        };
        let has_empty_line = width == 1 && fields.records(1).any(is_empty);
        (!has_empty_line).then_some(records)
    }

    /// Gives the values at a place, one after the other; those without a character are NULL.
    ///
    /// # Errors
    /// The first of whoever takes them.
    // Called for each column of each type: the compiler makes calls of it by itself, one for each value.
    #[inline(always)]
    fn each(
        &self,
        place: usize,
        mut take: impl FnMut(Option<&'a str>) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        let has_returns = self.fields.returns && place + 1 == self.width;
        let mut start = 0;
        for ends in self.fields.records(self.width) {
            let from = if place == 0 { start } else { ends[place - 1] as usize + 1 };
            start = ends[self.width - 1] as usize + 1;
            let mut value = &self.text[from..ends[place] as usize];
            if has_returns {
                value = value.strip_suffix('\r').unwrap_or(value);
            }
            if self.quote.is_some() && self.quote.as_ref() == value.as_bytes().first() {
                value = &value[1..value.len() - 1];
            }
            take((!value.is_empty()).then_some(value))?;
        }
        Ok(())
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
        DataType::Int8 => integers::<Int8Type>(data_type, rows),
        DataType::Int16 => integers::<Int16Type>(data_type, rows),
        DataType::Int32 => integers::<Int32Type>(data_type, rows),
        DataType::Int64 => integers::<Int64Type>(data_type, rows),
        DataType::Float32 => Values::<Float32Type, _>::boxed(data_type, rows, Float32Type::parse),
        DataType::Float64 => Values::<Float64Type, _>::boxed(data_type, rows, Float64Type::parse),
        DataType::Date32 => Values::<Date32Type, _>::boxed(data_type, rows, |text| {
            plain::date(text).or_else(|| Date32Type::parse(text))
        }),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Values::<TimestampMicrosecondType, _>::boxed(data_type, rows, parse_timestamp)
        }
        DataType::Decimal128(precision, scale) => Values::<Decimal128Type, _>::boxed(data_type, rows, move |text| {
            plain::decimal(text, precision, scale)
                .or_else(|| parse_decimal::<Decimal128Type>(text, precision, scale).ok())
        }),
        _ => return None,
    })
}

fn integers<T: Parser<Native: TryFrom<i64>>>(data_type: &DataType, rows: usize) -> Box<dyn Column> {
    Values::<T, _>::boxed(data_type, rows, |text| match plain::whole(text) {
        Some(number) => number.try_into().ok(),
        None => T::parse(text),
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
        records.each(place, |text| {
            match text {
                None => self.builder.append_null(),
                Some(text) => {
                    self.builder.append_value((self.parse)(text).ok_or_else(|| is_none(text, &self.data_type))?);
                }
            }
            Ok(())
        })
    }

    fn finish(&mut self) -> ArrayRef {
        let next = PrimitiveBuilder::with_capacity(self.rows).with_data_type(self.data_type.clone());
        Arc::new(std::mem::replace(&mut self.builder, next).finish())
    }
}

impl Column for StringBuilder {
    fn add(&mut self, records: &Records<'_>, place: usize) -> Result<(), ArrowError> {
        records.each(place, |text| {
            self.append_option(text);
            Ok(())
        })
    }

    fn finish(&mut self) -> ArrayRef {
        let next = Self::with_capacity(self.len(), self.values_slice().len());
        Arc::new(std::mem::replace(self, next).finish())
    }
}

impl Column for BooleanBuilder {
    fn add(&mut self, records: &Records<'_>, place: usize) -> Result<(), ArrowError> {
        records.each(place, |text| {
            let value = match text {
                None => None,
                Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
                Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
                Some(text) => return Err(is_none(text, &DataType::Boolean)),
            };
            self.append_option(value);
            Ok(())
        })
    }

    fn finish(&mut self) -> ArrayRef {
        let next = Self::with_capacity(self.len());
        Arc::new(std::mem::replace(self, next).finish())
    }
}

fn is_none(text: &str, data_type: &DataType) -> ArrowError {
    ArrowError::ParseError(format!("`{text}` is no value of the type {data_type}"))
}
