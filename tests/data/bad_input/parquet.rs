//! Parquet objects of other shapes than the table, and broken ones.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};

use super::{Says, alone_then_mended, broken_then_mended, copying, sorted};
use crate::pack::parquet;

fn ids(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn names(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn items(id: i64, name: &str) -> Vec<u8> {
    parquet(&[("id", ids(&[id])), ("name", names(&[name]))])
}

/// `broken` beside a good object: refused with the code and parts, and mended afterwards.
#[track_caller]
fn refused(broken: &[u8], code: &str, parts: &[&str]) {
    let good = items(1, "a");
    let says = Says { code, parts };
    broken_then_mended(("1.parquet", &good, &["1|a"]), "2.parquet", broken, &says, (&items(3, "c"), &["3|c"]));
}

#[test]
fn other_columns() {
    let broken = parquet(&[("who", names(&["x"])), ("what", names(&["y"]))]);
    refused(&broken, "column-mismatch", &["raw/items/2.parquet", "`who`, `what`"]);
}

#[test]
fn another_type() {
    let broken = parquet(&[("id", names(&["three"])), ("name", names(&["c"]))]);
    refused(&broken, "column-mismatch", &["raw/items/2.parquet", "`id`", "string", "bigint"]);
    let broken = parquet(&[("id", Arc::new(Float64Array::from(vec![3.5]))), ("name", names(&["c"]))]);
    refused(&broken, "column-mismatch", &["raw/items/2.parquet", "`id`", "double", "bigint"]);
}

#[test]
fn a_type_that_could_only_be_cast() {
    let broken =
        parquet(&[("id", Arc::new(TimestampMicrosecondArray::from(vec![3])) as ArrayRef), ("name", names(&["c"]))]);
    refused(&broken, "column-mismatch", &["raw/items/2.parquet", "`id`", "timestamp", "bigint"]);
}

#[test]
fn two_columns_of_one_name_but_for_letter_case() {
    let broken = parquet(&[("id", ids(&[3])), ("ID", ids(&[4])), ("name", names(&["c"]))]);
    refused(&broken, "column-mismatch", &["raw/items/2.parquet", "`id`"]);
}

#[test]
fn columns_are_found_by_name_and_narrower_types_fit() {
    let project = copying();
    project.put("raw/items/1.parquet", items(1, "a"));
    project.run().clean();
    project.put("raw/items/2.parquet", parquet(&[("NAME", names(&["b"])), ("Id", ids(&[2]))]));
    project.put("raw/items/3.parquet", parquet(&[("name", names(&["without id"]))]));
    project.put("raw/items/4.parquet", parquet(&[("id", ids(&[4]))]));
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![Some(5), None]));
    project.put("raw/items/5.parquet", parquet(&[("id", narrow), ("name", names(&["e", "f"]))]));
    project.put("raw/items/6.parquet", parquet(&[("extra", ids(&[0])), ("name", names(&["g"])), ("id", ids(&[6]))]));
    project.until_quiet();
    let rows: &[&str] = &["1|a", "2|b", "NULL|without id", "4|NULL", "5|e", "NULL|f", "6|g"];
    assert_eq!(project.rows("marts.copy"), sorted(&[rows]));
}

#[test]
fn filters_see_what_a_file_lacks_as_null() {
    let project = copying();
    project.sql("marts/copy", "SELECT id, name FROM raw.items WHERE name IS NULL OR upper(name) = 'B'");
    project.put("raw/items/1.parquet", items(1, "a"));
    project.put("raw/items/2.parquet", parquet(&[("Name", names(&["b"])), ("ID", ids(&[2]))]));
    project.put("raw/items/3.parquet", parquet(&[("id", ids(&[3]))]));
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), ["2|b", "3|NULL"]);
}

#[test]
fn objects_without_rows() {
    let empty = parquet(&[("id", ids(&[])), ("name", names(&[]))]);
    alone_then_mended(
        "0.parquet",
        &empty,
        &Says { code: "unreadable-table", parts: &["raw.items", "no rows yet"] },
        (&items(3, "c"), &["3|c"]),
    );
    let project = copying();
    project.put("raw/items/1.parquet", items(1, "a"));
    project.put("raw/items/2.parquet", empty);
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), ["1|a"]);
}

#[test]
fn a_footer_that_is_cut_away() {
    let whole = items(3, "c");
    for cut in [whole.len() - 1, whole.len() - 8, whole.len() / 2, 4, 1] {
        refused(&whole[..cut], "bad-object", &["raw/items/2.parquet"]);
    }
    alone_then_mended(
        "0.parquet",
        &whole[..whole.len() - 9],
        &Says { code: "bad-object", parts: &["raw/items/0.parquet"] },
        (&whole, &["3|c"]),
    );
}

#[test]
fn a_footer_that_asks_for_more_than_there_is() {
    // Ten bytes that claim a footer of 2 GB, and a small thrift list that claims to be huge.
    refused(b"PA\xFF\xFF\xFF\x7FPAR1", "bad-object", &["raw/items/2.parquet"]);
    let mut huge_list = b"PAR1".to_vec();
    let footer = b"\x15\x02\x19\xFC\xFF\xFF\xFF\xFF\x07\x48";
    huge_list.extend_from_slice(footer);
    huge_list.extend_from_slice(&(footer.len() as u32).to_le_bytes());
    huge_list.extend_from_slice(b"PAR1");
    refused(&huge_list, "bad-object", &["raw/items/2.parquet"]);
}

#[test]
fn a_corrupt_page() {
    let values: Vec<i64> = (0..20_000).map(|value| value * 7919 % 20_011).collect();
    let texts: Vec<String> = values.iter().map(|value| format!("name {value}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let whole = parquet(&[("id", ids(&values)), ("name", names(&texts))]);
    // The first pages begin right behind the magic number: their header, then their data.
    let mut broken = whole.clone();
    broken[4..40].fill(0xFF);
    refused(&broken, "bad-object", &["raw/items/2.parquet"]);
}

#[test]
fn bytes_that_are_no_parquet() {
    refused(b"id,name\n3,c\n", "bad-object", &["raw/items/2.parquet"]);
}

#[test]
fn decimals_and_times_keep_their_values() {
    use arrow::array::{Date32Array, Decimal128Array};
    let amounts = Decimal128Array::from(vec![Some(12_345), None, Some(-1)]).with_precision_and_scale(12, 2).unwrap();
    let at = TimestampMicrosecondArray::from(vec![Some(1_763_802_000_123_456), None, Some(-1)]);
    let days = Date32Array::from(vec![Some(20_779), Some(-1), None]);
    let project = copying();
    project.sql("marts/copy", "SELECT amount, \"at\", day FROM raw.items");
    project.put(
        "raw/items/1.parquet",
        parquet(&[("amount", Arc::new(amounts)), ("at", Arc::new(at)), ("day", Arc::new(days))]),
    );
    project.until_quiet();
    let rows: &[&str] = &[
        "123.45|2025-11-22T09:00:00.123456|2026-11-22",
        "NULL|NULL|1969-12-31",
        "-0.01|1969-12-31T23:59:59.999999|NULL",
    ];
    assert_eq!(project.rows("marts.copy"), sorted(&[rows]));
}
