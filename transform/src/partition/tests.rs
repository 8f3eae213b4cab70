use object_store::path::Path;
use proptest::prelude::*;

use super::*;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Text that is likely to break a coding, besides any text at all.
fn hard_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r#"[/=%'" \n\r\t+~#?*\\\[\]{}^:.&<>|`\u{0}\u{7f}éß日🎉0-9A-Fa-f]{0,12}"#,
        Just(NULL_VALUE.to_owned()),
        Just("%5F_HIVE_DEFAULT_PARTITION__".to_owned()),
        Just(".".to_owned()),
        Just("..".to_owned()),
    ]
}

fn hard_key() -> impl Strategy<Value = String> {
    hard_text().prop_filter("a key has a name", |key| !key.is_empty())
}

proptest! {
    #[test]
    fn any_value_survives_the_path(
        folders in prop::collection::vec((hard_key(), prop::option::of(hard_text())), 1..4)
    ) {
        let (keys, values): (Vec<_>, Vec<_>) = folders.iter().cloned().unzip();
        let path = encode_path(&keys, &values);
        let expected: Vec<_> =
            folders.into_iter().map(|(key, value)| (key, value.filter(|text| !text.is_empty()))).collect();
        prop_assert_eq!(decode_path(&path), expected.clone());
        // The path is one that an object store can hold, unchanged.
        let stored = Path::parse(&path).unwrap();
        prop_assert_eq!(stored.as_ref(), path.as_str());
        prop_assert_eq!(decode_path(stored.as_ref()), expected);
    }

    #[test]
    fn any_path_can_be_decoded(path in any::<String>()) {
        for (key, _) in decode_path(&path) {
            prop_assert!(!key.is_empty());
        }
    }

    #[test]
    fn integers_survive_as_text(number in any::<i64>()) {
        let value = ScalarValue::Int64(Some(number));
        let text = text_of(&value).unwrap().unwrap();
        prop_assert_eq!(&text, &number.to_string());
        prop_assert_eq!(value_of(&text, &HiveType::BigInt).unwrap(), value);
    }

    #[test]
    fn dates_survive_as_text(days in -700_000..2_900_000) {
        let value = ScalarValue::Date32(Some(days));
        let text = text_of(&value).unwrap().unwrap();
        prop_assert_eq!(text.len(), 10, "{}", text);
        prop_assert_eq!(value_of(&text, &HiveType::Date).unwrap(), value);
    }

    #[test]
    fn timestamps_survive_as_text(micros in -62_000_000_000_000_000_i64..250_000_000_000_000_000) {
        let value = ScalarValue::TimestampMicrosecond(Some(micros), None);
        let text = text_of(&value).unwrap().unwrap();
        prop_assert_eq!(value_of(&text, &HiveType::Timestamp).unwrap(), value);
    }

    #[test]
    fn decimals_survive_as_text(number in -999_999_999_999_i128..=999_999_999_999) {
        let value = ScalarValue::Decimal128(Some(number), 12, 2);
        let text = text_of(&value).unwrap().unwrap();
        prop_assert_eq!(value_of(&text, &HiveType::Decimal(12, 2)).unwrap(), value);
    }

    #[test]
    fn doubles_survive_as_text(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let value = ScalarValue::Float64(Some(number));
        let text = text_of(&value).unwrap().unwrap();
        prop_assert_eq!(value_of(&text, &HiveType::Double).unwrap(), value);
    }
}

#[test]
fn paths_are_those_of_hive() {
    let keys = ["a", "b"];
    assert_eq!(encode_path(keys, &[some("2026-11-22"), some("x y+z")]), "a=2026-11-22/b=x y+z");
    assert_eq!(encode_path(keys, &[None, some("")]), "a=__HIVE_DEFAULT_PARTITION__/b=__HIVE_DEFAULT_PARTITION__");
    assert_eq!(encode_path(keys, &[some("10:30"), some("a/b=c%")]), "a=10%3A30/b=a%2Fb%3Dc%25");
    assert_eq!(
        encode_path(["k"], &[some("\"#%'*/:=?\\{[]^\u{1}\u{1f}\u{7f}")]),
        "k=%22%23%25%27%2A%2F%3A%3D%3F%5C%7B%5B%5D%5E%01%1F%7F"
    );
    assert_eq!(encode_path(["k"], &[some("}~ +&é🎉<>|`@!$;,()")]), "k=}~ +&é🎉<>|`@!$;,()", "Hive leaves these alone");
}

#[test]
fn the_text_of_the_null_folder_is_not_null() {
    let path = encode_path(["k"], &[some(NULL_VALUE)]);
    assert_eq!(path, "k=%5F_HIVE_DEFAULT_PARTITION__");
    assert_eq!(decode_path(&path), [("k".to_owned(), some(NULL_VALUE))]);
    assert_eq!(decode_path("k=__HIVE_DEFAULT_PARTITION__"), [("k".to_owned(), None)]);
}

