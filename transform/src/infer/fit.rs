//! Whether what objects hold fits the columns that the catalog declares.

use super::lattice::Shape;
use crate::hive::HiveType;

/// Where among the fields of a struct the one is that another struct calls `name`. Letter case tells no fields apart, as in Hive; unless
/// the other struct has both, of which `has` tells.
pub(crate) fn twin<'a>(
    mut fields: impl Iterator<Item = &'a str> + Clone,
    name: &str,
    has: impl Fn(&str) -> bool,
) -> Option<usize> {
    let exact = fields.clone().position(|field| field == name);
    exact.or_else(|| fields.position(|field| field.eq_ignore_ascii_case(name) && !has(field)))
}

fn names(fields: &[(String, HiveType)]) -> impl Iterator<Item = &str> + Clone {
    fields.iter().map(|(name, _)| name.as_str())
}

/// Whether a column of this type can hold values of a text format.
pub(super) fn values_fit(shape: &Shape, declared: &HiveType) -> bool {
    use HiveType as H;
    match (shape, declared) {
        (Shape::Undecided, _) => true,
        (Shape::List(element), H::Array(declared)) => values_fit(element, declared),
        (Shape::Struct(fields), H::Struct(declared)) => fields.iter().all(|(name, shape)| {
            let place = twin(names(declared), name, |name| fields.has(name));
            place.is_some_and(|place| values_fit(shape, &declared[place].1))
        }),
        (Shape::Struct(fields), H::Map(_, declared)) => fields.iter().all(|(_, shape)| values_fit(shape, declared)),
        (Shape::List(_) | Shape::Struct(_), _) => false,
        (_, H::String | H::Varchar(_) | H::Char(_)) => true,
        (Shape::Boolean, H::Boolean) | (Shape::Date, H::Date | H::Timestamp) | (Shape::Timestamp, H::Timestamp) => true,
        (Shape::BigInt, H::TinyInt | H::SmallInt | H::Int | H::BigInt) => true,
        (Shape::BigInt | Shape::Decimal | Shape::Double, H::Float | H::Double | H::Decimal(..)) => true,
        _ => false,
    }
}

/// The narrowest type that holds these values of a text format beside what a column of this type holds, if there is one. Text
/// is not taken for wider than everything else: a query that computes with a column would fail on it.
pub(super) fn wider_for_values(shape: &Shape, declared: &HiveType) -> Option<HiveType> {
    use HiveType as H;
    if values_fit(shape, declared) {
        return Some(declared.clone());
    }
    Some(match (shape, declared) {
        (Shape::Decimal, H::TinyInt | H::SmallInt | H::Int | H::BigInt) => H::Decimal(38, 0),
        (Shape::Double, H::TinyInt | H::SmallInt | H::Int | H::BigInt) => H::Double,
        (Shape::Timestamp, H::Date) => H::Timestamp,
        (Shape::List(element), H::Array(declared)) => H::Array(Box::new(wider_for_values(element, declared)?)),
        (Shape::Struct(fields), H::Map(key, declared)) => {
            let mut wider = declared.as_ref().clone();
            for (_, shape) in fields.iter() {
                wider = wider_for_values(shape, &wider)?;
            }
            H::Map(key.clone(), Box::new(wider))
        }
        (Shape::Struct(fields), H::Struct(declared)) => {
            let mut wider = declared.clone();
            for (name, shape) in fields.clone().into_ordered() {
                match twin(names(&wider), &name, |name| fields.has(name)) {
                    Some(place) => wider[place].1 = wider_for_values(&shape, &wider[place].1)?,
                    None => wider.push((name, shape.hive_type().ok()?)),
                }
            }
            H::Struct(wider)
        }
        _ => return None,
    })
}

/// Whether a column of the type `declared` can hold every value of the type `seen`.
pub(crate) fn type_fits(seen: &HiveType, declared: &HiveType) -> bool {
    match (seen, declared) {
        (HiveType::String, HiveType::Varchar(_) | HiveType::Char(_)) => true,
        _ => widened(declared, seen).as_ref() == Some(declared),
    }
}

