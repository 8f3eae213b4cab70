//! JSON: other layouts, other types, broken objects.

use super::Becomes::{Count, Refused, Rows};
use super::{Case, case, check};

fn cases() -> Vec<Case> {
    let deep = format!("{{\"id\":2,\"name\":\"b\",\"deep\":{}{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    let wide: Vec<String> = (0..2000).map(|index| format!("\"c{index}\":{index}")).collect();
    vec![
        case(
            "json_lines",
            "x.json",
            "{\"id\":2,\"name\":\"b\"}\n{\"id\":3,\"name\":\"c\"}\n",
            Rows(&["2|b", "3|c"], 0),
        ),
        case("json_no_last_break", "x.jsonl", "{\"id\":2,\"name\":\"b\"}", Rows(&["2|b"], 0)),
        case("json_blank_lines", "x.ndjson", "\n\n{\"id\":2,\"name\":\"b\"}\n  \n", Rows(&["2|b"], 0)),
        case(
            "json_crlf",
            "x.json",
            "{\"id\":2,\"name\":\"b\"}\r\n{\"id\":3,\"name\":\"c\"}\r\n",
            Rows(&["2|b", "3|c"], 0),
        ),
        case("json_bom", "x.json", "\u{feff}{\"id\":2,\"name\":\"b\"}\n", Rows(&["2|b"], 0)),
        case("json_array", "x.json", "[{\"id\":2,\"name\":\"b\"},{\"id\":3,\"name\":\"c\"}]", Rows(&["2|b", "3|c"], 0)),
        case(
            "json_array_over_lines",
            "x.json",
            "[\n  {\n    \"id\": 2,\n    \"name\": \"b, ] }\"\n  },\n  {\"id\": 3}\n]\n",
            Rows(&["2|b, ] }", "3|NULL"], 0),
        ),
        case("json_empty_array", "x.json", "[]", Rows(&[], 0)),
        case(
            "json_array_of_others",
            "x.json",
            "[1, {\"id\":2,\"name\":\"b\"}, {\"id\":3}]",
            Rows(&["2|b", "3|NULL"], 1),
        ),
        case("json_array_cut", "x.json", "[{\"id\":2,\"name\":\"b\"},\n{\"id\":3,\"na", Rows(&["2|b"], 1)),
        case("json_document", "x.json", "{\n  \"id\": 2,\n  \"name\": \"b\"\n}\n", Rows(&["2|b"], 0)),
        case("json_documents", "x.json", "{\n\"id\":2\n}\n{\n\"id\":3}", Rows(&["2|NULL", "3|NULL"], 0)),
        case("json_document_cut", "x.json", "{\n  \"id\": 2,\n  \"na", Refused("bad-record")),
        case(
            "json_two_on_a_line",
            "x.json",
            "{\"id\":2,\"name\":\"b\"}{\"id\":3,\"name\":\"c\"}\n",
            Rows(&["2|b", "3|c"], 0),
        ),
        case(
            "json_broken_line",
            "x.json",
            "{\"id\":2,\"name\":\"b\"}\n{\"id\":3,\n{\"id\":4,\"name\":\"d\"}\n",
            Rows(&["2|b", "4|d"], 1),
        ),
        case("json_cut", "x.json", "{\"id\":2,\"name\":\"b\"}\n{\"id\":3,\"na", Rows(&["2|b"], 1)),
        case("json_single_quotes", "x.json", "{\"id\":2,\"name\":\"b\"}\n{'id':3}\n", Rows(&["2|b"], 1)),
        case("json_bare_key", "x.json", "{\"id\":2}\n{id:3}\n", Rows(&["2|NULL"], 1)),
        case("json_trailing_comma", "x.json", "{\"id\":2}\n{\"id\":3,}\n", Rows(&["2|NULL", "3|NULL"], 0)),
        case("json_comment", "x.json", "{\"id\":2}\n// no JSON\n", Rows(&["2|NULL"], 1)),
        case("json_scalar_line", "x.json", "{\"id\":2}\n7\n", Rows(&["2|NULL"], 1)),
        case("json_array_line", "x.json", "{\"id\":2}\n[3]\n", Rows(&["2|NULL"], 1)),
        case("json_nan", "x.json", "{\"id\":2,\"name\":\"b\"}\n{\"id\":NaN}\n", Rows(&["2|b"], 1)),
        case("json_null_values", "x.json", "{\"id\":null,\"name\":null}\n{}\n", Rows(&["NULL|NULL", "NULL|NULL"], 0)),
        case("json_missing_keys", "x.json", "{\"name\":\"b\"}\n{\"id\":3}\n", Rows(&["3|NULL", "NULL|b"], 0)),
        case("json_other_keys", "x.json", "{\"other\":1}\n", Rows(&["NULL|NULL"], 0)),
        case("json_other_case", "x.json", "{\"ID\":2,\"Name\":\"b\"}\n", Rows(&["2|b"], 0)),
        case(
            "json_other_case_after_broken_lines",
            "x.json",
            "{\"ID\":2,\"Name\":\"b\"}\n{\"ID\":3,\"x\":{\"y\":[\n{\"ID\":4,\"Name\":\"d\"}\n{\"ID\":5,\"Name\":\"e\n{\"Id\":6,\"NAME\":\"f\"}\n",
            Rows(&["2|b", "4|d", "6|f"], 2),
        ),
        case("json_doubled_key", "x.json", "{\"id\":2,\"id\":3,\"name\":\"b\"}\n", Count(1, 0)),
        case("json_text_for_number", "x.json", "{\"id\":\"x\",\"name\":\"b\"}\n", Refused("column-mismatch")),
        case("json_number_for_text", "x.json", "{\"id\":2,\"name\":3}\n", Rows(&["2|3"], 0)),
        case("json_boolean_for_text", "x.json", "{\"id\":2,\"name\":true}\n", Rows(&["2|true"], 0)),
        case("json_object_for_text", "x.json", "{\"id\":2,\"name\":{\"a\":1}}\n", Refused("column-mismatch")),
        case("json_1e400", "x.json", "{\"id\":2}\n{\"id\":1e400}\n", Rows(&["2|NULL"], 1)),
        case(
            "json_escapes",
            "x.json",
            "{\"id\":2,\"name\":\"\\u00e9\\ud83c\\udf89\\n\\\"\"}\n",
            Rows(&["2|é🎉\n\""], 0),
        ),
        case("json_lone_surrogate", "x.json", "{\"id\":2}\n{\"id\":3,\"name\":\"\\ud83c\"}\n", Rows(&["2|NULL"], 1)),
        case("json_not_utf8", "x.json", b"{\"id\":2}\n{\"id\":3,\"name\":\"caf\xE9\"}\n", Rows(&["2|NULL"], 1)),
        case("json_deep", "x.json", deep, Refused("bad-record")),
        case("json_wide", "x.json", format!("{{\"id\":2,\"name\":\"b\",{}}}\n", wide.join(",")), Rows(&["2|b"], 0)),
        case("json_nested", "x.json", "{\"id\":2,\"name\":\"b\",\"s\":{\"a\":[{\"b\":1}]}}\n", Rows(&["2|b"], 0)),
        case("json_empty", "x.json", "", Rows(&[], 0)),
        case("json_spaces", "x.json", " \n\t\n", Rows(&[], 0)),
        case("json_no_suffix", "part-0000", "{\"id\":2,\"name\":\"b\"}\n", Rows(&["2|b"], 0)),
        case("json_named_csv", "x.csv", "{\"id\":2,\"name\":\"b\"}\n", Rows(&["2|b"], 0)),
        case("json_is_csv", "x.json", "id,name\n2,b\n", Refused("bad-object")),
        case("json_is_xml", "x.json", "<rows><row id=\"2\"/></rows>", Refused("bad-object")),
    ]
}

#[test]
fn json() {
    check(&cases());
}
