//! Partition projection: the partitions of a table that are told by its parameters instead of the catalog, as Athena reads them.
//!
//! Athena computes all partitions that may be there. Here objects are listed, and the partition of each is read from its place: what
//! is not there costs nothing, however wide the ranges are. Parameters are those of Athena's documentation: `projection.enabled`,
//! `projection.<key>.type` with `values`, `range`, `interval`, `digits`, `format`, and `storage.location.template`.

mod date;

use chrono::{DateTime, Utc};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::table::Table;
use date::Dates;

/// How the places of a table's objects tell their partitions.
#[derive(Debug)]
pub(crate) struct Projection {
    /// A folder's URL without a `/` at its end, in pieces.
    template: Vec<Piece>,
    /// By partition key.
    domains: Vec<Domain>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The value of the key of this number.
    Key(usize),
}

/// The values that a key may have.
#[derive(Debug)]
enum Domain {
    Enum(Vec<String>),
    Integer {
        first: i64,
        last: i64,
        interval: i64,
        digits: usize,
    },
    Date(Dates),
    /// Whatever stands there.
    Injected,
}

/// Whether a table's partitions are projected.
pub(crate) fn is_on(table: &Table) -> bool {
    !table.partition_keys.is_empty()
        && parameter(table, "projection.enabled").is_some_and(|on| on.eq_ignore_ascii_case("true"))
}

impl Projection {
    /// The projection of a table, where it has one. `now` ends ranges up to `NOW`; where it is not known they have no end.
    ///
    /// # Errors
    /// [`Code::UnsupportedTable`] with the parameter that is missing, or is none of Athena's.
    pub(crate) fn of(table: &Table, now: Option<DateTime<Utc>>) -> Result<Option<Self>> {
        if !is_on(table) {
            return Ok(None);
        }
        let keys: Vec<&str> = table.partition_keys.iter().map(|key| key.name.as_str()).collect();
        let domains = keys.iter().map(|key| domain(table, key, now)).collect::<Result<_>>()?;
        let template = match parameter(table, "storage.location.template") {
            Some(template) => pieces(table, &keys, template)?,
            None => {
                let mut pieces = vec![Piece::Text(table.location.clone())];
                for (index, key) in keys.iter().enumerate() {
                    let before = if index == 0 { "" } else { "/" };
                    pieces.extend([Piece::Text(format!("{before}{key}=")), Piece::Key(index)]);
                }
                pieces
            }
        };
        Ok(Some(Self { template, domains }))
    }

    /// The folder that holds all partitions, ending in `/`.
    pub(crate) fn root(&self) -> &str {
        match self.template.first() {
            Some(Piece::Text(text)) => text.rfind('/').map_or("", |slash| &text[..=slash]),
            _ => "",
        }
    }

    /// The partition that an object belongs to, and its path below the partition's folder; `None` if it lies in no projected one.
    pub(crate) fn place<'a>(&self, url: &'a str) -> Option<(Vec<Option<String>>, &'a str)> {
        let mut values = vec![None; self.domains.len()];
        let below = self.matched(&self.template, url, &mut values)?;
        Some((values, below))
    }

    /// What follows the folder in a URL; the values are filled in on the way.
    fn matched<'a>(&self, pieces: &[Piece], url: &'a str, values: &mut Vec<Option<String>>) -> Option<&'a str> {
        match pieces {
            // The folder ends here, and something lies in it.
            [] => url.strip_prefix('/').filter(|rest| !rest.is_empty()),
            [Piece::Text(text), pieces @ ..] => self.matched(pieces, url.strip_prefix(text.as_str())?, values),
            [Piece::Key(key), pieces @ ..] => {
                for end in self.domains[*key].ends(url) {
                    let (value, rest) = url.split_at(end);
                    let former = values[*key].clone();
                    if former.as_deref().is_some_and(|former| former != value) {
                        continue;
                    }
                    values[*key] = Some(value.to_owned());
                    if let Some(rest) = self.matched(pieces, rest, values) {
                        return Some(rest);
                    }
                    values[*key] = former;
                }
                None
            }
        }
    }
}

