//! Schema inference: what columns the objects of a table have, seen from samples of them.
//!
//! Text formats are typed by the narrowest type that holds every value of the samples (see `lattice`); a column without any
//! value is a string. Parquet, Avro and ORC say their types themselves.

mod csv;
mod declared;
mod detect;
mod fit;
mod json;
mod lattice;
mod misfit;
mod text;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::hive::HiveType;

pub(crate) use csv::infer_csv;
pub(crate) use declared::infer_declared;
pub(crate) use detect::{detect_csv, has_header};
pub(crate) use fit::{twin, type_fits};
pub(crate) use json::infer_json;
pub(crate) use lattice::Shape;
pub(crate) use misfit::{Misfit, misfit};
pub(crate) use text::shape_of_text;

/// What the samples tell about the type of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// The narrowest type of the values of a text format.
    Values(Shape),
    /// The type that the object itself declares.
    Declared(HiveType),
}

/// The columns of one object, in order, by lower-case name.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// Names and types; each name once.
    pub columns: Vec<(String, Seen)>,
    /// How the object writes them at first, letter case apart.
    pub spelled: BTreeMap<String, String>,
    /// Whether the object has any row.
    pub has_rows: bool,
    /// What was left out, and why.
    pub findings: Vec<Error>,
}

impl Schema {
    /// Remembers how the object writes a column's name at first, if it is that name in some letter case.
    fn spell(&mut self, name: &str, written: &str) {
        if name == written.to_lowercase() {
            self.spelled.entry(name.to_owned()).or_insert_with(|| written.to_owned());
        }
    }
}

impl Seen {
    /// What two objects together tell; `None` if they contradict each other.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Values(a), Self::Values(b)) => Some(Self::Values(a.clone().join(b.clone()))),
            (Self::Declared(a), Self::Declared(b)) => fit::widened(a, b).map(Self::Declared),
            _ => None,
        }
    }

    /// Whether a column of this declared type can hold what was seen.
    pub(crate) fn fits(&self, declared: &HiveType) -> bool {
        match self {
            Self::Values(shape) => fit::values_fit(shape, declared),
            Self::Declared(seen) => type_fits(seen, declared),
        }
    }

    /// Whether there was no value, so that nothing is known of the type.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self, Self::Values(Shape::Undecided))
    }

    /// Whether objects declare a type of which the declared one of the table holds more.
    pub(crate) fn is_narrower(&self, declared: &HiveType) -> bool {
        matches!(self, Self::Declared(seen) if seen != declared && type_fits(seen, declared))
    }

    /// The narrowest type that holds what was seen beside what a column of this type holds, if there is one.
    pub(crate) fn wider(&self, declared: &HiveType) -> Option<HiveType> {
        let wider = match self {
            Self::Values(shape) => fit::wider_for_values(shape, declared),
            Self::Declared(seen) => fit::widened(declared, seen),
        };
        // A field name may hold what separates fields in the text of the type.
        wider.and_then(|wider| wider.to_string().parse().ok())
    }

    /// The type for a new column.
    ///
    /// # Errors
    /// [`Code::UnsupportedType`](crate::Code::UnsupportedType) if Hive type text cannot express it.
    pub(crate) fn hive_type(&self) -> Result<HiveType> {
        let hive_type = match self {
            Self::Values(shape) => shape.hive_type()?,
            Self::Declared(hive_type) => hive_type.clone(),
        };
        // A field name may hold what separates fields in the text of the type, and the nesting may be too deep for it.
        hive_type.to_string().parse()
    }
}
