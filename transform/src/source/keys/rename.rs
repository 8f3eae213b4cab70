//! Renames keys in a stream of JSON.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use super::order::Order;
use super::{Keys, Level, NOTHING, ROOT};

/// Levels below which keys keep their names: no type of a table is as deep.
const DEEPEST: usize = 256;

/// Bytes of a key that is waited for; what is longer keeps its name.
const LONGEST: usize = 64 << 10;

/// The bytes between values that say where one is.
const MATTERS: [bool; 256] = {
    let mut matters = [false; 256];
    let (bytes, mut at) = (*b"\"{}[],", 0);
    while at < bytes.len() {
        matters[bytes[at] as usize] = true;
        at += 1;
    }
    matters
};

/// Gives keys the names that the table has for them, in a stream of bytes that may be cut anywhere.
#[derive(Debug)]
pub(in crate::source) struct Renamer {
    keys: Arc<Keys>,
    place: Place,
    /// What is open, from the outside in: its level, and whether it is an object.
    open: Vec<(usize, bool)>,
    /// What is open below [`DEEPEST`].
    deeper: usize,
    /// The level of the value that comes next.
    next: usize,
    /// The start of a key that the bytes so far did not end.
    begun: Vec<u8>,
    /// The keys that came so far, by level.
    orders: Vec<Order>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between values, or in a number or a word.
    #[default]
    Value,
    /// After `{` or `,` of an object: the next string is a key.
    BeforeKey,
    Key,
    Text,
    /// After a backslash.
    KeyEscape,
    TextEscape,
}

impl Renamer {
    pub(in crate::source) fn new(keys: Arc<Keys>) -> Self {
        let orders = keys.levels.iter().map(|_| Order::default()).collect();
        Self { keys, place: Place::default(), open: Vec::new(), deeper: 0, next: ROOT, begun: Vec::new(), orders }
    }

    /// The bytes with their keys renamed. A key that they do not end comes with the next ones.
    pub(in crate::source) fn rename(&mut self, bytes: Bytes) -> Bytes {
        let mut renamed = BytesMut::new();
        // What of the bytes is in `renamed`, and where the key begins that is read.
        let (mut copied, mut key, mut at) = (0, 0, 0);
        while at < bytes.len() {
            // Most of an object is text, in which only two bytes matter, and numbers.
            let offset = match self.place {
                Place::Text | Place::Key => memchr2(b'"', b'\\', &bytes[at..]),
                Place::Value => bytes[at..].iter().position(|byte| MATTERS[usize::from(*byte)]),
                _ => Some(0),
            };
            match offset {
                Some(offset) => at += offset,
                None => break,
            }
            match (self.place, bytes[at]) {
                (Place::Key, b'"') => {
                    self.place = Place::Value;
                    let whole = match self.begun.is_empty() {
                        true => Cow::Borrowed(&bytes[key..at]),
                        false => Cow::Owned([self.begun.as_slice(), &bytes[key..at]].concat()),
                    };
                    let (name, level) = named(&self.keys, &mut self.orders, self.open.last(), &whole);
                    self.next = level;
                    if name.is_some() || !self.begun.is_empty() {
                        renamed.extend_from_slice(&bytes[copied..key]);
                        renamed.extend_from_slice(name.map_or(whole.as_ref(), str::as_bytes));
                        copied = at;
                    }
                    self.begun.clear();
                }
                (Place::BeforeKey, b'"') => {
                    self.place = Place::Key;
                    key = at + 1;
                }
                (_, byte) => self.step(byte),
            }
            at += 1;
        }
        if matches!(self.place, Place::Key | Place::KeyEscape) {
            renamed.extend_from_slice(&bytes[copied..key]);
            copied = bytes.len();
            self.begun.extend_from_slice(&bytes[key..]);
            if self.begun.len() > LONGEST {
                renamed.extend_from_slice(&self.begun);
                self.begun.clear();
                self.place = if self.place == Place::Key { Place::Text } else { Place::TextEscape };
            }
        }
        if copied == 0 && renamed.is_empty() {
            return bytes;
        }
        renamed.extend_from_slice(&bytes[copied..]);
        renamed.freeze()
    }

