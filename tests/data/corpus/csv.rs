//! CSV: ragged, badly quoted, in other encodings, of other types.

use super::Becomes::{Count, Refused, Rows};
use super::{Case, case, check};

fn utf16(text: &str, little: bool) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

fn cases() -> Vec<Case> {
    let long = "x".repeat(3_000_000);
    let mut cases = vec![
        case("csv_plain", "x.csv", "id,name\n2,b\n3,c\n", Rows(&["2|b", "3|c"], 0)),
        case("csv_no_last_break", "x.csv", "id,name\n2,b", Rows(&["2|b"], 0)),
        case("csv_crlf", "x.csv", "id,name\r\n2,b\r\n", Rows(&["2|b"], 0)),
        case("csv_cr", "x.csv", "id,name\r2,b\r3,c\r", Rows(&["2|b", "3|c"], 0)),
        case("csv_mixed_breaks", "x.csv", "id,name\r\n2,b\n3,c\r4,d\n", Rows(&["2|b", "3|c", "4|d"], 0)),
        case("csv_blank_lines", "x.csv", "\n\nid,name\n\n2,b\n\n\n", Rows(&["2|b"], 0)),
        case("csv_bom", "x.csv", "\u{feff}id,name\n2,b\n", Rows(&["2|b"], 0)),
        case("csv_utf16_le", "x.csv", utf16("id,name\n2,é🎉\n", true), Rows(&["2|é🎉"], 0)),
        case("csv_utf16_be", "x.csv", utf16("id,name\n2,é🎉\n", false), Rows(&["2|é🎉"], 0)),
        case("csv_utf16_cut", "x.csv", &utf16("id,name\n2,b\n", true)[..15], Refused("bad-object")),
        case("csv_short_row", "x.csv", "id,name\n2,b\n3\n4,d\n", Rows(&["2|b", "4|d"], 1)),
        case("csv_long_row", "x.csv", "id,name\n2,b\n3,c,?\n", Rows(&["2|b"], 1)),
        case("csv_trailing_delimiter", "x.csv", "id,name\n2,b,\n3,c,\n", Rows(&[], 2)),
        case("csv_all_bad", "x.csv", "id,name\nx,a\ny,b\n", Refused("column-mismatch")),
        case("csv_text_in_number", "x.csv", "id,name\n2,b\n3,c\nx,d\n", Rows(&["2|b", "3|c"], 1)),
        case("csv_unclosed_quote", "x.csv", "id,name\n2,b\n3,\"c\n4,d\n", Rows(&["2|b"], 1)),
        case("csv_unclosed_at_the_end", "x.csv", "id,name\n2,b\n3,\"", Rows(&["2|b"], 1)),
        case("csv_quote_in_field", "x.csv", "id,name\n2,5\" pipe\n3,c\"d\n", Rows(&["2|5\" pipe", "3|c\"d"], 0)),
        case("csv_doubled_quotes", "x.csv", "id,name\n2,\"a \"\"b\"\"\"\n", Rows(&["2|a \"b\""], 0)),
        case("csv_break_in_quotes", "x.csv", "id,name\n2,\"b\nb\"\n3,c\n", Rows(&["2|b\nb", "3|c"], 0)),
        case("csv_delimiter_in_quotes", "x.csv", "id,name\n2,\"b,b\"\n", Rows(&["2|b,b"], 0)),
        case("csv_quoted_header", "x.csv", "\"id\",\"name\"\n2,b\n", Rows(&["2|b"], 0)),
        case("csv_quoted_number", "x.csv", "id,name\n\"2\",b\n", Rows(&["2|b"], 0)),
        case("csv_not_utf8", "x.csv", b"id,name\n2,caf\xE9\n", Refused("bad-object")),
        case("csv_nul", "x.csv", "id,name\n2,b\0b\n", Refused("bad-object")),
        case("csv_long_field", "x.csv", format!("id,name\n2,{long}\n3,c\n"), Count(2, 0)),
        case("csv_header_only", "x.csv", "id,name\n", Rows(&[], 0)),
        case("csv_header_without_break", "x.csv", "id,name", Rows(&[], 0)),
        case("csv_empty", "x.csv", "", Rows(&[], 0)),
        case("csv_one_byte", "x.csv", "x", Refused("column-mismatch")),
        case("csv_breaks_only", "x.csv", "\n\n\n", Rows(&[], 0)),
        case("csv_no_header", "x.csv", "2,b\n3,c\n", Refused("column-mismatch")),
        case("csv_other_header", "x.csv", "a,b\n2,b\n", Refused("column-mismatch")),
        case("csv_blank_name", "x.csv", "id,,name\n2,x,b\n", Refused("column-mismatch")),
        case("csv_doubled_name", "x.csv", "id,name,ID\n2,b,3\n", Refused("column-mismatch")),
        case("csv_reordered", "x.csv", "name,id\nb,2\n", Rows(&["2|b"], 0)),
        case("csv_other_case", "x.csv", "ID,Name\n2,b\n", Rows(&["2|b"], 0)),
        case("csv_spaces_in_header", "x.csv", " id , name \n2,b\n", Rows(&["2|b"], 0)),
        case("csv_more_columns", "x.csv", "id,more,name\n2,x,b\n", Rows(&["2|b"], 0)),
        case("csv_fewer_columns", "x.csv", "id\n2\n", Rows(&["2|NULL"], 0)),
        case("csv_tabs", "x.csv", "id\tname\n2\tb\n", Refused("column-mismatch")),
        case("csv_semicolons", "x.csv", "id;name\n2;b\n", Refused("column-mismatch")),
        case("csv_remarks", "x.csv", "id,name\n# a remark\n2,b\n", Rows(&["2|b"], 1)),
        case("csv_null_words", "x.csv", "id,name\n2,NULL\n3,\\N\n,d\n", Rows(&["2|NULL", "3|\\N", "NULL|d"], 0)),
        case("csv_empty_fields", "x.csv", "id,name\n,\n2,\n", Rows(&["2|NULL", "NULL|NULL"], 0)),
        case("csv_spaced_number", "x.csv", "id,name\n 2,b\n3 ,c\n", Refused("column-mismatch")),
        case("csv_thousands", "x.csv", "id,name\n\"1,000\",b\n", Refused("column-mismatch")),
        case("csv_beyond_38_digits", "x.csv", format!("id,name\n{},b\n", "9".repeat(39)), Refused("column-mismatch")),
        case("csv_1e400", "x.csv", "id,name\n1e400,b\n", Refused("column-mismatch")),
        case("csv_leading_zeros", "x.csv", "id,name\n007,b\n", Refused("column-mismatch")),
        case("csv_plus", "x.csv", "id,name\n+2,b\n", Refused("column-mismatch")),
        case("csv_no_suffix", "part-0001", "id,name\n2,b\n", Rows(&["2|b"], 0)),
        case("csv_other_suffix", "x.txt", "id,name\n2,b\n", Rows(&["2|b"], 0)),
        case("csv_is_json", "x.csv", "{\"id\":2,\"name\":\"b\"}\n", Refused("unreadable-table")),
        case("csv_is_parquet", "x.csv", super::binary::parquet_rows(&[(2, "b")]), Refused("unreadable-table")),
        case("csv_hidden", "_x.csv", "id,name\n2,b\n", Rows(&[], 0)),
        case("csv_dot", ".x.csv", "id,name\n2,b\n", Rows(&[], 0)),
        case("csv_success", "_SUCCESS", "x", Rows(&[], 0)),
        case("csv_temporary_folder", "_temporary/0/x.csv", "id,name\n2,b\n", Rows(&[], 0)),
        case("csv_unfinished", "x.csv.tmp", "id,name\n2,b\n", Rows(&[], 0)),
        case("csv_in_a_folder", "2026/11/22/x.csv", "id,name\n2,b\n", Rows(&["2|b"], 0)),
        case("csv_zero_date", "x.csv", "id,name\n2,0000-00-00\n", Rows(&["2|0000-00-00"], 0)),
        case("csv_only_quotes", "x.csv", "id,name\n\"\",\"\"\n", Rows(&["NULL|NULL"], 0)),
        case("csv_wide", "x.csv", wide(), Count(1, 0)),
    ];
    let names = [
        "sp ace",
        "plus+",
        "per%cent",
        "%2F",
        "ünï-日本-🎉",
        "a=b",
        "ha#sh",
        "wh?t",
        "st*r",
        "[br]",
        "back\\",
        "quo'te",
    ];
    for (index, name) in names.into_iter().enumerate() {
        let object: &'static str = Box::leak(format!("{name}.csv").into_boxed_str());
        cases.push(case(&format!("csv_key_{index}"), object, "id,name\n2,b\n", Rows(&["2|b"], 0)));
    }
    cases
}

/// A thousand columns beside those of the table.
fn wide() -> String {
    let (names, values): (Vec<String>, Vec<String>) =
        (0..1000).map(|index| (format!("c{index}"), index.to_string())).unzip();
    format!("id,name,{}\n2,b,{}\n", names.join(","), values.join(","))
}

#[test]
fn csv() {
    check(&cases());
}
