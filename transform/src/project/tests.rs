//! Whole projects: order, circles, names, and all errors of all files in one pass.

use crate::error::Error;
use crate::marked::{mark, unmark};
use crate::project::Project;
use crate::table::TableName;

fn parse(files: &[(&str, &str)]) -> (Project, Vec<Error>) {
    Project::parse(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
}

fn whole(files: &[(&str, &str)]) -> Project {
    let (project, errors) = parse(files);
    assert!(errors.is_empty(), "{errors:?}");
    project
}

fn targets(project: &Project) -> Vec<String> {
    project.transforms().iter().map(|transform| transform.target.to_string()).collect()
}

fn broken(project: &Project) -> Vec<String> {
    project.broken().iter().map(ToString::to_string).collect()
}

fn table(name: &str) -> TableName {
    TableName::try_from(name.to_owned()).unwrap()
}

/// File, code and place of each error.
fn told(errors: &[Error]) -> Vec<String> {
    let place =
        |error: &Error| error.at.as_ref().map(|at| format!("{}:{}:{}+{} ", at.file, at.line, at.column, at.length));
    errors.iter().map(|error| place(error).unwrap_or_default() + error.code.as_str()).collect()
}

#[test]
fn upstream_comes_first_otherwise_names_decide() {
    let project = whole(&[
        ("sql/a/last.sql", "SELECT x FROM z.first JOIN a.middle ON true"),
        ("sql/a/middle.sql", "SELECT x FROM (SELECT x FROM z.first) AS t"),
        ("sql/z/first.sql", "SELECT x FROM raw.orders"),
        ("sql/b/lone.sql", "SELECT x FROM raw.orders"),
        ("sql/a/lone.sql", "SELECT x FROM raw.orders"),
    ]);
    assert_eq!(targets(&project), ["a.lone", "b.lone", "z.first", "a.middle", "a.last"]);
    let names = |table_name: &str| -> Vec<String> {
        project.downstream(&table(table_name)).iter().map(|transform| transform.target.to_string()).collect()
    };
    assert_eq!(names("z.first"), ["a.middle", "a.last"]);
    assert_eq!(names("raw.orders"), ["a.lone", "b.lone", "z.first"]);
    assert_eq!(names("a.last"), [] as [&str; 0]);
    assert_eq!(project.transform(&table("a.middle")).unwrap().file.path, "sql/a/middle.sql");
    assert!(project.transform(&table("a.other")).is_none());
}

#[test]
fn a_project_is_cut_down_to_some_transforms_and_what_they_read() {
    let (project, _) = parse(&[
        ("sql/a/last.sql", "SELECT x FROM z.first JOIN a.middle ON true"),
        ("sql/a/middle.sql", "SELECT x FROM z.first"),
        ("sql/z/first.sql", "SELECT x FROM raw.orders"),
        ("sql/b/lone.sql", "SELECT x FROM raw.orders"),
        ("sql/b/broken.sql", "SELECT x FROM"),
        ("sql/b/reader.sql", "SELECT x FROM b.broken"),
    ]);
    let cut = |names: &[&str]| project.cut_down_to(&names.iter().map(|name| table(name)).collect());
    assert_eq!(targets(&cut(&["a.last"])), ["z.first", "a.middle", "a.last"]);
    assert_eq!(targets(&cut(&["a.middle", "b.lone"])), ["b.lone", "z.first", "a.middle"]);
    assert_eq!(broken(&cut(&["b.lone"])), [] as [&str; 0]);
    let reader = cut(&["b.reader"]);
    assert_eq!((targets(&reader), broken(&reader)), (vec!["b.reader".to_owned()], vec!["b.broken".to_owned()]));
}

#[test]
fn a_project_without_sql_is_an_error() {
    for files in [&[][..], &[("README.md", ""), ("sql/unglue.toml", ""), ("sql/a/b.test/expect.sql", "")]] {
        let (project, errors) = parse(files);
        assert_eq!(told(&errors), ["empty-project"]);
        assert!(project.transforms().is_empty());
    }
}

#[test]
fn a_transform_cannot_read_its_own_table() {
    let (text, marks) = unmark("SELECT x FROM raw.o\nJOIN «A.Loop» ON true");
    let (project, errors) = parse(&[("sql/a/loop.sql", &text), ("sql/a/other.sql", "SELECT x FROM a.loop")]);
    let (line, column, length) = marks[0];
    assert_eq!(mark(&errors[0]), (line, column, length, "reads-own-target".to_owned()));
    assert_eq!((errors.len(), errors[0].transform.as_deref()), (1, Some("a.loop")));
    assert_eq!((targets(&project), broken(&project)), (vec!["a.other".to_owned()], vec!["a.loop".to_owned()]));
}

#[test]
fn circles_are_told_once_at_their_first_file() {
    let (project, errors) = parse(&[
        ("sql/a/one.sql", "SELECT x\nFROM raw.o JOIN a.two ON true"),
        ("sql/a/two.sql", "SELECT x FROM a.three"),
        ("sql/a/three.sql", "SELECT x FROM a.one"),
        ("sql/a/after.sql", "SELECT x FROM a.two"),
        ("sql/b/p.sql", "SELECT x FROM b.q"),
        ("sql/b/q.sql", "SELECT x FROM b.p"),
    ]);
    assert_eq!(told(&errors), ["sql/a/one.sql:2:17+5 dependency-cycle", "sql/b/p.sql:1:15+3 dependency-cycle"]);
    assert_eq!(errors[0].message, "`a.one` reads `a.two` reads `a.three` reads `a.one` is a circle");
    assert_eq!(targets(&project), ["a.after"]);
    assert_eq!(broken(&project), ["a.one", "a.three", "a.two", "b.p", "b.q"]);
}

#[test]
fn two_circles_through_one_file_are_both_told() {
    let (_, errors) = parse(&[
        ("sql/a/hub.sql", "SELECT x FROM a.one JOIN a.two ON true"),
        ("sql/a/one.sql", "SELECT x FROM a.hub"),
        ("sql/a/two.sql", "SELECT x FROM a.hub"),
    ]);
    assert_eq!(told(&errors), ["sql/a/hub.sql:1:15+5 dependency-cycle", "sql/a/two.sql:1:15+5 dependency-cycle"]);
}

#[test]
fn driving_and_trigger_must_be_read() {
    for (marked, near) in [
        ("-- @driving: «raw.ordrs»\nSELECT x FROM raw.orders", "did you mean `raw.orders`?"),
        ("-- @trigger: raw.orders, «raw.people»\nSELECT x FROM raw.orders", "the query reads `raw.orders`"),
        ("-- @driving: «raw.orders»\nSELECT 1 AS x", "the query reads no table; remove the setting"),
    ] {
        let (text, marks) = unmark(marked);
        let (_, errors) = parse(&[("sql/a/b.sql", &text)]);
        let (line, column, length) = marks[0];
        assert_eq!(mark(&errors[0]), (line, column, length, "bad-driving-table".to_owned()));
        assert_eq!((errors.len(), errors[0].help.as_deref()), (1, Some(near)));
    }
}

#[test]
fn all_errors_of_all_files_in_order() {
    let (project, errors) = parse(&[
        ("sql/z/reader.sql", "SELECT x FROM a.wrong"),
        ("sql/a/wrong.sql", "-- @ownr: me\nSELECT x FROM y"),
        ("sql/a/Upper.sql", "-- @ownr: me\nSELECT x FROM raw.o"),
        ("sql/unglue.toml", "writ = 'append'"),
        ("sql/a/b/deep.sql", "SELECT x FROM raw.o"),
    ]);
    assert_eq!(
        told(&errors),
        [
            "sql/a/Upper.sql:1:1+1 bad-path",
            "sql/a/Upper.sql:1:4+5 unknown-key",
            "sql/a/b/deep.sql:1:1+1 bad-path",
            "sql/a/wrong.sql:1:4+5 unknown-key",
            "sql/a/wrong.sql:2:15+1 unknown-table",
            "sql/unglue.toml:1:1+4 unknown-key",
        ]
    );
    assert_eq!(broken(&project), ["a.upper", "a.wrong", "z.reader"], "broken defaults govern every file");
    let transforms: Vec<Option<&str>> = errors.iter().map(|error| error.transform.as_deref()).collect();
    assert_eq!(transforms, [None, None, None, Some("a.wrong"), Some("a.wrong"), None]);
}

#[test]
fn readers_of_a_broken_file_have_no_error_of_their_own() {
    let (project, errors) = parse(&[("sql/a/wrong.sql", "SELEC x"), ("sql/a/reader.sql", "SELECT x FROM a.wrong")]);
    assert_eq!(told(&errors), ["sql/a/wrong.sql:1:1+5 syntax"]);
    assert_eq!((targets(&project), broken(&project)), (vec!["a.reader".to_owned()], vec!["a.wrong".to_owned()]));
}

#[test]
fn files_that_are_not_utf8() {
    let files: [(&[u8], usize, usize); 4] = [
        (b"SELECT x\nFROM caf\xe9.o", 2, 9),
        (b"\xef\xbb\xbfSELECT '\xc3\xa4\xff'", 1, 10),
        (b"\xff\xfeS\0E\0", 1, 1),
        (b"SELECT 1 -- \xe2\x82", 1, 13),
    ];
    for (bytes, line, column) in files {
        let (project, errors) = Project::parse(vec![("sql/a/b.sql".to_owned(), bytes.to_vec())]);
        assert_eq!(mark(&errors[0]), (line, column, 1, "not-utf8".to_owned()));
        assert_eq!((errors.len(), errors[0].transform.as_deref()), (1, Some("a.b")));
        assert_eq!(broken(&project), ["a.b"]);
    }
    let toml = ("sql/unglue.toml".to_owned(), b"owner = '\xff'".to_vec());
    let (project, errors) = Project::parse(vec![toml, ("sql/a/b.sql".to_owned(), b"SELECT x FROM a.c".to_vec())]);
    assert_eq!(told(&errors), ["sql/unglue.toml:1:10+1 not-utf8"]);
    assert_eq!(broken(&project), ["a.b"]);
}

#[test]
fn two_files_of_one_table_are_neither_run() {
    let (project, errors) = parse(&[("sql/a/b.sql", "SELECT x FROM raw.o"), ("sql/A/b.sql", "SELECT x FROM raw.o")]);
    assert_eq!(told(&errors), ["sql/A/b.sql:1:1+1 bad-path", "sql/A/b.sql:1:1+1 duplicate-target"]);
    assert_eq!((targets(&project), broken(&project)), (vec![], vec!["a.b".to_owned()]));
}

#[test]
fn a_byte_order_mark_counts_for_nothing() {
    let project = whole(&[("sql/a/b.sql", "\u{feff}SELECT x FROM raw.o")]);
    let transform = &project.transforms()[0];
    assert_eq!((&*transform.file.text, transform.inputs[0].at.column), ("SELECT x FROM raw.o", 15));
}

#[test]
fn transforms_are_found_by_name() {
    let (project, _) = parse(&[
        ("sql/sales/orders.sql", "SELECT x FROM raw.o"),
        ("sql/sales/people.sql", "SELECT x FROM raw.o"),
        ("sql/hr/people.sql", "SELECT x FROM raw.o"),
        ("sql/hr/wrong.sql", "SELEC"),
    ]);
    assert_eq!(project.find("orders").unwrap().target, table("sales.orders"));
    assert_eq!(project.find("Sales.Orders").unwrap().target, table("sales.orders"));
    assert_eq!(project.find("hr.people").unwrap().target, table("hr.people"));
    let help = |name: &str| {
        let error = project.find(name).unwrap_err();
        assert_eq!(error.code.as_str(), "unknown-transform");
        error.help.unwrap()
    };
    assert_eq!(help("people"), "write one of `hr.people`, `sales.people`");
    assert_eq!(help("sales.ordrs"), "did you mean `sales.orders`?");
    assert_eq!(help("ordrs"), "did you mean `orders`?");
    assert_eq!(help("wrong"), "correct them first; `unglue check` lists them");
    assert_eq!(help("something"), "write `database.table`, as the file's path says");
}

proptest::proptest! {
    /// Whatever the text, parsing ends, and every error has a place inside its line and a way out.
    #[test]
    fn every_text_is_parsed_or_refused_at_a_place(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..40)) {
        let text = words.concat();
        let (project, errors) = parse(&[("sql/a/b.sql", &text), ("sql/unglue.toml", &text), ("sql/z/z.sql", "SELECT x FROM a.b")]);
        let is_whole = project.transform(&table("a.b")).is_some();
        proptest::prop_assert_eq!(is_whole, !project.broken().contains(&table("a.b")));
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for error in &errors {
            let at = error.at.as_ref().unwrap();
            let line = text.split('\n').nth(at.line - 1).unwrap();
            proptest::prop_assert_eq!(line.strip_suffix('\r').unwrap_or(line), &at.text);
            proptest::prop_assert!(at.length > 0 && at.column > 0);
            proptest::prop_assert!(at.column + at.length <= at.text.chars().count().max(1) + 1, "{} in {:?}", error, at);
            proptest::prop_assert!(error.help.is_some(), "{}", error);
        }
    }
}

const WORDS: &[&str] = &[
    "SELECT ",
    "FROM ",
    "raw.o ",
    "a ",
    "a, ",
    "-- @write: ",
    "-- @sort: a,",
    "append",
    "\n",
    "\r\n",
    "\t",
    "ä🦀",
    "(",
    ")",
    "'x",
    "'",
    "\"",
    ";",
    "WITH t AS (",
    "t ",
    "UNION ",
    "JOIN ",
    "= ",
    "1 ",
    "/*",
    "*/",
    "@",
    ": ",
    "-- ",
    "--",
    "[",
    "]",
    "{",
    "NOT(",
    "CAST(",
    "AS ",
    "TABLE ",
    "VALUES ",
    "INSERT INTO ",
    "FOR UPDATE ",
    "ARRAY<",
    "max_partitions = ",
    "\u{feff}",
    "$1",
    "IN ",
    "UNNEST(",
    "INTERVAL ",
    "\\",
    "$$",
    "E'\\",
];