    /// A record with its keys renamed, whatever came before.
    pub(in crate::source) fn record(&mut self, record: &[u8]) -> Vec<u8> {
        (self.place, self.deeper, self.next) = (Place::default(), 0, ROOT);
        self.open.clear();
        let renamed = self.rename(Bytes::copy_from_slice(record));
        [renamed, self.finish()].concat()
    }

    /// What is left at the end: a key that nothing ends.
    pub(in crate::source) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.begun).into()
    }

    fn step(&mut self, byte: u8) {
        self.place = match (self.place, byte) {
            (Place::Text, b'"') => Place::Value,
            (Place::Text, b'\\') => Place::TextEscape,
            (Place::Text | Place::TextEscape, _) => Place::Text,
            (Place::Key, b'\\') => Place::KeyEscape,
            (Place::Key | Place::KeyEscape, _) => Place::Key,
            (_, b'"') => Place::Text,
            (_, b'{') => self.enter(true),
            (_, b'[') => self.enter(false),
            (_, b'}' | b']') => {
                self.leave();
                Place::Value
            }
            (_, b',') if self.deeper == 0 => self.open.last().map_or(Place::Value, |open| self.within(*open)),
            (place, _) => place,
        };
    }

    fn enter(&mut self, is_object: bool) -> Place {
        if self.deeper > 0 || self.open.len() == DEEPEST {
            self.deeper += 1;
            return Place::Value;
        }
        self.open.push((self.next, is_object));
        if let (Some(order), true) = (self.orders.get_mut(self.next), is_object) {
            order.begin();
        }
        self.within((self.next, is_object))
    }

    fn leave(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        self.open.pop();
        self.next = match self.open.last() {
            Some((level, false)) => *level,
            Some(_) => NOTHING,
            None => ROOT,
        };
    }

    /// What the next string is: a key only where keys matter.
    fn within(&self, (level, is_object): (usize, bool)) -> Place {
        match self.keys.levels.get(level) {
            Some(Level::Object(_) | Level::Map(_)) if is_object => Place::BeforeKey,
            _ => Place::Value,
        }
    }
}

/// The name for a key of the object that is open, as the inside of a JSON string, if it is another one; and the level of its values.
fn named<'a>(
    keys: &'a Keys,
    orders: &'a mut [Order],
    open: Option<&(usize, bool)>,
    key: &[u8],
) -> (Option<&'a str>, usize) {
    let level = open.map_or(NOTHING, |(level, _)| *level);
    match (keys.levels.get(level), orders.get_mut(level)) {
        (Some(Level::Map(values)), _) => (None, *values),
        (Some(Level::Object(_)), Some(order)) => order.named(key, || search(keys, level, key)),
        _ => (None, NOTHING),
    }
}

