//! The types that values of text formats can have, and the narrowest type of two of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::hive::HiveType;

/// The narrowest type of some values.
///
/// `Undecided` is below all others, `String` above; between them `BigInt < Decimal < Double` and `Date < Timestamp`. Lists and structs
/// join by their parts; any other mixture is a string.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Shape {
    /// No value yet.
    #[default]
    Undecided,
    /// `true` and `false`.
    Boolean,
    /// Integers of 64 bits.
    BigInt,
    /// Integers of up to 38 digits.
    Decimal,
    /// Numbers.
    Double,
    /// Days.
    Date,
    /// Points in time, UTC or without zone.
    Timestamp,
    /// Anything.
    String,
    /// Lists of elements of one shape.
    List(Box<Shape>),
    /// Objects.
    Struct(Fields),
}

/// The fields of objects, in order of their first appearance.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields {
    fields: BTreeMap<String, (usize, Shape)>,
    /// The first spelling of each name, by the name in lower case.
    spelled: BTreeMap<String, String>,
}

impl Fields {
    /// Adds a value of a field.
    pub(super) fn add(&mut self, name: String, shape: Shape) {
        let next = self.fields.len();
        if !self.fields.contains_key(&name) {
            self.spelled.entry(name.to_ascii_lowercase()).or_insert_with(|| name.clone());
        }
        let field = self.fields.entry(name).or_insert((next, Shape::Undecided));
        field.1 = std::mem::take(&mut field.1).join(shape);
    }

    /// The fields of both. Letter case tells no names apart, unless one of them has both: the first spelling stays.
    fn join(mut self, others: Self) -> Self {
        let names: BTreeSet<String> = others.fields.keys().cloned().collect();
        for (name, shape) in others.into_ordered() {
            let known = match self.has(&name) {
                true => None,
                false => self.spelled.get(&name.to_ascii_lowercase()).filter(|known| !names.contains(*known)),
            };
            let name = known.cloned().unwrap_or(name);
            self.add(name, shape);
        }
        self
    }

    /// Whether there is a field of just this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Names and shapes in order.
    pub(super) fn into_ordered(self) -> Vec<(String, Shape)> {
        let mut fields: Vec<_> = self.fields.into_iter().collect();
        fields.sort_by_key(|(_, (position, _))| *position);
        fields.into_iter().map(|(name, (_, shape))| (name, shape)).collect()
    }

    /// Names and shapes by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.fields.iter().map(|(name, (_, shape))| (name.as_str(), shape))
    }
}

impl Shape {
    /// The narrowest shape that holds the values of both.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Undecided, shape) | (shape, Self::Undecided) => shape,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.join(*b))),
            (Self::Struct(fields), Self::Struct(others)) => Self::Struct(fields.join(others)),
            (a, b) if a == b => a,
            (Self::BigInt, Self::Decimal) | (Self::Decimal, Self::BigInt) => Self::Decimal,
            (Self::BigInt | Self::Decimal, Self::Double) | (Self::Double, Self::BigInt | Self::Decimal) => Self::Double,
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            _ => Self::String,
        }
    }

    /// The Hive type of a new column; what is undecided is a string.
    ///
    /// # Errors
    /// [`Code::UnsupportedType`] for objects without any field.
    pub(super) fn hive_type(&self) -> Result<HiveType> {
        Ok(match self {
            Self::Undecided | Self::String => HiveType::String,
            Self::Boolean => HiveType::Boolean,
            Self::BigInt => HiveType::BigInt,
            Self::Decimal => HiveType::Decimal(38, 0),
            Self::Double => HiveType::Double,
            Self::Date => HiveType::Date,
            Self::Timestamp => HiveType::Timestamp,
            Self::List(element) => HiveType::Array(Box::new(element.hive_type()?)),
            Self::Struct(fields) => {
                let fields = fields.clone().into_ordered();
                if fields.is_empty() {
                    return Err(Error::new(
                        Code::UnsupportedType,
                        "Hive tables have no type for objects without any field",
                    ));
                }
                HiveType::Struct(
                    fields.into_iter().map(|(name, shape)| Ok((name, shape.hive_type()?))).collect::<Result<_>>()?,
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_shape() -> impl Strategy<Value = Shape> {
        let simple = prop::sample::select(vec![
            Shape::Undecided,
            Shape::Boolean,
            Shape::BigInt,
            Shape::Decimal,
            Shape::Double,
            Shape::Date,
            Shape::Timestamp,
            Shape::String,
        ]);
        simple.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|element| Shape::List(Box::new(element))),
                prop::collection::vec(("[a-c]", inner), 0..3).prop_map(|fields| structure(&fields)),
            ]
        })
    }

    fn structure(fields: &[(impl ToString, Shape)]) -> Shape {
        let mut all = Fields::default();
        for (name, shape) in fields {
            all.add(name.to_string(), shape.clone());
        }
        Shape::Struct(all)
    }

    /// The same shape with its fields in order of their names.
    fn sorted(shape: Shape) -> Shape {
        match shape {
            Shape::List(element) => Shape::List(Box::new(sorted(*element))),
            Shape::Struct(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|(name, shape)| (name.to_owned(), sorted(shape.clone()))).collect();
                structure(&fields)
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn joining_is_a_lattice(a in any_shape(), b in any_shape(), c in any_shape()) {
            prop_assert_eq!(a.clone().join(a.clone()), a.clone());
            prop_assert_eq!(a.clone().join(Shape::Undecided), a.clone());
            prop_assert_eq!(a.clone().join(Shape::String), Shape::String);
            prop_assert_eq!(sorted(a.clone().join(b.clone())), sorted(b.clone().join(a.clone())), "order of objects");
            prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.join(b.join(c)), "grouping of objects");
        }
    }

    #[test]
    fn narrowest_types() {
        assert_eq!(Shape::BigInt.join(Shape::Double), Shape::Double);
        assert_eq!(Shape::Timestamp.join(Shape::Date), Shape::Timestamp);
        assert_eq!(Shape::Boolean.join(Shape::BigInt), Shape::String);
        assert_eq!(Shape::Date.join(Shape::BigInt), Shape::String);
        assert_eq!(Shape::List(Box::new(Shape::BigInt)).join(Shape::BigInt), Shape::String);
        assert_eq!(
            structure(&[("b", Shape::BigInt), ("a", Shape::Undecided)])
                .join(structure(&[("c", Shape::Date), ("a", Shape::Boolean)]))
                .hive_type()
                .unwrap()
                .to_string(),
            "struct<b:bigint,a:boolean,c:date>"
        );
        assert_eq!(
            structure(&[("userId", Shape::BigInt), ("x", Shape::Date)])
                .join(structure(&[("X", Shape::Date), ("USERID", Shape::Double)]))
                .hive_type()
                .unwrap()
                .to_string(),
            "struct<userId:double,x:date>"
        );
        assert_eq!(Shape::List(Box::new(Shape::Undecided)).hive_type().unwrap().to_string(), "array<string>");
        assert_eq!(structure(&[] as &[(&str, Shape)]).hive_type().unwrap_err().code, Code::UnsupportedType);
    }
}