impl Domain {
    /// Where a value may end that a text begins with, the longest first.
    fn ends(&self, text: &str) -> Vec<usize> {
        let mut ends: Vec<usize> = match self {
            Self::Enum(values) => {
                values.iter().filter(|value| text.starts_with(value.as_str())).map(String::len).collect()
            }
            Self::Integer { first, last, interval, digits } => {
                let sign = usize::from(text.starts_with('-'));
                let length = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
                let is_value = |end: &usize| {
                    let written = &text[..*end];
                    let is_spelt = if *digits == 0 {
                        end - sign == 1 || text.as_bytes()[sign] != b'0'
                    } else {
                        end - sign == *digits || end - sign > *digits && text.as_bytes()[sign] != b'0'
                    };
                    let is_in =
                        |n: i64| (*first..=*last).contains(&n) && n.abs_diff(*first) % interval.unsigned_abs() == 0;
                    is_spelt && written.parse().is_ok_and(is_in)
                };
                (sign + 1..=sign + length).filter(is_value).collect()
            }
            Self::Date(dates) => dates.ends(text),
            Self::Injected => vec![text.find('/').unwrap_or(text.len())],
        };
        ends.retain(|end| *end > 0);
        ends.sort_by(|a, b| b.cmp(a));
        ends
    }
}

fn parameter<'a>(table: &'a Table, name: &str) -> Option<&'a str> {
    let found = table.parameters.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

/// The template's pieces: keys are written `${key}`.
fn pieces(table: &Table, keys: &[&str], template: &str) -> Result<Vec<Piece>> {
    let wrong = |why: &str| unsupported(table, "storage.location.template", why);
    let mut pieces = Vec::new();
    let mut rest = template.trim_end_matches('/');
    while let Some(start) = rest.find("${") {
        let (text, key) = rest.split_at(start);
        let (key, after) = key[2..].split_once('}').ok_or_else(|| wrong("has a `${` without `}`"))?;
        let index = keys.iter().position(|known| known.eq_ignore_ascii_case(key));
        let index = index.ok_or_else(|| wrong(&format!("names `{key}`, which is no partition key")))?;
        pieces.extend((!text.is_empty()).then(|| Piece::Text(text.to_owned())));
        pieces.push(Piece::Key(index));
        rest = after;
    }
    pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
    if let Some(index) = (0..keys.len()).find(|index| !pieces.contains(&Piece::Key(*index))) {
        return Err(wrong(&format!("does not name the partition key `{}`", keys[index])));
    }
    if !template.starts_with("s3://") && !template.starts_with(&table.location) {
        return Err(wrong("is no URL"));
    }
    Ok(pieces)
}

fn domain(table: &Table, key: &str, now: Option<DateTime<Utc>>) -> Result<Domain> {
    let named = |name: &str| format!("projection.{key}.{name}");
    let of = |name: &str| parameter(table, &named(name));
    let wrong = |name: &str, why: &str| unsupported(table, &named(name), why);
    let number = |name: &str, default: i64| match of(name) {
        None => Ok(default),
        Some(text) => text.parse::<i64>().ok().filter(|n| *n >= 0).ok_or_else(|| wrong(name, "is no number")),
    };
    let range = || {
        let range = of("range").ok_or_else(|| wrong("range", "is missing"))?;
        range.split_once(',').map(|(a, b)| (a.trim(), b.trim())).ok_or_else(|| wrong("range", "is not `first,last`"))
    };
    match of("type").map(str::to_ascii_lowercase).as_deref() {
        Some("enum") => {
            let values = of("values").ok_or_else(|| wrong("values", "is missing"))?;
            Ok(Domain::Enum(values.split(',').map(|value| value.trim().to_owned()).collect()))
        }
        Some("integer") => {
            let (first, last) = range()?;
            let bound =
                |text: &str| text.parse().map_err(|_| wrong("range", &format!("has `{text}`, which is no number")));
            let digits = usize::try_from(number("digits", 0)?).unwrap_or_default();
            Ok(Domain::Integer {
                first: bound(first)?,
                last: bound(last)?,
                interval: number("interval", 1)?.max(1),
                digits,
            })
        }
        Some("date") => {
            let (first, last) = range()?;
            let format = of("format").ok_or_else(|| wrong("format", "is missing"))?;
            let unit = of("interval.unit").map(str::to_ascii_lowercase);
            let dates = Dates::of(format, (first, last), number("interval", 1)?.max(1), unit.as_deref(), now);
            dates.map(Domain::Date).map_err(|(name, why)| wrong(name, &why))
        }
        Some("injected") => Ok(Domain::Injected),
        Some(_) => Err(wrong("type", "is none of `enum`, `integer`, `date` and `injected`")),
        None => Err(wrong("type", "is missing")),
    }
}

fn unsupported(table: &Table, parameter: &str, why: &str) -> Error {
    Error::new(
        Code::UnsupportedTable,
        format!("the table `{}` cannot be read: its parameter `{parameter}` {why}", table.name),
    )
    .help("correct the table's partition projection, or set `projection.enabled` to `false` and add its partitions")
}

#[cfg(test)]
mod tests;
