//! JSON objects that are not one a line: written over several lines, or in one array.
//!
//! The decoder takes objects one after the other, whatever white space is between them. So an array needs no more than its
//! brackets and commas taken away; and so that a record can still be cut out and named by its line, what ends one is marked.

use bytes::{Bytes, BytesMut};

use super::records::Cut;

/// Ends an object; other tabs between values become spaces.
pub(crate) const END: u8 = b'\t';

/// How the objects of a text follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One a line.
    Lines,
    /// Over several lines.
    Documents,
    /// In one array.
    Array,
}

impl Layout {
    /// The layout of a text, by its start: whether it opens an array, or the first line breaks off within an object.
    pub(crate) fn of(start: &[u8]) -> Self {
        let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
        let line = text.split(|byte| *byte == b'\n').next().filter(|line| line.len() < text.len());
        match (text.first(), line.and_then(|line| line.trim_ascii_end().last())) {
            (Some(b'['), _) => Self::Array,
            (Some(b'{'), Some(b'{' | b'[' | b',' | b':')) => Self::Documents,
            _ => Self::Lines,
        }
    }
}

impl Layout {
    /// Where records end, once their ends are marked.
    pub(crate) fn cut(self) -> Cut {
        if self == Self::Lines { Cut::Lines } else { Cut::Elements }
    }
}

/// Marks the ends of the objects in a stream of bytes that may be cut anywhere.
#[derive(Debug)]
pub(crate) struct Elements {
    layout: Layout,
    /// Open brackets, without that of the array.
    depth: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the bracket of an array.
    Before,
    Value,
    Text,
    Escape,
    /// After the bracket of an array.
    After,
}

impl Elements {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, depth: 0, place: if layout == Layout::Array { Place::Before } else { Place::Value } }
    }

    /// The bytes with the ends of objects marked. Those of lines are as they are.
    pub(crate) fn mark(&mut self, bytes: Bytes) -> Bytes {
        if self.layout == Layout::Lines {
            return bytes;
        }
        let mut marked = BytesMut::with_capacity(bytes.len() + bytes.len() / 64);
        for &byte in &bytes {
            self.step(byte, &mut marked);
        }
        marked.freeze()
    }

    fn step(&mut self, byte: u8, marked: &mut BytesMut) {
        let is_array = self.layout == Layout::Array;
        let mut written = byte;
        self.place = match (self.place, byte) {
            (Place::Before, b'[') => {
                written = b' ';
                Place::Value
            }
            (place @ (Place::Before | Place::After), _) => place,
            (Place::Text, b'\\') => Place::Escape,
            (Place::Text, b'"') => Place::Value,
            (Place::Text | Place::Escape, _) => Place::Text,
            (Place::Value, b'"') => Place::Text,
            (Place::Value, b'\t') => {
                written = b' ';
                Place::Value
            }
            (Place::Value, b'{' | b'[') => {
                self.depth += 1;
                Place::Value
            }
            (Place::Value, b']') if is_array && self.depth == 0 => {
                written = END;
                Place::After
            }
            (Place::Value, b',') if is_array && self.depth == 0 => {
                written = END;
                Place::Value
            }
            (Place::Value, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                if !is_array && self.depth == 0 {
                    marked.extend_from_slice(&[byte]);
                    written = END;
                }
                Place::Value
            }
            (place, _) => place,
        };
        marked.extend_from_slice(&[written]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str) -> String {
        let mark = |piece: usize| {
            let mut elements = Elements::new(Layout::of(text.as_bytes()));
            let pieces = text.as_bytes().chunks(piece).map(|piece| elements.mark(Bytes::copy_from_slice(piece)));
            String::from_utf8(pieces.flatten().collect()).unwrap()
        };
        let whole = mark(text.len());
        for piece in 1..text.len() {
            assert_eq!(mark(piece), whole, "pieces of {piece}");
        }
        whole
    }

    #[test]
    fn layouts_are_told_by_the_start() {
        for (text, layout) in [
            ("{\"a\":1}\n{\"a\":2}\n", Layout::Lines),
            ("{\"a\":1}", Layout::Lines),
            ("\u{feff}\n {\"a\":[1,\n", Layout::Documents),
            ("{\n  \"a\": 1\n}\n", Layout::Documents),
            ("{\"a\":1,\r\n\"b\":2}", Layout::Documents),
            ("{\"a\":1\n{\"a\":2}\n", Layout::Lines),
            (" \n[\n{\"a\":1}]", Layout::Array),
            ("[]", Layout::Array),
            ("", Layout::Lines),
        ] {
            assert_eq!(Layout::of(text.as_bytes()), layout, "{text}");
        }
    }

    #[test]
    fn the_ends_of_objects_are_marked_wherever_the_bytes_are_cut() {
        assert_eq!(marked("[{\"a\":[1,\"]},{\"]},\n{}\n]\n"), " {\"a\":[1,\"]},{\"]}\t\n{}\n\t\n");
        assert_eq!(marked("{\n\"a\":\t{\"b\":\"\\\"}\"}}\n{\n}"), "{\n\"a\": {\"b\":\"\\\"}\"}}\t\n{\n}\t");
        assert_eq!(marked("{\"a\":1}\n{\"b\":\t2}"), "{\"a\":1}\n{\"b\":\t2}");
        assert_eq!(marked("[1,2]x"), " 1\t2\tx");
    }
}
