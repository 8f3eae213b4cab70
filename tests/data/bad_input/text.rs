//! CSV and JSON lines that cannot be read, or only by who reads with care.

use super::{COPY, Says, alone_then_mended, broken_then_mended, copying, sorted};
use crate::project::Project;

const GOOD: (&str, &[u8], &[&str]) = ("1.csv", b"id,name\n1,a\n2,b\n", &["1|a", "2|b"]);
const GOOD_JSON: (&str, &[u8], &[&str]) =
    ("1.json", b"{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":\"b\"}\n", &["1|a", "2|b"]);

#[test]
fn a_table_without_data() {
    let project = copying();
    std::fs::create_dir_all(project.data().join("raw/items")).unwrap();
    project.run().fails("unknown-table", &["sql/marts/copy.sql:1:22", "raw.items"]);
    assert!(project.visible("marts").is_empty());
    project.put("raw/items/1.csv", GOOD.1);
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[GOOD.2]));
}

#[test]
fn objects_without_a_byte_or_without_a_row() {
    for (name, content) in [("0.csv", ""), ("0.csv", "id,name\n"), ("0.csv", "id,name"), ("0.csv", "\n\n")] {
        // Alone: nothing tells the types, and the run says so.
        alone_then_mended(
            name,
            content.as_bytes(),
            &Says { code: "unreadable-table", parts: &["raw.items", "no rows yet"] },
            (GOOD.1, GOOD.2),
        );
        // Beside others: nothing is missing, so nothing is wrong.
        let project = copying();
        project.put("raw/items/1.csv", GOOD.1);
        project.put(&format!("raw/items/{name}"), content);
        project.run().clean();
        assert_eq!(project.rows("marts.copy"), sorted(&[GOOD.2]), "{content:?}");
        project.put(&format!("raw/items/2-{name}"), content);
        project.until_quiet();
        assert_eq!(project.rows("marts.copy"), sorted(&[GOOD.2]), "{content:?}");
    }
}

#[test]
fn a_row_with_too_few_fields() {
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:3", "1 field", "2"] };
    broken_then_mended(GOOD, "2.csv", b"id,name\n3,c\n4\n5,e\n", &says, (b"id,name\n3,c\n4,d\n", &["3|c", "4|d"]));
}

#[test]
fn a_row_with_too_many_fields() {
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:3", "3 fields", "2"] };
    broken_then_mended(GOOD, "2.csv", b"id,name\n3,c\n4,d,?\n", &says, (b"id,name\n3,c\n4,d\n", &["3|c", "4|d"]));
}

#[test]
fn the_line_is_right_after_line_breaks_inside_quotes() {
    let broken = b"id,name\n3,\"c\nc\n\"\"c\"\"\"\n4,\"d\r\nd\"\n\n5\n6,f\n";
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:8", "1 field"] };
    let mended: (&[u8], &[&str]) = (b"id,name\n3,\"c\nc\"\n4,d\n5,e\n", &["3|c\nc", "4|d", "5|e"]);
    broken_then_mended(GOOD, "2.csv", broken, &says, mended);
}

#[test]
fn the_line_is_right_far_into_a_large_object() {
    let mut broken = String::from("id,name\n");
    for id in 0..200_000 {
        broken.push_str(&format!("{id},\"name {id}\"\n"));
    }
    broken.push_str("x,bad\n");
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:200002", "`id`", "`x`", "bigint"] };
    broken_then_mended(GOOD, "2.csv", broken.as_bytes(), &says, (b"id,name\n3,c\n", &["3|c"]));
}

#[test]
fn a_value_of_another_type() {
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:3", "`id`", "`four`", "bigint"] };
    broken_then_mended(GOOD, "2.csv", b"id,name\n3,c\nfour,d\n", &says, (b"id,name\n3,c\n4,d\n", &["3|c", "4|d"]));
}

#[test]
fn a_quote_that_is_never_closed() {
    // The rest of the object would become one value, and its rows would be lost in silence.
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:3", "quote"] };
    let broken = b"id,name\n3,c\n4,\"d\n5,e\n6,f\n";
    broken_then_mended(GOOD, "2.csv", broken, &says, (b"id,name\n3,c\n4,d\n", &["3|c", "4|d"]));
}

#[test]
fn a_quote_in_the_header_that_is_never_closed() {
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:1", "quote"] };
    broken_then_mended(GOOD, "2.csv", b"id,\"name\n3,c\n4,d\n", &says, (b"id,name\n3,c\n", &["3|c"]));
}

#[test]
fn a_quote_inside_a_value_is_a_character() {
    let project = copying();
    project.put("raw/items/1.csv", "id,name\n1,5\" pipe\n2,b\n3,\"\"\"c\"\"\"\n4,say \"hi\"");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[&["1|5\" pipe", "2|b", "3|\"c\"", "4|say \"hi\""]]));
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:4", "1 field"] };
    broken_then_mended(GOOD, "2.csv", b"id,name\n3,5\" pipe\n4,d\n5\n", &says, (b"id,name\n3,c\n", &["3|c"]));
}

