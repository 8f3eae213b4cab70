use arrow::datatypes::IntervalUnit;
use proptest::prelude::*;

use super::*;

fn any_type() -> impl Strategy<Value = HiveType> {
    let simple = prop_oneof![
        prop::sample::select(vec![
            HiveType::Boolean,
            HiveType::TinyInt,
            HiveType::SmallInt,
            HiveType::Int,
            HiveType::BigInt,
            HiveType::Float,
            HiveType::Double,
            HiveType::String,
            HiveType::Binary,
            HiveType::Date,
            HiveType::Timestamp,
        ]),
        (1_u8..=38)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(p, s)| HiveType::Decimal(p, s)),
        (1_u32..=65_535).prop_map(HiveType::Varchar),
        (1_u32..=255).prop_map(HiveType::Char),
    ];
    simple.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|element| HiveType::Array(Box::new(element))),
            (inner.clone(), inner.clone()).prop_map(|(key, value)| HiveType::Map(Box::new(key), Box::new(value))),
            prop::collection::vec(("[a-z_][a-zA-Z0-9_é.-]{0,8}", inner), 1..4).prop_map(HiveType::Struct),
        ]
    })
}

/// The type that is left when varchar and char, which Arrow does not know, have become string.
fn through_arrow(hive_type: &HiveType) -> HiveType {
    match hive_type {
        HiveType::Varchar(_) | HiveType::Char(_) => HiveType::String,
        HiveType::Array(element) => HiveType::Array(Box::new(through_arrow(element))),
        HiveType::Map(key, value) => HiveType::Map(Box::new(through_arrow(key)), Box::new(through_arrow(value))),
        HiveType::Struct(fields) => {
            HiveType::Struct(fields.iter().map(|(name, field)| (name.clone(), through_arrow(field))).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn text_survives(hive_type in any_type()) {
        let text = hive_type.to_string();
        prop_assert!(!text.contains(' '), "Glue refuses types with spaces: {text}");
        prop_assert_eq!(text.parse::<HiveType>().unwrap(), hive_type);
    }

    #[test]
    fn letter_case_and_spaces_do_not_matter(hive_type in any_type()) {
        let spaced = hive_type.to_string().replace('<', " < ").replace(',', " , ").replace('(', " ( ");
        prop_assert_eq!(spaced.parse::<HiveType>().unwrap(), hive_type);
    }

    #[test]
    fn every_type_has_an_arrow_type_and_comes_back(hive_type in any_type()) {
        prop_assert_eq!(HiveType::of(&hive_type.arrow()).unwrap(), through_arrow(&hive_type));
    }

    #[test]
    fn any_text_is_a_type_or_an_error(text in "[a-z<>(),: 0-9]{0,40}") {
        if let Ok(hive_type) = text.parse::<HiveType>() {
            prop_assert_eq!(hive_type.to_string().parse::<HiveType>().unwrap(), hive_type);
        }
    }
}

#[test]
fn names_in_upper_case_and_synonyms_are_read() {
    assert_eq!("BIGINT".parse::<HiveType>().unwrap(), HiveType::BigInt);
    assert_eq!("Integer".parse::<HiveType>().unwrap(), HiveType::Int);
    assert_eq!("decimal".parse::<HiveType>().unwrap(), HiveType::Decimal(10, 0));
    assert_eq!("decimal(5)".parse::<HiveType>().unwrap(), HiveType::Decimal(5, 0));
    assert_eq!(
        "struct<Order ID_:int>".parse::<HiveType>().unwrap_err().code,
        Code::UnsupportedType,
        "a field name has no spaces"
    );
    assert_eq!("struct<A:int>".parse::<HiveType>().unwrap(), HiveType::Struct(vec![("A".into(), HiveType::Int)]));
}

#[test]
fn what_is_no_type_is_refused_with_its_place() {
    let deep = format!("{}int{}", "array<".repeat(100), ">".repeat(100));
    let wrong = [
        "",
        " ",
        "text",
        "int int",
        "int)",
        "array",
        "array<>",
        "array<int",
        "map<string>",
        "map<string,int",
        "struct<>",
        "struct<a>",
        "struct<a:>",
        "struct<:int>",
        "struct<a:int,>",
        "varchar",
        "varchar()",
        "varchar(0)",
        "varchar(65536)",
        "char(256)",
        "decimal(0)",
        "decimal(39,0)",
        "decimal(5,6)",
        "decimal(5,",
        "decimal(-1)",
        "decimal(999)",
        "uniontype<int>",
        &deep,
    ];
    for text in wrong {
        let error = text.parse::<HiveType>().expect_err(text);
        assert_eq!(error.code, Code::UnsupportedType, "{text}");
        assert!(error.message.contains("at character"), "{error}");
    }
    assert!("map<string,txt>".parse::<HiveType>().unwrap_err().message.contains("at character 12"));
}

#[test]
fn arrow_types_find_the_type_that_holds_all_their_values() {
    let of = |data_type| HiveType::of(&data_type).unwrap();
    assert_eq!(of(DataType::UInt8), HiveType::SmallInt);
    assert_eq!(of(DataType::UInt16), HiveType::Int);
    assert_eq!(of(DataType::UInt32), HiveType::BigInt);
    assert_eq!(of(DataType::UInt64), HiveType::Decimal(20, 0));
    assert_eq!(of(DataType::Decimal256(38, 4)), HiveType::Decimal(38, 4));
    assert_eq!(of(DataType::LargeUtf8), HiveType::String);
    assert_eq!(of(DataType::FixedSizeBinary(3)), HiveType::Binary);
    assert_eq!(of(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))), HiveType::Timestamp);
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert_eq!(of(dictionary), HiveType::String);
    let list = DataType::LargeList(Arc::new(Field::new("x", DataType::UInt32, false)));
    assert_eq!(of(list), HiveType::Array(Box::new(HiveType::BigInt)));
}

#[test]
fn arrow_types_without_counterpart_say_what_to_do() {
    let refused = [
        DataType::Null,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Duration(TimeUnit::Second),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Decimal256(50, 2),
        DataType::Decimal128(10, -2),
        DataType::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into())),
        DataType::Struct(Fields::empty()),
        DataType::List(Arc::new(Field::new_list_field(DataType::Null, true))),
    ];
    for data_type in refused {
        let error = HiveType::of(&data_type).expect_err(&data_type.to_string());
        assert_eq!(error.code, Code::UnsupportedType, "{data_type}");
        assert!(error.help.is_some(), "{error}");
    }
}

#[test]
fn types_are_kept_as_their_text() {
    let hive_type: HiveType = "array<struct<a:decimal(12,2)>>".parse().unwrap();
    let json = serde_json::to_string(&hive_type).unwrap();
    assert_eq!(json, r#""array<struct<a:decimal(12,2)>>""#);
    assert_eq!(serde_json::from_str::<HiveType>(&json).unwrap(), hive_type);
    assert!(serde_json::from_str::<HiveType>(r#""number""#).is_err());
}