/// The narrowest type that holds every value of both, if there is one.
pub(super) fn widened(a: &HiveType, b: &HiveType) -> Option<HiveType> {
    use HiveType as H;
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (H::Float, H::Double) | (H::Double, H::Float) => H::Double,
        (H::Decimal(p, s), H::Decimal(q, t)) => {
            let scale = *s.max(t);
            let precision = (p - s).max(q - t) + scale;
            if precision > 38 {
                return None;
            }
            H::Decimal(precision, scale)
        }
        (H::Array(a), H::Array(b)) => H::Array(Box::new(widened(a, b)?)),
        (H::Map(key_a, a), H::Map(key_b, b)) => H::Map(Box::new(widened(key_a, key_b)?), Box::new(widened(a, b)?)),
        (H::Struct(a), H::Struct(b)) => {
            let mut fields = a.clone();
            let has = |name: &str| b.iter().any(|(other, _)| other == name);
            for (name, other) in b {
                match twin(names(&fields), name, has) {
                    Some(place) => fields[place].1 = widened(&fields[place].1, other)?,
                    None => fields.push((name.clone(), other.clone())),
                }
            }
            H::Struct(fields)
        }
        (a, b) => {
            let wider = integer_bits(a)?.max(integer_bits(b)?);
            if integer_bits(a) == Some(wider) { a.clone() } else { b.clone() }
        }
    })
}

fn integer_bits(hive_type: &HiveType) -> Option<u8> {
    match hive_type {
        HiveType::TinyInt => Some(8),
        HiveType::SmallInt => Some(16),
        HiveType::Int => Some(32),
        HiveType::BigInt => Some(64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hive(text: &str) -> HiveType {
        text.parse().unwrap()
    }

    #[test]
    fn types_that_hold_both() {
        let cases = [
            ("int", "bigint", Some("bigint")),
            ("tinyint", "smallint", Some("smallint")),
            ("float", "double", Some("double")),
            ("decimal(10,2)", "decimal(10,4)", Some("decimal(12,4)")),
            ("decimal(38,0)", "decimal(38,38)", None),
            ("array<int>", "array<bigint>", Some("array<bigint>")),
            ("struct<a:int>", "struct<b:date,a:bigint>", Some("struct<a:bigint,b:date>")),
            ("struct<aB:int>", "struct<AB:bigint>", Some("struct<aB:bigint>")),
            ("struct<a:int>", "struct<a:int,A:date>", Some("struct<a:int,A:date>")),
            ("map<string,int>", "map<string,string>", None),
            ("bigint", "double", None),
            ("int", "string", None),
            ("date", "timestamp", None),
        ];
        for (a, b, expected) in cases {
            assert_eq!(widened(&hive(a), &hive(b)), expected.map(hive), "{a} and {b}");
            let turned = widened(&hive(b), &hive(a));
            assert_eq!(turned.is_some(), expected.is_some(), "{b} and {a}");
        }
    }

    #[test]
    fn types_fit_wider_columns_only() {
        for (seen, declared) in [
            ("int", "bigint"),
            ("decimal(10,2)", "decimal(12,2)"),
            ("string", "varchar(10)"),
            ("struct<b:int>", "struct<a:int,b:bigint>"),
            ("array<float>", "array<double>"),
            ("struct<firstName:int>", "struct<firstname:bigint>"),
        ] {
            assert!(type_fits(&hive(seen), &hive(declared)), "{seen} in {declared}");
            assert!(!type_fits(&hive(declared), &hive(seen)), "{declared} in {seen}");
        }
    }

    #[test]
    fn values_fit_the_types_that_people_declare() {
        for declared in ["tinyint", "int", "bigint", "float", "double", "decimal(12,2)", "string", "varchar(9)"] {
            assert!(values_fit(&Shape::BigInt, &hive(declared)), "{declared}");
        }
        for declared in ["boolean", "date", "timestamp", "binary", "array<bigint>"] {
            assert!(!values_fit(&Shape::BigInt, &hive(declared)), "{declared}");
            assert!(values_fit(&Shape::Undecided, &hive(declared)), "{declared}");
        }
        assert!(!values_fit(&Shape::Double, &hive("bigint")));
        assert!(values_fit(&Shape::Date, &hive("timestamp")));
        assert!(!values_fit(&Shape::Timestamp, &hive("date")));
        assert!(!values_fit(&Shape::String, &hive("bigint")));
        assert!(!values_fit(&Shape::List(Box::new(Shape::BigInt)), &hive("string")));
        assert!(values_fit(&Shape::List(Box::new(Shape::Undecided)), &hive("array<bigint>")));
    }
}