#[test]
fn paths_of_others_are_understood() {
    assert_eq!(decode_folder("k=a%2fb%2Fc"), Some(("k".into(), some("a/b/c"))), "both letter cases");
    assert_eq!(decode_folder("k=100%"), Some(("k".into(), some("100%"))));
    assert_eq!(decode_folder("k=%zz%2"), Some(("k".into(), some("%zz%2"))));
    assert_eq!(decode_folder("k=caf%C3%A9"), Some(("k".into(), some("café"))), "UTF-8, as URL encoders write it");
    assert_eq!(decode_folder("k=%FF"), Some(("k".into(), some("%FF"))), "not UTF-8");
    assert_eq!(decode_folder("k=a=b"), Some(("k".into(), some("a=b"))));
    assert_eq!(decode_folder("k="), Some(("k".into(), None)));
    assert_eq!(decode_folder("plain"), None);
    assert_eq!(decode_folder("=x"), None);
    assert_eq!(decode_path("x/k=1/y/l=2/f.csv"), [("k".into(), some("1")), ("l".into(), some("2"))]);
}

#[test]
fn text_of_each_type() {
    let text = |value| text_of(&value).unwrap();
    assert_eq!(text(ScalarValue::Boolean(Some(true))), some("true"));
    assert_eq!(text(ScalarValue::UInt64(Some(u64::MAX))), some("18446744073709551615"));
    assert_eq!(text(ScalarValue::Decimal128(Some(-1205), 12, 2)), some("-12.05"));
    assert_eq!(text(ScalarValue::Date32(Some(0))), some("1970-01-01"));
    assert_eq!(text(ScalarValue::TimestampSecond(Some(36_000), None)), some("1970-01-01 10:00:00"));
    assert_eq!(text(ScalarValue::TimestampMicrosecond(Some(-1), None)), some("1969-12-31 23:59:59.999999"));
    assert_eq!(
        text(ScalarValue::TimestampMillisecond(Some(500), Some("UTC".into()))),
        some("1970-01-01 00:00:00.500000")
    );
    assert_eq!(text(ScalarValue::Utf8View(Some("a b".into()))), some("a b"));
    let dictionary = ScalarValue::Dictionary(Box::new(arrow::datatypes::DataType::Int32), Box::new("x".into()));
    assert_eq!(text(dictionary), some("x"));
    assert_eq!(text(ScalarValue::Utf8(Some(String::new()))), None, "Hive has no empty string here");
    assert_eq!(text(ScalarValue::Null), None);
    assert_eq!(text(ScalarValue::Int64(None)), None);
    assert_eq!(text_of(&ScalarValue::Binary(Some(vec![1]))).unwrap_err().code, Code::BadPartitionValue);
    assert_eq!(text_of(&ScalarValue::Time32Second(Some(1))).unwrap_err().code, Code::UnsupportedType);
}

#[test]
fn values_of_each_type() {
    let value = |text, hive_type| value_of(text, &hive_type).unwrap();
    assert_eq!(value("01", HiveType::Int), ScalarValue::Int32(Some(1)), "months are often written so");
    assert_eq!(value("-5", HiveType::TinyInt), ScalarValue::Int8(Some(-5)));
    assert_eq!(value("TRUE", HiveType::Boolean), ScalarValue::Boolean(Some(true)));
    assert_eq!(value("False", HiveType::Boolean), ScalarValue::Boolean(Some(false)));
    for (text, hundredths) in [("1.5", 150), ("7", 700), ("-7", -700), ("1.500", 150)] {
        let decimal = ScalarValue::Decimal128(Some(hundredths), 4, 2);
        assert_eq!(value(text, HiveType::Decimal(4, 2)), decimal, "{text}");
    }
    assert_eq!(value("x", HiveType::Varchar(1)), ScalarValue::Utf8(Some("x".into())));
    assert_eq!(
        value("1970-01-01 00:00:01.5", HiveType::Timestamp),
        ScalarValue::TimestampMicrosecond(Some(1_500_000), None)
    );
    let refused = [
        ("x", HiveType::Int),
        ("300", HiveType::TinyInt),
        ("1.5", HiveType::BigInt),
        ("yes", HiveType::Boolean),
        ("2026-13-01", HiveType::Date),
        ("", HiveType::Date),
        ("1.005", HiveType::Decimal(4, 2)),
        ("100.00", HiveType::Decimal(4, 2)),
        ("1e2", HiveType::Decimal(4, 2)),
        ("1e1", HiveType::Decimal(4, 2)),
        ("", HiveType::Decimal(4, 2)),
        ("-", HiveType::Decimal(4, 2)),
        (".", HiveType::Decimal(4, 2)),
        ("-.", HiveType::Decimal(4, 2)),
        ("yesterday", HiveType::Timestamp),
        ("x", HiveType::Binary),
        ("x", HiveType::Array(Box::new(HiveType::String))),
    ];
    for (text, hive_type) in refused {
        let error = value_of(text, &hive_type).expect_err(text);
        assert_eq!(error.code, Code::BadPartitionValue, "{text} as {hive_type}");
        assert!(error.help.is_some(), "{error}");
    }
}
