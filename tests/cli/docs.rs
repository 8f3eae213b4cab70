//! `docs/errors.md` is written from what `unglue explain` says.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::explain;
use crate::project::Project;

/// Set to write the page instead of comparing it.
const UPDATE: &str = "UNGLUE_UPDATE_DOCS";

#[test]
fn the_page_of_errors_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let page = page();
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &page).expect("a written page");
    }
    let written = fs::read_to_string(&path).expect("docs/errors.md");
    assert_eq!(written, page, "docs/errors.md is out of date: run this test with {UPDATE}=1");
}

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         <!-- Written by a test from `unglue explain`: change `transform/src/code.rs`, and run the test with UNGLUE_UPDATE_DOCS=1. -->\n\n\
         Every error has a code. Codes are stable: programs may match on them. `unglue explain CODE` prints what stands here.\n",
    );
    let project = Project::empty();
    for code in explain::codes() {
        let explained = project.run(["explain", &code]).stdout;
        let text = explained.strip_prefix(&format!("{code}\n\n")).expect("the code, then the text");
        write!(page, "\n## {code}\n\n{text}").expect("a string takes all");
    }
    page
}
