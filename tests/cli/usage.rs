//! The command line itself: help, exit codes, where what is printed.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::project::Project;

const VERBS: [&str; 10] = ["init", "catalog", "check", "plan", "run", "test", "history", "doctor", "gc", "explain"];

#[test]
fn help() {
    let project = Project::empty();
    insta::assert_snapshot!("help", project.run(["--help"]));
    insta::assert_snapshot!("short_help", project.run(["-h"]));
    insta::assert_snapshot!("no_verb", project.run::<&str>([]));
    let helps = VERBS.map(|verb| {
        let output = project.run([verb, "-h"]);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output}");
        output.to_string()
    });
    insta::assert_snapshot!("help_of_verbs", helps.join("\n"));
}

#[test]
fn version() {
    let output = Project::empty().run(["--version"]);
    assert_eq!((output.code, output.stdout), (0, format!("unglue {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", "SELECT order_id FROM raw.orders\n");
    project.write("a-file", "");
    let calls: &[&[&str]] = &[
        &["rnu"],
        &["run", "--ful-refresh"],
        &["run", "--memory", "much"],
        &["run", "--memory", "0"],
        &["run", "--memory"],
        &["run", "--temp", "nowhere"],
        &["check", "--format", "xml"],
        &["check", "--catalog", "hive"],
        &["check", "--catalog", "glue"],
        &["catalog", "drop"],
        &["check", "--project", "nowhere"],
        &["check", "--data", "nowhere"],
        &["check", "--data", "a-file"],
        &["check", "--data", "gs://bucket/data"],
        &["explain", "unknown-colum"],
        &["explain", "one", "two"],
        &["plan", "sales.ordres"],
        &["test", "sales.ordres"],
        &["test", "--data", "nowhere"],
        &["history", "sales.ordres"],
        &["history", "--run", "20261120t081500z-0123456789ab"],
        &["history", "--run", "x", "--limit", "3"],
        &["doctor", "sales.ordres"],
        &["gc", "sales.ordres"],
        &["gc", "--older-than", "24"],
        &["gc", "--older-than", "-1h"],
        &["init", "--project", "a-file"],
    ];
    let outputs: Vec<String> = calls
        .iter()
        .map(|call| {
            let output = project.run(*call);
            assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{output}");
            output.to_string()
        })
        .collect();
    insta::assert_snapshot!(outputs.join("\n"));
}

/// 0: as wished. 1: findings or failed runs. 2: wrong usage, or surroundings in which nothing can be done.
#[test]
fn exit_codes_of_every_verb() {
    let right = Project::cataloged();
    right.write("sql/sales/orders.sql", "SELECT order_id FROM raw.orders\n");
    right.write("sql/sales/orders.test/all/expect.csv", "order_id\n");
    let wrong = Project::cataloged();
    wrong.write("sql/sales/orders.sql", "SELECT custmer_id FROM raw.orders\n");
    wrong.write("sql/sales/orders.test/all/expect.csv", "order_id\n");
    wrong.write("data/raw/photos/cat.jpg", "a picture");
    let without_data = Project::empty();
    without_data.write("sql/sales/orders.sql", "SELECT order_id FROM raw.orders\n");

    for (call, codes) in [
        (&["catalog"][..], [0, 1, 2]),
        (&["catalog", "diff"], [0, 1, 2]),
        (&["catalog", "show"], [0, 0, 2]),
        (&["check"], [0, 1, 2]),
        (&["check", "--json"], [0, 1, 2]),
        (&["check", "--format", "github"], [0, 1, 2]),
        (&["plan"], [0, 1, 2]),
        (&["plan", "--json"], [0, 1, 2]),
        (&["run"], [0, 1, 2]),
        (&["run", "--json"], [0, 1, 2]),
        (&["test"], [0, 1, 0]),
        (&["test", "--json"], [0, 1, 0]),
        (&["history"], [0, 0, 2]),
        (&["history", "--json"], [0, 0, 2]),
        (&["doctor"], [0, 1, 2]),
        (&["doctor", "--json"], [0, 1, 2]),
        (&["gc"], [0, 0, 2]),
        (&["gc", "--json"], [0, 0, 2]),
        (&["explain", "syntax"], [0, 0, 0]),
    ] {
        for (project, code) in [&right, &wrong, &without_data].into_iter().zip(codes) {
            let output = project.run(call);
            assert_eq!(output.code, code, "{output}");
            assert!(code == 0 || call.contains(&"--json") || call.contains(&"github") || !output.stderr.is_empty());
        }
    }
    assert_eq!(Project::empty().run(["init"]).code, 0);
}

/// A reader who has seen enough is no error.
#[test]
fn a_broken_pipe() {
    let project = Project::empty();
    for call in [&["explain"][..], &["--help"], &["explain", "syntax"]] {
        let mut child = project.command(call).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start");
        // Closed before the program can have written anything, or after the first line.
        let stdout = child.stdout.take().expect("a pipe");
        if call.len() == 1 {
            let mut first = String::new();
            BufReader::new(stdout).read_line(&mut first).expect("a line");
            assert!(!first.is_empty());
        } else {
            drop(stdout);
        }
        let mut stderr = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
        assert_eq!((child.wait().expect("an end").code(), stderr.as_str()), (Some(0), ""), "{call:?}");
    }
}

#[test]
fn the_data_folder_from_the_environment() {
    let project = Project::cataloged();
    let mut command = project.command(["catalog", "show"]);
    command.env("UNGLUE_DATA", "elsewhere");
    let output = project.wait(command);
    assert!(output.code == 2 && output.stderr.contains("`elsewhere` does not exist"), "{output}");
}
