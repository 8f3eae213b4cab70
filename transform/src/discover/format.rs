//! Formats of objects: by the suffix of their names, checked against their first bytes.

use crate::code::Code;
use crate::codec::Codec;
use crate::discover::survey::Object;
use crate::error::{Error, Result};
use crate::store::DataRoot;
use crate::table::{Format, Table};

/// A format, without its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Delimited text.
    Csv,
    /// One JSON object a line.
    Json,
    /// Parquet.
    Parquet,
}

/// What the name of an object says about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    /// The format below the compression.
    pub family: Family,
    /// The compression of the whole object.
    pub codec: Option<Codec>,
    /// Whether the name says that fields are divided by tabs.
    pub tabs: bool,
}

const KNOWN: &str =
    "known are .csv, .tsv, .json, .jsonl and .ndjson, also with .gz, .zst or .bz2, and .parquet and .pq";

impl Family {
    fn of(format: &Format) -> Self {
        match format {
            Format::Csv(_) => Self::Csv,
            Format::Json => Self::Json,
            Format::Parquet => Self::Parquet,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Parquet => "Parquet",
        }
    }
}

/// What a file name says about the content; `None` for a suffix that is not known.
pub(super) fn encoding(file_name: &str) -> Option<Encoding> {
    let lower = file_name.to_ascii_lowercase();
    let (stem, suffix) = lower.rsplit_once('.')?;
    let codec = Codec::of(&lower);
    let suffix = if codec.is_some() { stem.rsplit_once('.')?.1 } else { suffix };
    let family = match suffix {
        "csv" | "tsv" => Family::Csv,
        "json" | "jsonl" | "ndjson" => Family::Json,
        "parquet" | "pq" if codec.is_none() => Family::Parquet,
        _ => return None,
    };
    Some(Encoding { family, codec, tabs: suffix == "tsv" })
}

/// The one format of all objects of a table.
///
/// # Errors
/// [`Code::UnreadableTable`] naming an object of no known format, two objects of different formats, or one of another format
/// than the catalog's.
pub(super) fn of_table(root: &DataRoot, objects: &[Object], known: Option<&Table>) -> Result<Family> {
    let mut first: Option<(Family, &Object)> = None;
    for object in objects {
        let Some(Encoding { family, .. }) = encoding(object.file_name()) else {
            let message = format!("`{}` is of no known format", object.below);
            return Err(Error::new(Code::UnreadableTable, message)
                .help(format!("move it out of the table's folder, or rename it: {KNOWN}"))
                .in_object(&object.url, None));
        };
        match first {
            None => first = Some((family, object)),
            Some((expected, other)) if expected != family => {
                let message = format!(
                    "the table's objects are of several formats: `{}` is {}, `{}` is {}",
                    other.below,
                    expected.name(),
                    object.below,
                    family.name()
                );
                return Err(Error::new(Code::UnreadableTable, message)
                    .help("give each format a table of its own")
                    .in_object(&object.url, None));
            }
            Some(_) => {}
        }
    }
    let Some((family, object)) = first else {
        return Err(
            Error::new(Code::UnreadableTable, "the table has no objects").in_object(root.url(root.prefix()), None)
        );
    };
    match known.map(|table| Family::of(&table.format)) {
        Some(expected) if expected != family => Err(Error::new(
            Code::UnreadableTable,
            format!("`{}` is {}, but the table is {} in the catalog", object.below, family.name(), expected.name()),
        )
        .help("move the objects into a table of their own")
        .in_object(&object.url, None)),
        _ => Ok(family),
    }
}

/// Whether the first bytes of an object fit the compression that its name says.
///
/// # Errors
/// [`Code::BadObject`] saying what the object is instead.
pub(super) fn check_codec(encoding: Encoding, start: &[u8]) -> Result<()> {
    match (encoding.codec, Codec::of_content(start)) {
        (expected, found) if expected == found => Ok(()),
        (_, Some(found)) => Err(Error::new(
            Code::BadObject,
            format!("the content is compressed, but the name does not end in .{}", found.suffix()),
        )
        .help("rename the object")),
        (_, None) => {
            Err(Error::new(Code::BadObject, "the name says that the content is compressed, but it is not as it says")
                .help("rename the object, or upload it again"))
        }
    }
}

/// Whether the first bytes of a text fit its format.
///
/// # Errors
/// [`Code::BadObject`] saying what the object is instead.
pub(super) fn check_text(family: Family, text: &[u8]) -> Result<()> {
    if text.starts_with(b"PAR1") {
        return Err(Error::new(Code::BadObject, "the content is Parquet, but the name does not end in .parquet")
            .help("rename the object"));
    }
    if text.starts_with(&[0xFF, 0xFE]) || text.starts_with(&[0xFE, 0xFF]) {
        return Err(
            Error::new(Code::BadObject, "the text is UTF-16").help("save the object as UTF-8 and upload it again")
        );
    }
    let content = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_start();
    let is_json = content.starts_with(b"{");
    match family {
        Family::Json if !is_json && !content.is_empty() => {
            let message =
                if content.starts_with(b"[") { "the content is one JSON array" } else { "the content is not JSON" };
            Err(Error::new(Code::BadObject, message).help("write one JSON object a line"))
        }
        Family::Csv if is_json && content.contains(&b'"') => {
            Err(Error::new(Code::BadObject, "the content is JSON, but the name says CSV").help("rename the object"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_format() {
        let family = |name| encoding(name).map(|encoding| (encoding.family, encoding.codec));
        assert_eq!(family("a.csv"), Some((Family::Csv, None)));
        assert_eq!(family("a.b.TSV.GZ"), Some((Family::Csv, Some(Codec::Gzip))));
        assert_eq!(family("part-0.jsonl.zst"), Some((Family::Json, Some(Codec::Zstd))));
        assert_eq!(family("x.ndjson.bz2"), Some((Family::Json, Some(Codec::Bzip2))));
        assert_eq!(family("x.pq"), Some((Family::Parquet, None)));
        assert!(encoding("a.tsv").unwrap().tabs);
        for name in ["a.txt", "a", "csv", "a.gz", "a.parquet.gz", "a.csv.tmp", "a.csv.gz.gz", ""] {
            assert_eq!(encoding(name), None, "{name}");
        }
    }

    #[test]
    fn content_that_is_not_what_the_name_says() {
        let check = |name: &str, content: &[u8]| {
            let encoding = encoding(name).unwrap();
            check_codec(encoding, content)
                .and_then(|()| if encoding.codec.is_none() { check_text(encoding.family, content) } else { Ok(()) })
        };
        for (name, content) in [
            ("a.csv", &b"a,b\n"[..]),
            ("a.csv.gz", &[0x1F, 0x8B, 8]),
            ("a.json", b"\xEF\xBB\xBF \n{}"),
            ("a.json", b"\n"),
            ("a.csv", b"{x},y\n"),
        ] {
            check(name, content).unwrap();
        }
        for (name, content) in [
            ("a.csv", &b"PAR1"[..]),
            ("a.csv", &[0x1F, 0x8B, 8]),
            ("a.csv.gz", b"a,b\n"),
            ("a.csv.gz", b"BZh9"),
            ("a.csv", b"\xFF\xFEa\0"),
            ("a.csv", b"{\"a\":1}\n"),
            ("a.json", b"[{}]"),
            ("a.json", b"a,b"),
        ] {
            let error = check(name, content).expect_err(name);
            assert_eq!(error.code, Code::BadObject, "{name}");
            assert!(error.help.is_some(), "{error}");
        }
    }
}
