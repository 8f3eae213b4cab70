//! Headers of CSV objects: columns are found by name, however they are written and ordered.

use super::{Says, broken_then_mended, copying, sorted};

const GOOD: (&str, &[u8], &[&str]) = ("1.csv", b"id,name\n1,a\n2,b\n", &["1|a", "2|b"]);

#[test]
fn columns_are_found_by_name() {
    let project = copying();
    project.put("raw/items/1.csv", GOOD.1);
    project.put("raw/items/2.csv", "name,id\nc,3\n");
    project.put("raw/items/3.csv", "\u{FEFF}ID,Name\r\n4,d\r\n");
    project.put("raw/items/4.csv", "\u{FEFF}\"name\",\"id\"\r\n\"e, f\",5\r\n");
    project.put("raw/items/5.csv", "\r\nid , name\n6,g\n");
    project.put("raw/items/6.csv", "name\nwithout id\n");
    project.put("raw/items/7.csv", "more,id,name\nx,7,h\n");
    project.until_quiet();
    let rows: &[&str] = &["3|c", "4|d", "5|e, f", "6|g", "NULL|without id", "7|h"];
    assert_eq!(project.rows("marts.copy"), sorted(&[GOOD.2, rows]));
}

#[test]
fn a_header_that_arrives_later_in_another_order() {
    let project = copying();
    project.put("raw/items/1.csv", GOOD.1);
    project.run().clean();
    project.put("raw/items/2.csv", "name,id\n30,3\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[GOOD.2, &["3|30"]]));
}

#[test]
fn a_header_that_names_a_column_twice() {
    let says = Says { code: "column-mismatch", parts: &["raw/items/2.csv:1", "`id` twice"] };
    broken_then_mended(GOOD, "2.csv", b"id,ID,name\n3,4,c\n", &says, (b"id,name\n3,c\n", &["3|c"]));
}

#[test]
fn a_header_of_other_columns() {
    let says = Says { code: "column-mismatch", parts: &["raw/items/2.csv:1", "who,what", "raw.items"] };
    broken_then_mended(GOOD, "2.csv", b"who,what\nx,y\n", &says, (b"id,name\n3,c\n", &["3|c"]));
}

#[test]
fn no_header_at_all() {
    // The first row would be lost as a header.
    let says = Says { code: "column-mismatch", parts: &["raw/items/2.csv:1", "3,c"] };
    broken_then_mended(GOOD, "2.csv", b"3,c\n4,d\n", &says, (b"id,name\n3,c\n4,d\n", &["3|c", "4|d"]));
}

#[test]
fn quotes_delimiters_and_nulls() {
    let project = copying();
    project.put("raw/items/1.csv", "id;name\n1;\"a;b\"\n2;\"say \"\"hi\"\"\"\n3;\n4;\"\"\n");
    project.until_quiet();
    let rows = project.rows("marts.copy");
    assert_eq!(rows[..2], sorted(&[&["1|a;b", "2|say \"hi\""]]));
    assert_eq!(rows.len(), 4);
}
