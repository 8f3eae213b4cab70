//! Formats of objects: told by their content; their names only help where that leaves a doubt.

use crate::code::Code;
use crate::codec::Codec;
use crate::discover::survey::Object;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::infer::detect_csv;

/// A format, without its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Delimited text.
    Csv,
    /// JSON objects.
    Json,
    /// Parquet.
    Parquet,
    /// Avro's container files.
    Avro,
    /// ORC.
    Orc,
}

impl Family {
    pub(super) fn of(format: &Format) -> Self {
        match format {
            Format::Csv(_) => Self::Csv,
            Format::Json(_) => Self::Json,
            Format::Parquet => Self::Parquet,
            Format::Avro => Self::Avro,
            Format::Orc => Self::Orc,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Parquet => "Parquet",
            Self::Avro => "Avro",
            Self::Orc => "ORC",
        }
    }
}

/// What a file name promises, below its compression; `None` for a suffix that tells nothing.
pub(super) fn promised(file_name: &str) -> Option<Family> {
    Some(match suffix(file_name)?.as_str() {
        "csv" | "tsv" => Family::Csv,
        "json" | "jsonl" | "ndjson" => Family::Json,
        "parquet" | "pq" => Family::Parquet,
        "avro" => Family::Avro,
        "orc" => Family::Orc,
        _ => return None,
    })
}

/// Whether a file name says that fields are divided by tabs.
pub(super) fn has_tabs(file_name: &str) -> bool {
    suffix(file_name).is_some_and(|suffix| suffix == "tsv")
}

fn suffix(file_name: &str) -> Option<String> {
    let lower = file_name.to_ascii_lowercase();
    let (stem, suffix) = lower.rsplit_once('.')?;
    match Codec::of(&lower) {
        Some(_) => stem.rsplit_once('.').map(|(_, suffix)| suffix.to_owned()),
        None => Some(suffix.to_owned()),
    }
}

/// The format of objects that are no text, by their first bytes.
pub(super) fn of_magic(start: &[u8]) -> Option<Family> {
    match start {
        [b'P', b'A', b'R', b'1', ..] => Some(Family::Parquet),
        [b'O', b'b', b'j', 1, ..] => Some(Family::Avro),
        // A header of CSV may begin so as well.
        [b'O', b'R', b'C', rest @ ..]
            if std::str::from_utf8(&rest[..rest.len().min(256)]).is_err() || rest.contains(&0) =>
        {
            Some(Family::Orc)
        }
        _ => None,
    }
}

/// The format of the start of a text. `expected` is that of its table, or what its name promises.
///
/// # Errors
/// [`Code::BadObject`] for what is no text, or not what is expected; [`Code::UnreadableTable`] if nothing tells what it is.
pub(super) fn of_text(text: &[u8], complete: bool, expected: Option<Family>) -> Result<Family> {
    if text.contains(&0) {
        return Err(Error::new(Code::BadObject, "the content is no text, and of no known format")
            .help("move it out of the table's folder, or upload it again"));
    }
    let content = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_start();
    let next = content.get(1..).map(<[u8]>::trim_ascii_start).and_then(|rest| rest.first());
    match (content.first(), next, expected) {
        (Some(b'{'), Some(b'"' | b'}'), _) | (Some(b'['), Some(b'{' | b']'), _) => Ok(Family::Json),
        (None | Some(b'{' | b'['), _, Some(Family::Json)) => Ok(Family::Json),
        (_, _, Some(Family::Json)) => Err(Error::new(Code::BadObject, "the content is not JSON")
            .help("write JSON objects, one a line or in one array")),
        (_, _, Some(Family::Csv)) => Ok(Family::Csv),
        _ if detect_csv(text, complete).is_some() => Ok(Family::Csv),
        _ => Err(Error::new(Code::UnreadableTable, "the object is of no known format")
            .help("move it out of the table's folder; known are CSV, JSON, Parquet, Avro and ORC")),
    }
}

/// Refuses objects of a new table whose names promise different formats.
///
/// # Errors
/// [`Code::UnreadableTable`] naming two of them.
pub(super) fn check_names(objects: &[Object]) -> Result<()> {
    let mut first: Option<(Family, &Object)> = None;
    for object in objects {
        let Some(family) = promised(object.file_name()) else { continue };
        match first {
            None => first = Some((family, object)),
            Some((expected, other)) if expected != family => {
                return Err(several(&other.below, expected, &object.below, family).in_object(&object.url, None));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// That a table has objects of two formats.
pub(super) fn several(one: &str, of_one: Family, other: &str, of_other: Family) -> Error {
    let message = format!(
        "the table's objects are of several formats: `{one}` is {}, `{other}` is {}",
        of_one.name(),
        of_other.name()
    );
    Error::new(Code::UnreadableTable, message).help("give each format a table of its own")
}

/// That an object is of another format than its table.
pub(super) fn other_than_table(below: &str, found: Family, expected: Family) -> Error {
    let message = format!("`{below}` is {}, but the table is {} in the catalog", found.name(), expected.name());
    Error::new(Code::UnreadableTable, message).help("move the objects into a table of their own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_promise_formats() {
        for (name, family) in [
            ("a.csv", Some(Family::Csv)),
            ("a.b.TSV.GZ", Some(Family::Csv)),
            ("part-0.jsonl.zst", Some(Family::Json)),
            ("x.ndjson.bz2", Some(Family::Json)),
            ("x.pq", Some(Family::Parquet)),
            ("x.avro", Some(Family::Avro)),
            ("x.snappy.orc", Some(Family::Orc)),
            ("a.txt", None),
            ("a", None),
            ("csv", None),
            ("a.gz", None),
            ("a.csv.tmp", None),
            ("", None),
        ] {
            assert_eq!(promised(name), family, "{name}");
        }
        assert!(has_tabs("a.tsv.gz") && !has_tabs("a.csv"));
    }

    #[test]
    fn content_tells_the_format() {
        assert_eq!(of_magic(b"PAR1...."), Some(Family::Parquet));
        assert_eq!(of_magic(b"Obj\x01..."), Some(Family::Avro));
        assert_eq!(of_magic(b"ORC\x0a\x00"), Some(Family::Orc));
        assert_eq!(of_magic(b"ORCID,name\n1,x\n"), None);
        let of = |text: &str, expected| of_text(text.as_bytes(), true, expected).map_err(|error| error.code);
        for (text, expected, family) in [
            ("{\"a\":1}", None, Ok(Family::Json)),
            ("{\"a\":1}", Some(Family::Csv), Ok(Family::Json)),
            ("\u{feff}[\n {\"a\":1}]", None, Ok(Family::Json)),
            ("{x},y\n1,2\n", Some(Family::Csv), Ok(Family::Csv)),
            ("a|b\n1|2\n", None, Ok(Family::Csv)),
            ("a\n1\n", Some(Family::Csv), Ok(Family::Csv)),
            ("a\n1\n", None, Err(Code::UnreadableTable)),
            ("a,b\n1,2\n", Some(Family::Json), Err(Code::BadObject)),
            ("[1]", Some(Family::Json), Ok(Family::Json)),
            (" \n", Some(Family::Json), Ok(Family::Json)),
            ("a\0,b", Some(Family::Csv), Err(Code::BadObject)),
        ] {
            assert_eq!(of(text, expected), family, "{text:?}");
        }
    }
}
