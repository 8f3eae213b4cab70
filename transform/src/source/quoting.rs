//! Text without quotes, as Hive's LazySimpleSerDe writes it, to CSV with quotes, which the decoder knows.

use bytes::Bytes;

use crate::error::Result;
use crate::format::CsvOptions;

use super::heading::byte;

/// Puts quotes round the fields of a stream of bytes that may be cut anywhere, and takes away what escapes characters.
#[derive(Debug)]
pub(crate) struct Quoting {
    delimiter: u8,
    escape: Option<u8>,
    comment: Option<u8>,
    null: Option<Vec<u8>>,
    /// The field so far, as it is written, and what it means.
    written: Vec<u8>,
    meant: Vec<u8>,
    escaped: bool,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    Field,
    Comment,
}

impl Quoting {
    /// # Errors
    /// [`Code::NotSupported`](crate::Code::NotSupported) for symbols beyond ASCII.
    pub(crate) fn new(options: &CsvOptions) -> Result<Self> {
        Ok(Self {
            delimiter: byte(options.delimiter)?,
            escape: options.escape.map(byte).transpose()?,
            comment: options.comment.map(byte).transpose()?,
            null: options.null.as_ref().map(|null| null.as_bytes().to_vec()),
            written: Vec::new(),
            meant: Vec::new(),
            escaped: false,
            place: Place::LineStart,
        })
    }

    /// The same in quotes, up to the field that is not over yet.
    pub(crate) fn quote(&mut self, bytes: &[u8]) -> Bytes {
        let mut quoted = Vec::with_capacity(bytes.len() * 2);
        for &byte in bytes {
            self.step(byte, &mut quoted);
        }
        quoted.into()
    }

    /// The last field.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut quoted = Vec::new();
        if self.place == Place::Field {
            self.end_field(&mut quoted);
        }
        quoted.into()
    }

    fn step(&mut self, byte: u8, quoted: &mut Vec<u8>) {
        if self.place == Place::Comment || (self.place == Place::LineStart && Some(byte) == self.comment) {
            quoted.push(byte);
            self.place = if byte == b'\n' { Place::LineStart } else { Place::Comment };
            return;
        }
        if byte == b'\n' {
            let is_blank = self.place == Place::LineStart || (self.written == b"\r" && self.meant == b"\r");
            if self.written.last() == Some(&b'\r') {
                self.written.pop();
                self.meant.pop();
            }
            if is_blank {
                self.written.clear();
                self.meant.clear();
            } else {
                self.end_field(quoted);
            }
            quoted.push(b'\n');
            self.escaped = false;
            self.place = Place::LineStart;
            return;
        }
        self.place = Place::Field;
        if std::mem::take(&mut self.escaped) {
            self.meant.push(byte);
        } else if Some(byte) == self.escape {
            self.escaped = true;
        } else if byte == self.delimiter {
            self.end_field(quoted);
            quoted.push(byte);
            return;
        } else {
            self.meant.push(byte);
        }
        self.written.push(byte);
    }

    fn end_field(&mut self, quoted: &mut Vec<u8>) {
        // What stands for NULL may hold the escape itself.
        if self.null.as_ref() != Some(&self.written) && !self.meant.is_empty() {
            quoted.push(b'"');
            for &byte in &self.meant {
                if byte == b'"' {
                    quoted.push(b'"');
                }
                quoted.push(byte);
            }
            quoted.push(b'"');
        }
        self.written.clear();
        self.meant.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let options = CsvOptions {
            delimiter: '|',
            quote: None,
            escape: Some('\\'),
            null: Some("\\N".to_owned()),
            comment: Some('#'),
            ..CsvOptions::default()
        };
        let quote = |piece: usize| {
            let mut quoting = Quoting::new(&options).unwrap();
            let mut quoted: Vec<u8> = text.as_bytes().chunks(piece).flat_map(|piece| quoting.quote(piece)).collect();
            quoted.extend(quoting.finish());
            String::from_utf8(quoted).unwrap()
        };
        let whole = quote(text.len());
        for piece in 1..text.len() {
            assert_eq!(quote(piece), whole, "pieces of {piece}");
        }
        whole
    }

    #[test]
    fn fields_are_quoted_wherever_the_bytes_are_cut() {
        assert_eq!(quoted("a|b\n1|\\N\n"), "\"a\"|\"b\"\n\"1\"|\n");
        assert_eq!(quoted("x\\|y|\"5\\\\\r\n\r\n|z"), "\"x|y\"|\"\"\"5\\\"\n\n|\"z\"");
        assert_eq!(quoted("# \"no|row\nN|\\\\N\n"), "# \"no|row\n\"N\"|\"\\N\"\n");
        assert_eq!(quoted("a||\n"), "\"a\"||\n");
    }
}
