//! Makes DataFusion's messages readable: no prefixes, no pleas for bug reports, SQL's names of types.

/// What DataFusion puts before and after the message proper.
const PREFIXES: [&str; 7] = [
    "Error during planning: ",
    "Internal error: ",
    "Execution error: ",
    "This feature is not implemented: ",
    "Schema error: ",
    "SQL error: ",
    "Invalid or Unsupported Configuration: ",
];
const ENDINGS: [&str; 4] =
    ["\nThis issue was likely caused by a bug", "\n\tCandidate functions", "\n\nbacktrace", "\nDid you mean"];

/// Arrow's names of types and SQL's.
const TYPES: [(&str, &str); 21] = [
    ("Int8", "tinyint"),
    ("Int16", "smallint"),
    ("Int32", "int"),
    ("Int64", "bigint"),
    ("UInt8", "unsigned tinyint"),
    ("UInt16", "unsigned smallint"),
    ("UInt32", "unsigned int"),
    ("UInt64", "unsigned bigint"),
    ("Float32", "float"),
    ("Float64", "double"),
    ("Boolean", "boolean"),
    ("Utf8", "string"),
    ("Utf8View", "string"),
    ("LargeUtf8", "string"),
    ("Binary", "binary"),
    ("BinaryView", "binary"),
    ("Date32", "date"),
    ("Null", "NULL"),
    ("Decimal128", "decimal"),
    ("Decimal256", "decimal"),
    ("Timestamp", "timestamp"),
];

/// A message of DataFusion, lower-case at its start and without full stop.
pub(crate) fn plain(message: &str) -> String {
    let mut text = message;
    for ending in ENDINGS {
        text = text.split(ending).next().unwrap_or(text);
    }
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    uncapitalised(sql_types(&text).trim_end_matches('.'))
}

/// Replaces whole words that are Arrow types, `Timestamp(µs)` and the like without their unit.
pub(crate) fn sql_types(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        replaced.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        match TYPES.iter().find(|(arrow, _)| *arrow == word) {
            Some((arrow, sql)) => {
                replaced.push_str(sql);
                if *arrow == "Timestamp"
                    && let Some((unit, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'))
                    && ["s", "ms", "µs", "ns"].contains(&unit)
                {
                    rest = after;
                }
            }
            None => replaced.push_str(word),
        }
    }
    replaced.push_str(rest);
    replaced
}

/// With a small first letter, unless the first word is written in capitals.
fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_what_is_not_for_the_reader() {
        assert_eq!(
            plain(
                "Error during planning: Internal error: Unsupported CAST from Boolean to Date32.\nThis issue was likely caused by a bug in X"
            ),
            "unsupported CAST from boolean to date"
        );
        assert_eq!(plain("UNION queries differ"), "UNION queries differ");
        assert_eq!(plain("This feature is not implemented: TOP"), "TOP");
    }

    #[test]
    fn names_types_as_sql_does() {
        assert_eq!(
            sql_types("Timestamp(µs) > Int64, Decimal128(12, 2), Int64Array"),
            "timestamp > bigint, decimal(12, 2), Int64Array"
        );
    }
}
