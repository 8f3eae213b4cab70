//! JSON keys in the catalog's spelling, at every depth: its names do not depend on letter case, producers write `orderId`, and a
//! column may have its values from a key of another name.
//!
//! The decoder matches keys exactly and reads one that it does not know as nothing at all, which would lose data in silence.

mod order;
mod rename;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::format::{Format, JsonOptions};
use crate::hive::HiveType;
use crate::table::{Column, Table};

pub(super) use rename::Renamer;

/// What the keys of a table's objects are called in the table. The default is of a table that is not known yet.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// What values can be, from [`NOTHING`] and [`ROOT`] on.
    levels: Vec<Level>,
    /// Whether a dot in a key is an underscore in a name.
    dots: bool,
}

/// The level of values in which no key has a name.
const NOTHING: usize = 0;
/// The level of the rows.
const ROOT: usize = 1;

#[derive(Debug)]
enum Level {
    Nothing,
    /// Objects by the keys as they are written; and, for what is not among those, in lower case.
    Object(HashMap<String, Named>),
    /// Objects whose keys are values themselves, with the level of what they have.
    Map(usize),
}

/// A key that is known.
#[derive(Debug, Clone)]
struct Named {
    name: String,
    /// The same as the inside of a JSON string.
    written: String,
    /// The level of its values.
    level: usize,
}

impl Named {
    fn new(name: &str, level: usize) -> Self {
        let quoted = serde_json::Value::from(name).to_string();
        Self { name: name.to_owned(), written: quoted[1..quoted.len() - 1].to_owned(), level }
    }
}

impl Keys {
    /// The keys of a table's rows.
    pub(crate) fn of(table: &Table) -> Self {
        let usual = JsonOptions::default();
        let options = if let Format::Json(options) = &table.format { options } else { &usual };
        let mut keys = Self { levels: vec![Level::Nothing, Level::Nothing], dots: options.dots };
        let columns = || table.columns.iter().chain(&table.partition_keys);
        let mut members = Vec::new();
        // A key that is named goes before a column of its own name, and may make a column that the table will have.
        for (name, key) in &options.keys {
            let known = columns().find(|column| column.name == *name);
            let level = known.map_or(NOTHING, |column| keys.level(&column.hive_type));
            members.push((key.clone(), Named::new(name, level)));
        }
        for Column { name, hive_type, .. } in columns().filter(|column| !options.keys.contains_key(&column.name)) {
            members.push((name.clone(), Named::new(name, keys.level(hive_type))));
        }
        // What has the name of a column that is another key's is not this column.
        for Column { name, .. } in table.columns.iter().filter(|column| options.keys.contains_key(&column.name)) {
            let mut other = format!("_{name}");
            while table.columns.iter().any(|column| column.name == other) {
                other.insert(0, '_');
            }
            members.push((name.clone(), Named::new(&other, NOTHING)));
        }
        keys.levels[ROOT] = object(members);
        keys
    }

    /// The level of a column's or field's values.
    fn level(&mut self, hive_type: &HiveType) -> usize {
        let level = match hive_type {
            HiveType::Array(element) => return self.level(element),
            HiveType::Map(_, value) => match self.level(value) {
                NOTHING => return NOTHING,
                value => Level::Map(value),
            },
            HiveType::Struct(fields) => {
                object(fields.iter().map(|(name, of)| (name.clone(), Named::new(name, self.level(of)))).collect())
            }
            _ => return NOTHING,
        };
        self.levels.push(level);
        self.levels.len() - 1
    }

    /// The name of the column that has the values of a key, if that is known, and a name for it otherwise.
    pub(crate) fn column<'a>(&'a self, key: &'a str) -> Cow<'a, str> {
        match self.find(ROOT, key) {
            Some(named) => Cow::Borrowed(&named.name),
            None if self.dots => Cow::Owned(key.to_ascii_lowercase().replace('.', "_")),
            // As the reader does, which changes letters in place.
            None => Cow::Owned(key.to_ascii_lowercase()),
        }
    }

    fn find(&self, level: usize, key: &str) -> Option<&Named> {
        let Some(Level::Object(members)) = self.levels.get(level) else { return None };
        let in_any_case = |key: &str| {
            let has_capitals = || key.bytes().any(|byte| byte.is_ascii_uppercase());
            members.get(key).or_else(|| has_capitals().then(|| members.get(&key.to_ascii_lowercase())).flatten())
        };
        in_any_case(key)
            .or_else(|| (self.dots && key.contains('.')).then(|| in_any_case(&key.replace('.', "_"))).flatten())
    }
}

fn object(members: Vec<(String, Named)>) -> Level {
    let mut known = HashMap::with_capacity(members.len());
    for (key, named) in &members {
        known.entry(key.clone()).or_insert_with(|| named.clone());
    }
    for (key, named) in members {
        known.entry(key.to_ascii_lowercase()).or_insert(named);
    }
    Level::Object(known)
}