#[test]
fn line_ends_of_all_kinds() {
    let project = copying();
    project.put("raw/items/1.csv", "id,name\r1,a\r2,b");
    project.put("raw/items/2.csv", "id,name\r\n3,c\r\n4,d\r\n\r\n");
    project.put("raw/items/3.csv", "id,name\n5,e\r\n6,f\r7,g\n");
    project.until_quiet();
    let rows: &[&str] = &["1|a", "2|b", "3|c", "4|d", "5|e", "6|f", "7|g"];
    assert_eq!(project.rows("marts.copy"), sorted(&[rows]));
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:3", "1 field"] };
    broken_then_mended(GOOD, "2.csv", b"id,name\r3,c\r4\r5,e\r", &says, (b"id,name\n3,c\n", &["3|c"]));
}

#[test]
fn objects_that_fill_batches_to_the_last_row() {
    // The reader takes 8192 rows at a time; what is special about the end must hold wherever a batch ends.
    for rows in [8191, 8192, 8193, 16_384] {
        for end in ["", "\n", "\r\n", "\n\n"] {
            let project = copying();
            let body: Vec<String> = (0..rows).map(|id| format!("{id},\"n\"")).collect();
            project.put("raw/items/1.csv", format!("id,name\n{}{end}", body.join("\n")));
            let runs = project.run().clean().runs();
            assert_eq!(runs[0]["rows"], rows, "{rows} rows before {end:?}");
        }
        let project = copying();
        let body: Vec<String> = (0..rows).map(|id| format!("{id},n")).collect();
        project.put("raw/items/1.csv", format!("id,name\n{}\n9,\"open\n", body.join("\n")));
        project.run().fails("bad-record", &[&format!("raw/items/1.csv:{}", rows + 2), "quote"]);
    }
}

#[test]
fn text_that_is_not_utf8() {
    let says = Says { code: "bad-record", parts: &["raw/items/2.csv:3", "UTF-8"] };
    let broken = b"id,name\n3,c\n4,caf\xE9\n";
    broken_then_mended(GOOD, "2.csv", broken, &says, ("id,name\n3,c\n4,café\n".as_bytes(), &["3|c", "4|café"]));
    let says = Says { code: "bad-record", parts: &["raw/items/2.json:2"] };
    let broken = b"{\"id\":3,\"name\":\"c\"}\n{\"id\":4,\"name\":\"caf\xE9\"}\n";
    let mended = "{\"id\":3,\"name\":\"c\"}\n{\"id\":4,\"name\":\"café\"}\n";
    broken_then_mended(GOOD_JSON, "2.json", broken, &says, (mended.as_bytes(), &["3|c", "4|café"]));
}

#[test]
fn a_header_that_is_not_utf8() {
    let says = Says { code: "bad-object", parts: &["raw/items/2.csv", "UTF-8"] };
    let broken = b"id,nam\xE9,name\nid,x,name\n3,x,c\n";
    broken_then_mended(GOOD, "2.csv", broken, &says, (b"id,name\n3,c\n", &["3|c"]));
}

#[test]
fn a_broken_json_line() {
    let mended: (&[u8], &[&str]) = (b"{\"id\":3,\"name\":\"c\"}\n", &["3|c"]);
    for broken in [
        &b"{\"id\":3,\"name\":\"c\"}\n\n{\"id\":4,\"name\":}\n{\"id\":5,\"name\":\"e\"}\n"[..],
        b"{\"id\":3,\"name\":\"c\"}\n\n{\"id\":4,\"name\":\"d\"\n{\"id\":5,\"name\":\"e\"}\n",
        b"{\"id\":3,\"name\":\"c\"}\n\n{\"id\":4,\"na",
        b"{\"id\":3,\"name\":\"c\"}\n\nnot JSON\n",
        b"{\"id\":3,\"name\":\"c\"}\n\n{\"id\":\"four\",\"name\":\"d\"}\n",
    ] {
        let says = Says { code: "bad-record", parts: &["raw/items/2.json:3"] };
        broken_then_mended(GOOD_JSON, "2.json", broken, &says, mended);
    }
}

#[test]
fn json_without_a_last_line_break_is_whole() {
    let project = copying();
    project.put("raw/items/1.json", "{\"id\":1,\"name\":\"a\"}\n{\"name\":null}\n{\"id\":3}");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[&["1|a", "3|NULL", "NULL|NULL"]]));
}

#[test]
fn another_format_in_the_folder() {
    let project = copying();
    project.put("raw/items/1.csv", GOOD.1);
    project.run().clean();
    project.put("raw/items/2.json", GOOD_JSON.1);
    project.run().fails("unreadable-table", &["`2.json` is JSON", "the table is CSV"]);
    assert_eq!(project.rows("marts.copy"), sorted(&[GOOD.2]));
    project.remove("raw/items/2.json");
    project.put("raw/items/2.csv", "id,name\n3,c\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[GOOD.2, &["3|c"]]));
}

#[test]
fn json_in_a_csv_object() {
    let says = Says { code: "unreadable-table", parts: &["raw/items/2.csv", "JSON"] };
    broken_then_mended(GOOD, "2.csv", GOOD_JSON.1, &says, (b"id,name\n3,c\n", &["3|c"]));
}

#[test]
fn hidden_names_hold_no_rows() {
    let project = Project::new(&[("marts/copy", COPY)]);
    project.put("raw/items/1.csv", GOOD.1);
    project.put("raw/items/_SUCCESS", "");
    project.put("raw/items/_temporary/0.csv", "id,name\n9,hidden\n");
    project.put("raw/items/.2.csv.swp", "id,name\n9,hidden\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[GOOD.2]));
}