/// The name for a key of a level, if it is known, and the level of its values.
fn search<'a>(keys: &'a Keys, level: usize, key: &[u8]) -> (Option<&'a str>, usize) {
    let unknown = (None, NOTHING);
    let Ok(key) = std::str::from_utf8(key) else { return unknown };
    let found = if key.contains('\\') {
        let Ok(key) = serde_json::from_str::<String>(&format!("\"{key}\"")) else { return unknown };
        keys.find(level, &key)
    } else {
        keys.find(level, key)
    };
    found.map_or(unknown, |named| (Some(named.written.as_str()), named.level))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Format, JsonOptions};
    use crate::table::{Column, Table, TableName};

    fn table(columns: &[(&str, &str)], options: JsonOptions) -> Table {
        let column = |(name, hive_type): &(&str, &str)| Column {
            name: (*name).to_owned(),
            hive_type: hive_type.parse().unwrap(),
            comment: None,
        };
        Table {
            name: TableName::new("raw", "t").unwrap(),
            columns: columns.iter().map(column).collect(),
            partition_keys: Vec::new(),
            format: Format::Json(options),
            location: "memory:///raw/t/".to_owned(),
            description: None,
            parameters: std::collections::BTreeMap::new(),
            version: None,
        }
    }

    fn renamed(table: &Table, text: &str, piece: usize) -> String {
        let mut renamer = Renamer::new(Arc::new(Keys::of(table)));
        let mut all = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            all.extend(renamer.rename(Bytes::copy_from_slice(piece)));
        }
        all.extend(renamer.finish());
        String::from_utf8(all).unwrap()
    }

    fn check(columns: &[(&str, &str)], options: &JsonOptions, cases: &[(&str, &str)]) {
        let table = table(columns, options.clone());
        for (text, wanted) in cases {
            for piece in [1, 2, 3, 7, 1000] {
                assert_eq!(renamed(&table, text, piece), *wanted, "pieces of {piece}");
            }
        }
    }

    #[test]
    fn keys_get_the_names_of_their_columns_wherever_the_bytes_are_cut() {
        let columns = [("id", "bigint"), ("a", "struct<In:string,lastName:array<struct<y:int>>>"), ("b", "string")];
        let same = |text| (text, text);
        check(
            &columns,
            &JsonOptions::default(),
            &[
                (
                    "{\"Id\":1,\"A\":{\"in\":\"In\",\"LASTNAME\":[{\"Y\":1},{\"Z\":{\"Id\":2}}]} , \"B\" : \"{\\\"C\\\":\\\\\",\"dE\":null}\n{\"ID\":3,\"a\":[{\"IN\":4}]}",
                    "{\"id\":1,\"a\":{\"In\":\"In\",\"lastName\":[{\"y\":1},{\"Z\":{\"Id\":2}}]} , \"b\" : \"{\\\"C\\\":\\\\\",\"dE\":null}\n{\"id\":3,\"a\":[{\"In\":4}]}",
                ),
                ("{\"\\u0049D\":1,\"\\u00e9\":2}", "{\"id\":1,\"\\u00e9\":2}"),
                same("{\"id\":\"ID\",\"É\":[[{\"ID\":1}],\"ID\",{\"ID\":{\"ID\":[]}}],\"b\":\"\"}"),
                same("{\"nothing ends this"),
                same("]}}{\"id\":1"),
            ],
        );
    }

    #[test]
    fn keys_of_maps_are_values() {
        let columns = [("m", "map<string,struct<x:int>>"), ("plain", "map<string,string>")];
        check(
            &columns,
            &JsonOptions::default(),
            &[(
                "{\"M\":{\"M\":{\"X\":1},\"X\":{\"x\":2}},\"PLAIN\":{\"M\":\"X\"}}",
                "{\"m\":{\"M\":{\"x\":1},\"X\":{\"x\":2}},\"plain\":{\"M\":\"X\"}}",
            )],
        );
    }

    #[test]
    fn columns_of_other_keys() {
        let keys = [("ts", "timestamp"), ("time1", "time"), ("time2", "Time")];
        let keys = keys.map(|(column, key)| (column.to_owned(), key.to_owned())).into();
        check(
            &[("ts", "bigint"), ("time1", "string"), ("time2", "string"), ("a_b", "int")],
            &JsonOptions { keys, dots: true },
            &[
                (
                    "{\"Timestamp\":1,\"time\":\"a\",\"Time\":\"b\",\"A.b\":3}",
                    "{\"ts\":1,\"time1\":\"a\",\"time2\":\"b\",\"a_b\":3}",
                ),
                ("{\"TS\":1}", "{\"_ts\":1}"),
            ],
        );
    }

    #[test]
    fn what_is_too_long_or_too_deep_keeps_its_names() {
        let table = table(&[("id", "array<struct<a:int>>")], JsonOptions::default());
        let long = format!("{{\"{}\":1,\"ID\":2}}", "X".repeat(2 * LONGEST));
        assert_eq!(renamed(&table, &long, 1000), long.replace("ID", "id"));
        let brackets =
            |count| format!("{{\"ID\":{}{{\"A\":1}}{}}}\n{{\"ID\":2}}", "[".repeat(count), "]".repeat(count));
        assert_eq!(renamed(&table, &brackets(3), 1000), brackets(3).replace("ID", "id").replace('A', "a"));
        assert_eq!(renamed(&table, &brackets(2 * DEEPEST), 1000), brackets(2 * DEEPEST).replace("ID", "id"));
    }
}
