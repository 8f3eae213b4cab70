//! `unglue explain`

use crate::project::Project;

/// The codes that the program lists.
pub(crate) fn codes() -> Vec<String> {
    let listing = Project::empty().run(["explain"]);
    assert_eq!(listing.code, 0, "{listing}");
    listing.stdout.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn all_codes_are_listed() {
    insta::assert_snapshot!(Project::empty().run(["explain"]));
}

#[test]
fn every_code_is_explained() {
    let project = Project::empty();
    let explained: Vec<String> = codes()
        .iter()
        .map(|code| {
            let output = project.run(["explain", code]);
            assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output}");
            assert!(output.stdout.starts_with(&format!("{code}\n\n")), "{output}");
            output.stdout
        })
        .collect();
    insta::assert_snapshot!(explained.join("\n"));
}

#[test]
fn an_unknown_code_has_a_suggestion() {
    insta::assert_snapshot!(Project::empty().run(["explain", "unknown-colum"]));
}

#[test]
fn an_unknown_code_that_is_near_nothing() {
    insta::assert_snapshot!(Project::empty().run(["explain", "E0425"]));
}
