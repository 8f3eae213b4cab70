//! One snapshot for each error code, of what the program prints when it really happens.

mod fixture;
mod input;
mod query;
mod source;
mod surroundings;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::explain;
use crate::output::Output;

/// Codes that cannot be provoked from outside, or only by luck, each with the reason.
const UNPROVOKED: [(&str, &str); 5] = [
    (
        "bad-event",
        "needs a message of a queue, which the program does not receive; the tests of the handlers provoke it",
    ),
    ("conflict", "needs two processes that change one table in the same moment, several times in a row"),
    ("internal", "is a defect; one that is known is mended instead"),
    ("object-changed", "needs an object to be replaced between the listing and the reading of one run"),
    ("object-gone", "needs an object to be deleted between the listing and the reading of one run"),
];

/// Compares the output with the snapshot of a code. It must have that error, and no other.
fn assert_error(code: &str, output: &Output) {
    assert_eq!(printed_codes(output), [code], "{output}");
    snapshot(code, output);
}

/// Here, and not where it is called, so that all snapshots are named alike.
fn snapshot(code: &str, output: &Output) {
    insta::assert_snapshot!(code.to_owned(), output);
}

fn printed_codes(output: &Output) -> Vec<&str> {
    let after = output.stderr.lines().filter_map(|line| line.strip_prefix("error["));
    after.filter_map(|line| Some(line.split_once("]: ")?.0)).collect()
}

#[test]
fn every_code_has_a_snapshot() {
    let codes: BTreeSet<String> = explain::codes().into_iter().collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cli/snapshots");
    let snapshots: BTreeSet<String> = fs::read_dir(folder)
        .expect("the folder of the snapshots")
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().expect("a name in UTF-8");
            Some(name.strip_prefix("cli__errors__")?.strip_suffix(".snap")?.to_owned())
        })
        .collect();
    let unprovoked: BTreeSet<String> = UNPROVOKED.iter().map(|(code, _)| (*code).to_owned()).collect();

    let missing: Vec<&String> =
        codes.iter().filter(|code| !snapshots.contains(*code) && !unprovoked.contains(*code)).collect();
    assert!(missing.is_empty(), "codes without a snapshot: {missing:?}");
    let needless: Vec<&String> = unprovoked.iter().filter(|code| snapshots.contains(*code)).collect();
    assert!(needless.is_empty(), "codes that are provoked after all: {needless:?}");
    let unknown: Vec<&String> = snapshots.iter().chain(&unprovoked).filter(|code| !codes.contains(*code)).collect();
    assert!(unknown.is_empty(), "codes that do not exist: {unknown:?}");
}
