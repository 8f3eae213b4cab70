//! Files of test folders as cases.

use super::*;

const JOIN: &str = "SELECT t.id, u.name FROM raw.t AS t LEFT JOIN raw.u AS u ON u.id = t.id";

/// Project of `sales.t`, and of `sales.wrong` whose file has errors.
fn found(paths: &[&str]) -> (Vec<String>, Vec<String>) {
    let sql = [("sql/sales/t.sql", JOIN), ("sql/sales/wrong.sql", "SELEC 1")];
    let (project, _) = Project::parse(sql.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).into());
    let text = |path: &str| if path.ends_with(".error") { "check-failed" } else { "id,name\n" };
    let files = paths.iter().map(|path| ((*path).to_owned(), text(path).as_bytes().to_vec())).collect();
    let (cases, errors) = cases(&project, files);
    let case = |case: &Case| {
        let content = match &case.content {
            Content::Whole { rows, expectation } => {
                let files =
                    rows.iter().map(|(name, file)| format!("{name}={}", file.path.replace("sql/sales/t.test/", "")));
                let expectation = match expectation {
                    Expectation::Rows(_) => "rows",
                    Expectation::Refusal(_) => "error",
                };
                format!("{} {expectation}", files.collect::<Vec<_>>().join(" "))
            }
            Content::Wrong(errors) => errors.iter().map(place).collect::<Vec<_>>().join(", "),
            Content::Untestable => "untestable".to_owned(),
        };
        format!("{}/{}: {content}", case.transform, case.name)
    };
    (cases.iter().map(case).collect(), errors.iter().map(place).collect())
}

#[test]
fn a_folder_is_a_case() {
    let (cases, errors) = found(&[
        "sql/sales/t.test/raw.u.csv",
        "sql/sales/t.test/README.md",
        "sql/sales/t.test/b/raw.t.jsonl",
        "sql/sales/t.test/b/expect.csv",
        "sql/sales/t.test/b/notes.md",
        "sql/sales/t.test/b/.draft.csv",
        "sql/sales/t.test/a/raw.t.csv",
        "sql/sales/t.test/a/raw.u.tsv",
        "sql/sales/t.test/a/expect.error",
        "sql/sales/t.test/_old/expect.csv",
        "sql/sales/wrong.test/a/expect.csv",
        "sql/sales/notes.csv",
    ]);
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(
        cases,
        [
            "sales.t/a: raw.t=a/raw.t.csv raw.u=a/raw.u.tsv error",
            "sales.t/b: raw.t=b/raw.t.jsonl raw.u=raw.u.csv rows",
            "sales.wrong/a: untestable",
        ]
    );
}

#[test]
fn what_makes_no_case() {
    for (files, told) in [
        (&["raw.t.csv"][..], "bad-test c"),
        (&["expect.csv", "expect.error"], "bad-test expect.error"),
        (&["expect.csv", "expect.jsonl"], "bad-test expect.jsonl"),
        (&["expect.csv", "raw.t.csv", "raw.t.json"], "bad-test raw.t.json"),
        (&["expect.csv", "raw.x.csv"], "bad-test raw.x.csv"),
        (&["expect.csv", "t.csv"], "bad-test t.csv"),
        (&["expect.csv", "raw.t.parquet"], "bad-test raw.t.parquet"),
        (&["expect.csv", "raw.t"], "bad-test raw.t"),
        (&["expects.csv"], "bad-test expects.csv, bad-test c"),
    ] {
        let paths: Vec<String> = files.iter().map(|file| format!("sql/sales/t.test/c/{file}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(found(&paths).0, [format!("sales.t/c: {told}")]);
    }
    let shared = found(&["sql/sales/t.test/expect.csv", "sql/sales/t.test/c/expect.csv"]);
    assert_eq!(shared.0, ["sales.t/c: bad-test expect.csv"]);
}

#[test]
fn folders_that_test_nothing() {
    for (path, told) in [
        ("sql/sales/tt.test/c/expect.csv", "bad-test tt.test"),
        ("sql/sales/T.test/c/expect.csv", "bad-test T.test"),
        ("sql/t.test/expect.csv", "bad-test expect.csv"),
        ("sql/sales/t.test/c/d/expect.csv", "bad-test expect.csv"),
        ("sql/sales/t.test/raw.t.csv", "bad-test t.test"),
    ] {
        assert_eq!(found(&[path]), (Vec::new(), vec![told.to_owned()]), "{path}");
    }
}

/// A mistyped name is answered with the one that was meant.
#[tokio::test]
async fn the_nearest_name_is_told() {
    let (project, mut cases, _) = project("SELECT id FROM raw.t", &[("raw.tt.csv", ROWS), ("expect.csv", "id\n")]);
    let outcome = cases.remove(0).run(&project, &KnownColumns::new(), std::env::temp_dir()).await.outcome;
    let CaseOutcome::Failed { errors } = outcome else { panic!("it passed") };
    assert_eq!(errors[0].help.as_deref(), Some("did you mean `raw.t.csv`?"));
    assert_eq!(
        told(&tested("SELECT id FROM raw.t", &[("expect.csv", "id\n")], &KnownColumns::new()).await),
        ["bad-test t.sql:1:16"]
    );
    let text = b"id\ncaf\xe9\n".to_vec();
    let (cases, _) = super::cases(&project, vec![("sql/sales/t.test/c/expect.csv".to_owned(), text)]);
    assert!(matches!(&cases[0].content, Content::Wrong(errors) if place(&errors[0]) == "not-utf8 expect.csv:2:4"));
}
