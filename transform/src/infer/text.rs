//! The type of a value that is written as text.

use chrono::{NaiveDate, NaiveTime};

use super::lattice::Shape;

/// The narrowest type of a field of a CSV record, or of a partition value.
///
/// What would not come back as it was is a string: `007`, `+1`, an integer of more than 38 digits, a time in another zone than UTC.
pub(crate) fn shape_of_text(text: &str) -> Shape {
    if text.is_empty() {
        return Shape::Undecided;
    }
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return Shape::Boolean;
    }
    match shape_of_number(text) {
        Some(number) => number,
        None => shape_of_time(text),
    }
}

/// The narrowest type of a JSON string: quoted numbers and booleans are strings.
pub(super) fn shape_of_time(text: &str) -> Shape {
    let Some(date) = text.get(..10).filter(|date| is_date(date)) else { return Shape::String };
    match text[date.len()..].strip_prefix(['T', ' ']) {
        None if text.len() == date.len() => Shape::Date,
        Some(time) if is_time(time.strip_suffix('Z').unwrap_or(time)) => Shape::Timestamp,
        _ => Shape::String,
    }
}

/// `-?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][+-]?[0-9]+)?` with a digit before the exponent; `None` for any other text.
fn shape_of_number(text: &str) -> Option<Shape> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if !fraction.into_iter().chain(exponent).all(is_digits) {
        return None;
    }
    if whole.is_empty() {
        fraction?;
    } else if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    if fraction.is_none() && exponent.is_none() && text != "-0" {
        return match text.parse::<i64>() {
            Ok(_) => Some(Shape::BigInt),
            Err(_) => (unsigned.len() <= 38).then_some(Shape::Decimal),
        };
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| Shape::Double)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `YYYY-MM-DD`, a day of the calendar.
fn is_date(text: &str) -> bool {
    text.bytes().enumerate().all(|(index, b)| if matches!(index, 4 | 7) { b == b'-' } else { b.is_ascii_digit() })
        && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// `HH:MM:SS`, or `HH:MM:SS.` and up to nine digits. Without seconds it is a string: the readers do not take it for a time.
fn is_time(text: &str) -> bool {
    let (time, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let shaped =
        time.bytes().enumerate().all(|(index, b)| if matches!(index, 2 | 5) { b == b':' } else { b.is_ascii_digit() });
    shaped
        && time.len() == 8
        && is_digits(fraction)
        && fraction.len() <= 9
        && !time.ends_with(":60")
        && NaiveTime::parse_from_str(time, "%H:%M:%S").is_ok()
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;
    use proptest::prelude::*;

    use super::*;

    /// CSV and JSON are read by arrow, whose parsers must take what is inferred here.
    fn assert_readable(text: &str, shape: &Shape) {
        let data_type = shape.hive_type().unwrap().arrow();
        let value = ScalarValue::from(text).cast_to(&data_type);
        assert!(value.is_ok_and(|value| !value.is_null()), "`{text}` cannot be read as {data_type}");
    }

    proptest! {
        #[test]
        fn what_is_inferred_can_be_read(
            text in prop_oneof![
                "-?[0-9]{0,20}",
                "-?[0-9]{0,5}\\.?[0-9]{0,20}([eE][+-]?[0-9]{1,3})?",
                "[0-9]{4}-[01][0-9]-[0-3][0-9]",
                "[0-9]{4}-0[1-9]-[0-2][1-9][T ][0-2][0-9](:[0-6][0-9]){1,2}(\\.[0-9]{0,10})?Z?",
                "(?i)true|false",
                any::<String>(),
            ]
        ) {
            let shape = shape_of_text(&text);
            if shape != Shape::Undecided {
                assert_readable(&text, &shape);
            }
            if shape == Shape::Date {
                assert_readable(&text, &Shape::Timestamp);
            }
            if shape == Shape::BigInt {
                assert_readable(&text, &Shape::Double);
            }
        }
    }

    #[test]
    fn integers_are_those_that_come_back() {
        for text in ["0", "7", "-1", "1000000", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(shape_of_text(text), Shape::BigInt, "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "12345678901234567890123456789012345678"] {
            assert_eq!(shape_of_text(text), Shape::Decimal, "{text}");
        }
        for text in [
            "007",
            "00",
            "-01",
            "+1",
            "123456789012345678901234567890123456789",
            "1 000",
            "1,000",
            "1_000",
            "0x1F",
            " 1",
            "1 ",
            "٣",
            "-",
            "--1",
        ] {
            assert_eq!(shape_of_text(text), Shape::String, "{text}");
        }
    }

    #[test]
    fn doubles() {
        for text in ["1.5", "-0.25", "1e3", "1E-3", "2.5e+10", ".5", "-.5", "-0", "1.0", "123456789012345678901.5"] {
            assert_eq!(shape_of_text(text), Shape::Double, "{text}");
        }
        for text in [
            "NaN",
            "nan",
            "inf",
            "-Infinity",
            "1e400",
            "1.",
            ".",
            "e5",
            "1e",
            "1e+",
            "1.e5",
            "00.5",
            "+1.5",
            "1.5.2",
            "1,5",
            "1e5e5",
            "-.e1",
        ] {
            assert_eq!(shape_of_text(text), Shape::String, "{text}");
        }
    }

    #[test]
    fn booleans_are_true_and_false_only() {
        for text in ["true", "false", "TRUE", "False"] {
            assert_eq!(shape_of_text(text), Shape::Boolean, "{text}");
        }
        for text in ["yes", "no", "t", "f", "on", "truee"] {
            assert_eq!(shape_of_text(text), Shape::String, "{text}");
        }
        assert_eq!(shape_of_text("1"), Shape::BigInt);
    }

    #[test]
    fn dates_and_timestamps() {
        for text in ["2026-11-22", "2024-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(shape_of_text(text), Shape::Date, "{text}");
            assert_eq!(shape_of_time(text), Shape::Date, "{text}");
        }
        for text in
            ["2026-11-22T10:00:00", "2026-11-22 10:00:00", "2026-11-22 23:59:59.999999999", "2026-11-22T10:00:00.5Z"]
        {
            assert_eq!(shape_of_text(text), Shape::Timestamp, "{text}");
            assert_eq!(shape_of_time(text), Shape::Timestamp, "{text}");
        }
        for text in [
            "2025-02-29",
            "0000-00-00",
            "2026-13-01",
            "2026-1-2",
            "22.11.2026",
            "11/22/2026",
            "20261122x",
            "2026-11-22T",
            "2026-11-22 ",
            "2026-11-22Z",
            "2026-11-22 24:00:00",
            "2026-11-22 10:60:00",
            "2026-11-22 10:00:60",
            "2026-11-22 10:00:00.",
            "2026-11-22 10",
            "2026-11-22 10:00",
            "2026-11-22T10:00Z",
            "2026-11-22 10:00:00.1234567890",
            "2026-11-22 10:00.5",
            "2026-11-22T10:00:00+01:00",
            "2026-11-22T10:00:00+00:00",
            "2026-11-22 1:00:00",
            "2026-11-22  10:00:00",
            "2026-11-2é",
            "２０２６-11-22",
            "10:00:00",
        ] {
            assert_eq!(shape_of_text(text), Shape::String, "{text}");
        }
    }

    #[test]
    fn nothing_and_words() {
        assert_eq!(shape_of_text(""), Shape::Undecided);
        for text in [" ", "NULL", "\\N", "null", "n/a", "abc", "ünï", "🎉"] {
            assert_eq!(shape_of_text(text), Shape::String, "{text}");
        }
        assert_eq!(shape_of_time("12"), Shape::String, "a JSON string stays one");
        assert_eq!(shape_of_time("true"), Shape::String);
    }
}
