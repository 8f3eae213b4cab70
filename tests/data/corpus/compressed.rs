//! Compressed text: cut, damaged, in several members, named wrongly.

use super::Becomes::{Count, Refused, Rows};
use super::{Case, case, check};
use crate::pack::{CODECS, bzip2, gzip, zstd};

const TEXT: &str = "id,name\n2,b\n3,c\n";

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let many: String =
        (0..20_000).fold("id,name\n".to_owned(), |text, id| format!("{text}{id},name of {}\n", id * 7919 % 10_007));
    for (suffix, pack) in CODECS {
        let object = |name: &str| -> &'static str { Box::leak(format!("{name}.csv.{suffix}").into_boxed_str()) };
        let mut add = |name: &str, object: &'static str, content: Vec<u8>, becomes| {
            cases.push(case(&format!("{suffix}_{name}"), object, content, becomes));
        };
        let packed = pack(TEXT);
        let large = pack(&many);
        let mut damaged = large.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0x55);
        add("whole", object("x"), packed.clone(), Rows(&["2|b", "3|c"], 0));
        add("members", object("x"), [pack("id,name\n2,b\n"), pack("3,c\n")].concat(), Rows(&["2|b", "3|c"], 0));
        add("cut", object("x"), packed[..packed.len() - 6].to_vec(), Refused("bad-object"));
        add("cut_early", object("x"), packed[..5].to_vec(), Refused("bad-object"));
        add("large", object("x"), large.clone(), Count(20_000, 0));
        add("large_cut", object("x"), large[..large.len() - 100].to_vec(), Refused("bad-object"));
        add("damaged", object("x"), damaged, Refused("bad-object"));
        add("garbage_after", object("x"), [packed.clone(), b"garbage".to_vec()].concat(), Refused("bad-object"));
        add("no_rows", object("x"), pack(""), Rows(&[], 0));
        add("header_only", object("x"), pack("id,name\n"), Rows(&[], 0));
        add("empty_object", object("x"), Vec::new(), Rows(&[], 0));
        add("not_packed", object("x"), TEXT.into(), Rows(&["2|b", "3|c"], 0));
        add("packed_twice", object("x"), twice(suffix, &packed), Refused("bad-object"));
        add("without_suffix", "x", packed.clone(), Rows(&["2|b", "3|c"], 0));
        add("other_suffix", "x.csv", packed, Rows(&["2|b", "3|c"], 0));
        add("bad_record", object("x"), pack("id,name\n2,b\n3\n"), Rows(&["2|b"], 1));
    }
    cases
}

/// What is packed already, packed once more.
fn twice(suffix: &str, packed: &[u8]) -> Vec<u8> {
    match suffix {
        "gz" => gzip(packed),
        "zst" => zstd(packed),
        _ => bzip2(packed),
    }
}

#[test]
fn compressed() {
    check(&cases());
}
