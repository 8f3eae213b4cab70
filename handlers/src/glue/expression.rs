//! A filter of partitions in the language of `GetPartitions`: only what surely leaves out nothing that matches.

use transform::{HiveType, PartitionCondition, PartitionFilter, PartitionTest};

use super::convert::glue_value;

/// The longest expression that Glue takes.
const LONGEST: usize = 2048;

/// Glue parses with JSqlParser, which has these words for itself and knows no quoted names here.
const RESERVED: &str = "
    all and any as asc begin between by case cast create cross current delete desc distinct do drop else end
    escape except exists fetch for from full group having if in index inner insert interval into intersect is join
    key left like limit minus natural not null offset on open optimize or order outer pivot primary replace right
    select set some table then top truncate union update using values when where with";

/// The expression for a filter; `None` if Glue can judge nothing of it.
///
/// Conditions that it cannot judge are left out, as are those for which there is no more room: what is left lets more
/// partitions through.
pub(super) fn expression(filter: &PartitionFilter) -> Option<String> {
    let mut expression = String::new();
    for condition in filter.conditions.iter().filter_map(|condition| judged(condition, filter.canonical)) {
        let and = if expression.is_empty() { "" } else { " AND " };
        if expression.len() + and.len() + condition.len() <= LONGEST {
            expression.push_str(and);
            expression.push_str(&condition);
        }
    }
    (!expression.is_empty()).then_some(expression)
}

fn judged(condition: &PartitionCondition, canonical: bool) -> Option<String> {
    let PartitionCondition { key, hive_type, test } = condition;
    if !is_plain(key) || (*hive_type != HiveType::String && !canonical) {
        return None;
    }
    // Texts of all languages are equal or not; only of ASCII is it known that Glue sorts them as the engine does.
    let literal = |value: &String| literal(value, hive_type);
    let bound = |value: &String| literal(value).filter(|_| value.is_ascii());
    Some(match test {
        PartitionTest::In(values) => match values.as_slice() {
            [] => return None,
            [value] => format!("{key} = {}", literal(value)?),
            values => format!("{key} IN ({})", values.iter().map(literal).collect::<Option<Vec<_>>>()?.join(", ")),
        },
        PartitionTest::Less(value) => format!("{key} < {}", bound(value)?),
        PartitionTest::LessOrEqual(value) => format!("{key} <= {}", bound(value)?),
        PartitionTest::Greater(value) => format!("{key} > {}", bound(value)?),
        PartitionTest::GreaterOrEqual(value) => format!("{key} >= {}", bound(value)?),
    })
}

/// Whether a key can stand in an expression as it is.
fn is_plain(key: &str) -> bool {
    let first = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    first && rest && !RESERVED.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(key))
}

/// A value in the expression; `None` if it is none of its type, or Glue documents no comparison for the type.
fn literal(value: &str, hive_type: &HiveType) -> Option<String> {
    match hive_type {
        HiveType::String => {
            let value = glue_value(Some(value));
            // How JSqlParser takes a backslash or a line break is not documented.
            let is_plain = !value.contains('\\') && !value.contains(char::is_control);
            is_plain.then(|| format!("'{}'", value.replace('\'', "''")))
        }
        HiveType::Date => is_date(value).then(|| format!("'{value}'")),
        HiveType::TinyInt | HiveType::SmallInt | HiveType::Int | HiveType::BigInt => {
            value.parse::<i64>().ok().map(|number| number.to_string())
        }
        _ => None,
    }
}

/// Whether a text is `YYYY-MM-DD`, which sorts as text as it does as a date.
fn is_date(text: &str) -> bool {
    let is_digit_or_dash = |(index, byte): (usize, u8)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(is_digit_or_dash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(key: &str, hive_type: &str, test: PartitionTest) -> PartitionCondition {
        PartitionCondition { key: key.to_owned(), hive_type: hive_type.parse().unwrap(), test }
    }

    fn one(key: &str, hive_type: &str, test: PartitionTest) -> Option<String> {
        let conditions = vec![condition(key, hive_type, test)];
        expression(&PartitionFilter { conditions, canonical: true })
    }

    fn equal(value: &str) -> PartitionTest {
        PartitionTest::In(vec![value.to_owned()])
    }

    #[test]
    fn conditions_are_joined() {
        let filter = PartitionFilter {
            conditions: vec![
                condition("day", "date", PartitionTest::GreaterOrEqual("2026-01-01".to_owned())),
                condition("day", "date", PartitionTest::Less("2026-02-01".to_owned())),
                condition("region", "string", PartitionTest::In(vec!["eu".to_owned(), "us".to_owned()])),
                condition("hour", "int", equal("07")),
            ],
            canonical: true,
        };
        let expected = "day >= '2026-01-01' AND day < '2026-02-01' AND region IN ('eu', 'us') AND hour = 7";
        assert_eq!(expression(&filter).as_deref(), Some(expected));
        let foreign = PartitionFilter { canonical: false, ..filter };
        assert_eq!(expression(&foreign).as_deref(), Some("region IN ('eu', 'us')"), "`7` may be kept as `007`");
        assert_eq!(expression(&PartitionFilter::default()), None);
    }

    #[test]
    fn quotes_are_doubled_and_odd_texts_are_left_out() {
        assert_eq!(one("r", "string", equal("it's")).as_deref(), Some("r = 'it''s'"));
        assert_eq!(one("r", "string", equal("' OR '1'='1")).as_deref(), Some("r = ''' OR ''1''=''1'"));
        assert_eq!(one("r", "string", equal("日本")).as_deref(), Some("r = '日本'"));
        assert_eq!(one("r", "string", PartitionTest::Less("日本".to_owned())), None, "the order is not known");
        assert_eq!(one("r", "string", equal("a\\b")), None);
        assert_eq!(one("r", "string", equal("a\nb")), None);
        let coded = Some("r = '%5F_HIVE_DEFAULT_PARTITION__'");
        assert_eq!(one("r", "string", equal("__HIVE_DEFAULT_PARTITION__")).as_deref(), coded, "NULL is another value");
    }

    #[test]
    fn values_that_are_none_of_their_type_are_left_out() {
        assert_eq!(one("n", "bigint", equal("-12")).as_deref(), Some("n = -12"));
        assert_eq!(one("n", "int", equal("1 OR 1=1")), None);
        assert_eq!(one("n", "int", PartitionTest::In(vec!["1".to_owned(), "x".to_owned()])), None);
        assert_eq!(one("n", "int", PartitionTest::In(Vec::new())), None);
        assert_eq!(one("d", "date", equal("2026-1-1")), None);
        for hive_type in ["boolean", "double", "decimal(5,2)", "timestamp", "varchar(3)"] {
            assert_eq!(one("k", hive_type, equal("1")), None, "{hive_type}");
        }
    }

    #[test]
    fn keys_that_the_parser_would_not_take_are_left_out() {
        for key in ["order", "Order", "key", "a b", "a-b", "größe", "1st", ""] {
            assert_eq!(one(key, "string", equal("x")), None, "{key}");
        }
        assert!(one("_day_2", "string", equal("x")).is_some());
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let values: Vec<String> = (0..300).map(|index| format!("value-{index}")).collect();
        let conditions = vec![
            condition("a", "string", equal("1")),
            condition("b", "string", PartitionTest::In(values)),
            condition("c", "string", equal("2")),
        ];
        let filter = PartitionFilter { conditions, canonical: false };
        assert_eq!(expression(&filter).as_deref(), Some("a = '1' AND c = '2'"));
    }
}
