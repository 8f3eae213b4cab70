//! How errors are drawn: all of them at once, in order, with the caret under the right characters.

use crate::project::Project;

/// A project with errors in several files, some of them with several.
fn wrong() -> Project {
    let project = Project::cataloged();
    project.write("sql/unglue.toml", "ownr = \"shop\"\n");
    project.write(
        "sql/sales/orders.sql",
        "-- @partitions: status\n-- @write: apend\nSELECT order_id, status\nFROM raw.ordrs\n",
    );
    project.write("sql/marts/daily.sql", "SELECT\n    ordered,\n    uper(status) AS status\nFROM raw.orders\n");
    project.write("sql/marts/Weekly.sql", "SELECT order_id FROM raw.orders\n");
    project.write("sql/marts/right.sql", "SELECT order_id FROM raw.orders\n");
    project
}

#[test]
fn all_errors_of_all_files_in_one_pass() {
    let project = wrong();
    insta::assert_snapshot!("all_errors", project.check());
    project.remove("sql/unglue.toml");
    insta::assert_snapshot!("without_folder_defaults", project.check());
}

/// Errors of some files do not keep the others from running.
#[test]
fn what_is_right_runs_all_the_same() {
    let project = wrong();
    project.remove("sql/unglue.toml");
    insta::assert_snapshot!(project.run(["run"]));
}

#[test]
fn annotations_of_pull_requests() {
    let project = wrong();
    project.write("sql/a,b/odd.sql", "SELECT 1 AS x\n");
    insta::assert_snapshot!(project.run(["check", "--format", "github"]));
}

/// The columns that the annotated line and its caret begin at, in characters of the terminal.
fn caret_column(stderr: &str) -> usize {
    let line = stderr.lines().find(|line| line.contains('^')).unwrap_or_else(|| panic!("no caret in\n{stderr}"));
    line.chars().position(|c| c == '^').expect("a caret")
}

fn text_column(stderr: &str, text: &str) -> usize {
    let line = stderr.lines().find(|line| line.contains(" | ") && line.contains(text));
    let line = line.unwrap_or_else(|| panic!("no {text} in\n{stderr}"));
    line[..line.find(text).expect("the text")].chars().count()
}

#[test]
fn the_caret_stands_below_the_mistake() {
    let project = Project::cataloged();
    for (name, sql, place) in [
        ("tabs", "SELECT\n\torder_id,\t\tcustmer_id\nFROM raw.orders\n", "2:13"),
        ("umlauts", "SELECT 'grün' AS farbe, 'ß' AS s, custmer_id FROM raw.orders\n", "1:35"),
        ("windows", "SELECT\r\n    order_id,\r\n    custmer_id\r\nFROM raw.orders\r\n", "3:5"),
        ("byte_order_mark", "\u{feff}SELECT custmer_id FROM raw.orders\n", "1:8"),
    ] {
        project.write("sql/sales/orders.sql", sql);
        let output = project.check();
        assert!(output.stderr.contains(&format!("sql/sales/orders.sql:{place}\n")), "{output}");
        assert_eq!(caret_column(&output.stderr), text_column(&output.stderr, "custmer_id"), "{name}\n{output}");
        insta::assert_snapshot!(name, output);
    }
}

/// Wide characters take two columns of a terminal.
#[test]
fn wide_characters() {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", "SELECT '注文' AS a, custmer_id FROM raw.orders\n");
    let output = project.check();
    assert!(output.stderr.contains("sql/sales/orders.sql:1:19\n"), "{output}");
    assert_eq!(caret_column(&output.stderr), text_column(&output.stderr, "custmer_id") + 2, "{output}");
    insta::assert_snapshot!(output);
}

#[test]
fn a_place_at_the_end_of_a_file() {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", "SELECT order_id,\nFROM raw.orders WHERE\n");
    insta::assert_snapshot!("ends_too_early", project.check());
    project.write("sql/sales/orders.sql", "");
    insta::assert_snapshot!("empty_file", project.check());
    project.write("sql/sales/orders.sql", "-- only a comment\n\n");
    insta::assert_snapshot!("only_a_comment", project.check());
}

/// Colours are for terminals, and not for those who do not want them.
#[test]
fn colours() {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", "SELECT custmer_id FROM raw.orders\n");
    let on_a_terminal = |no_color: Option<&str>| {
        let mut script = std::process::Command::new("script");
        script.args(["-qec", concat!(env!("CARGO_BIN_EXE_unglue"), " check"), "/dev/null"]);
        script.current_dir(project.path("")).stdin(std::process::Stdio::null());
        script.env_remove("NO_COLOR").env("TERM", "xterm");
        if let Some(value) = no_color {
            script.env("NO_COLOR", value);
        }
        let output = script.output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(coloured) = on_a_terminal(None) else {
        eprintln!("not tested on a terminal: there is no program `script`");
        return;
    };
    assert!(coloured.contains("error") && coloured.contains("\u{1b}["), "{coloured:?}");
    assert!(on_a_terminal(Some("")).is_some_and(|text| text.contains("\u{1b}[")), "empty is as if it were not there");
    assert!(on_a_terminal(Some("1")).is_some_and(|text| text.contains("error") && !text.contains("\u{1b}[")));
    assert!(!project.check().stderr.contains("\u{1b}["), "not a terminal");
}
