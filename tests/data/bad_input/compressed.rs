//! Compressed objects: cut short, corrupt, wrongly named, and of several members.

use super::{Says, alone_then_mended, broken_then_mended, copying, sorted};
use crate::pack::CODECS;

/// Text that does not compress well, so that a cut falls into its middle.
fn many_rows(rows: u64) -> String {
    let mut text = String::from("id,name\n");
    let mut state = 88_172_645_463_325_252_u64;
    for id in 0..rows {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{id},{state:016x}\n"));
    }
    text
}

#[test]
fn an_object_that_is_cut_short() {
    let text = many_rows(50_000);
    for (suffix, pack) in CODECS {
        let packed = pack(&text);
        let good_name = format!("1.csv.{suffix}");
        let good = pack("id,name\n1,a\n");
        let mended = pack("id,name\n3,c\n");
        let name = format!("2.csv.{suffix}");
        let object = format!("raw/items/{name}");
        for cut in [packed.len() - 1, packed.len() / 2, 12] {
            let says = Says { code: "bad-object", parts: &[&object] };
            let good: (&str, &[u8], &[&str]) = (&good_name, &good, &["1|a"]);
            broken_then_mended(good, &name, &packed[..cut], &says, (&mended, &["3|c"]));
        }
        alone_then_mended(&name, &packed[..12], &Says { code: "bad-object", parts: &[&object] }, (&mended, &["3|c"]));
    }
}

#[test]
fn an_object_with_a_flipped_byte() {
    let text = many_rows(50_000);
    for (suffix, pack) in CODECS {
        let mut packed = pack(&text);
        let middle = packed.len() / 2;
        packed[middle] ^= 0xFF;
        let (good, mended) = (pack("id,name\n1,a\n"), pack("id,name\n3,c\n"));
        let name = format!("2.csv.{suffix}");
        let project = copying();
        project.put(&format!("raw/items/1.csv.{suffix}"), good);
        project.run().clean();
        project.put(&format!("raw/items/{name}"), &packed);
        // Also if it shows first as a record that cannot be read: the compression is the better reason.
        project.run().fails("bad-object", &[&format!("raw/items/{name}")]);
        assert_eq!(project.rows("marts.copy"), ["1|a"], "{suffix}");
        project.put(&format!("raw/items/{name}"), mended);
        project.until_quiet();
        assert_eq!(project.rows("marts.copy"), ["1|a", "3|c"], "{suffix}");
    }
}

#[test]
fn an_object_of_several_members_is_read_to_its_end() {
    for (suffix, pack) in CODECS {
        let project = copying();
        let members = [pack("id,name\n1,a\n"), pack("2,b\n3,"), pack(""), pack("c\n"), pack("4,d\n")];
        project.put(&format!("raw/items/1.csv.{suffix}"), members.concat());
        project.until_quiet();
        assert_eq!(project.rows("marts.copy"), ["1|a", "2|b", "3|c", "4|d"], "{suffix}");
        // A cut in a later member loses rows just as one in the first.
        let mut cut = members.concat();
        cut.truncate(cut.len() - 3);
        project.put(&format!("raw/items/2.csv.{suffix}"), cut);
        project.run().fails("bad-object", &[&format!("raw/items/2.csv.{suffix}")]);
        assert_eq!(project.rows("marts.copy"), ["1|a", "2|b", "3|c", "4|d"], "{suffix}");
    }
}

#[test]
fn json_of_several_members() {
    for (suffix, pack) in CODECS {
        let project = copying();
        let members = [pack("{\"id\":1,\"name\":\"a\"}\n"), pack("{\"id\":2,\"name\":\"b\"}\n")];
        project.put(&format!("raw/items/1.jsonl.{suffix}"), members.concat());
        project.until_quiet();
        assert_eq!(project.rows("marts.copy"), ["1|a", "2|b"], "{suffix}");
    }
}

#[test]
fn the_line_of_a_bad_record_counts_decompressed_lines() {
    for (suffix, pack) in CODECS {
        let mut text = many_rows(3_000);
        text.push_str("3000\n");
        let (good, mended) = (pack("id,name\n1,a\n"), pack("id,name\n3,c\n"));
        let (good_name, name) = (format!("1.csv.{suffix}"), format!("2.csv.{suffix}"));
        let place = format!("raw/items/{name}:3002");
        let says = Says { code: "bad-record", parts: &[&place, "1 field"] };
        broken_then_mended((&good_name, &good, &["1|a"]), &name, &pack(&text), &says, (&mended, &["3|c"]));
    }
}

#[test]
fn nothing_but_a_header_or_nothing_at_all() {
    for (suffix, pack) in CODECS {
        for content in ["", "id,name\n"] {
            let project = copying();
            project.put(&format!("raw/items/0.csv.{suffix}"), pack(content));
            project.run().fails("unreadable-table", &["raw.items", "no rows yet"]);
            project.put(&format!("raw/items/1.csv.{suffix}"), pack("id,name\n1,a\n"));
            project.until_quiet();
            assert_eq!(project.rows("marts.copy"), ["1|a"], "{suffix}");
        }
    }
}

#[test]
fn a_name_that_does_not_say_what_the_content_is() {
    for (suffix, pack) in CODECS {
        let project = copying();
        project.put("raw/items/1.csv", "id,name\n1,a\n");
        project.put("raw/items/2.csv", pack("id,name\n2,b\n"));
        project.put(&format!("raw/items/3.csv.{suffix}"), "id,name\n3,c\n");
        project.put("raw/items/4", pack("id,name\n4,d\n"));
        project.until_quiet();
        assert_eq!(project.rows("marts.copy"), ["1|a", "2|b", "3|c", "4|d"], "{suffix}");
    }
}

#[test]
fn suffixes_in_capitals() {
    let project = copying();
    project.put("raw/items/1.CSV", "id,name\n1,a\n");
    let (_, gzip) = CODECS[0];
    project.put("raw/items/2.CSV.GZ", gzip("id,name\n2,b\n"));
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[&["1|a", "2|b"]]));
}
