//! The files of test folders as cases: which belong together, and what each is for.

use std::collections::BTreeMap;

use super::expect::{self, EXPECT};
use super::{Case, Content, Expectation};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::project::{BYTE_ORDER_MARK, Project, not_utf8};
use crate::table::TableName;
use crate::transform::{SourceFile, Transform};

/// Endings of files that hold rows.
const ROWS: [&str; 5] = ["csv", "tsv", "json", "jsonl", "ndjson"];

/// The files of one folder, by name.
type Files = BTreeMap<String, Vec<u8>>;

/// A folder `<table>.test`.
#[derive(Default)]
struct TestFolder {
    /// Files in it serve all of its cases.
    shared: Files,
    cases: BTreeMap<String, Files>,
}

/// The test cases in the files below `sql/`, paths as [`Project::parse`] has them, by transform and name; and what is wrong with
/// folders that are no test of any transform. What is wrong with a case itself is told when it is run.
///
/// Names that begin with `.` or `_`, and notes (`.md`), are passed over.
pub fn cases(project: &Project, files: Vec<(String, Vec<u8>)>) -> (Vec<Case>, Vec<Error>) {
    let mut folders: BTreeMap<String, TestFolder> = BTreeMap::new();
    let mut errors = Vec::new();
    for (path, bytes) in files {
        let parts: Vec<&str> = path.split('/').collect();
        let is_of_test = parts.iter().any(|part| part.ends_with(".test"));
        let is_note = parts.last().is_some_and(|name| name.to_ascii_lowercase().ends_with(".md"));
        if !is_of_test || is_note || parts.iter().any(|part| part.starts_with(['.', '_'])) {
            continue;
        }
        match parts.as_slice() {
            ["sql", database, test, file] if test.ends_with(".test") => {
                let folder = folders.entry(format!("sql/{database}/{test}")).or_default();
                folder.shared.insert((*file).to_owned(), bytes);
            }
            ["sql", database, test, case, file] if test.ends_with(".test") => {
                let folder = folders.entry(format!("sql/{database}/{test}")).or_default();
                folder.cases.entry((*case).to_owned()).or_default().insert((*file).to_owned(), bytes);
            }
            _ => errors.push(
                Error::new(Code::BadTest, "the file lies where no test case has files")
                    .help("move it to `sql/<database>/<table>.test/<case>/`")
                    .in_object(path, None),
            ),
        }
    }
    let mut cases = Vec::new();
    for (path, folder) in folders {
        match of_folder(project, &path, folder) {
            Ok(found) => cases.extend(found),
            Err(error) => errors.push(error),
        }
    }
    (cases, errors)
}

/// The cases of one test folder.
///
/// # Errors
/// [`Code::BadTest`] if it belongs to no transform, or holds no case.
fn of_folder(project: &Project, path: &str, folder: TestFolder) -> Result<Vec<Case>> {
    let table = path.trim_start_matches("sql/").trim_end_matches(".test").replacen('/', ".", 1);
    let name = TableName::try_from(table.clone()).ok();
    let is_broken = name.as_ref().is_some_and(|name| project.broken().contains(name));
    let transform = name.as_ref().and_then(|name| project.transform(name));
    let Some(name) = name.filter(|_| transform.is_some() || is_broken) else {
        let names: Vec<String> = project.transforms().iter().map(|transform| transform.target.to_string()).collect();
        let help = match nearest(&table, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{}.test`?", near.replacen('.', "/", 1)),
            None => "the tests of `sql/<database>/<table>.sql` lie in `sql/<database>/<table>.test/`".to_owned(),
        };
        let error = Error::new(Code::BadTest, format!("there is no transform `{table}` to be tested"));
        return Err(error.help(help).in_object(path, None));
    };
    if folder.cases.is_empty() {
        return Err(Error::new(Code::BadTest, "the folder holds no test case")
            .help("put the files of a case into a folder of its own, whose name is the case's")
            .in_object(path, None));
    }
    let TestFolder { shared, cases } = folder;
    let of_case = |(case, files): (String, Files)| {
        let folder = format!("{path}/{case}");
        let content = match transform {
            Some(transform) => content(transform, path, &shared, &folder, &files),
            None => Content::Untestable,
        };
        Case { transform: name.clone(), name: case, folder, content }
    };
    Ok(cases.into_iter().map(of_case).collect())
}

fn content(transform: &Transform, shared_in: &str, shared: &Files, folder: &str, own: &Files) -> Content {
    let mut errors = Vec::new();
    let mut rows = BTreeMap::new();
    let mut expectations = Vec::new();
    for (folder, files) in [(shared_in, shared), (folder, own)] {
        let mut here: BTreeMap<TableName, SourceFile> = BTreeMap::new();
        for (name, bytes) in files {
            let file = match source_file(format!("{folder}/{name}"), bytes) {
                Ok(file) => file,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            match role(name, transform) {
                Ok(Role::Expectation) if folder == shared_in => errors.push(
                    Error::new(Code::BadTest, "what is expected belongs to one case")
                        .help("move the file into the folder of a case")
                        .in_object(&file.path, None),
                ),
                Ok(Role::Expectation) => expectations.push(file),
                Ok(Role::Rows(table)) => {
                    if let Some(other) = here.get(&table) {
                        let error = Error::new(Code::BadTest, format!("`{}` holds rows of `{table}`, too", other.path));
                        errors.push(error.help("keep one of the files").in_object(&file.path, None));
                    }
                    here.insert(table, file);
                }
                Err(error) => errors.push(error.in_object(&file.path, None)),
            }
        }
        rows.extend(here);
    }
    let expectation = expectation(folder, expectations).map_err(|error| errors.push(error));
    match expectation {
        Ok(expectation) if errors.is_empty() => Content::Whole { rows, expectation },
        _ => Content::Wrong(errors),
    }
}

/// What a file of a case is for.
enum Role {
    Rows(TableName),
    Expectation,
}

fn role(name: &str, transform: &Transform) -> Result<Role> {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let ending = ending.to_ascii_lowercase();
    let holds_rows = ROWS.contains(&ending.as_str());
    if stem == EXPECT && (holds_rows || ending == "error") {
        return Ok(Role::Expectation);
    }
    if !holds_rows {
        return Err(Error::new(Code::BadTest, "the file's ending is none of a test case")
            .help("rows are written as `.csv`, `.tsv` or `.jsonl`, an expected error as `expect.error`"));
    }
    if let Some(input) = transform.inputs.iter().find(|input| input.name.to_string() == stem) {
        return Ok(Role::Rows(input.name.clone()));
    }
    let names: Vec<String> = transform.inputs.iter().map(|input| input.name.to_string()).collect();
    let help = match nearest(stem, names.iter().map(String::as_str).chain([EXPECT])) {
        Some(near) => format!("did you mean `{near}.{ending}`?"),
        None if names.is_empty() => "the query reads no table; remove the file".to_owned(),
        None => format!("the query reads `{}`", names.join("`, `")),
    };
    Err(Error::new(Code::BadTest, format!("`{}` does not read a table `{stem}`", transform.target)).help(help))
}

fn expectation(folder: &str, mut files: Vec<SourceFile>) -> Result<Expectation> {
    let Some(file) = files.pop() else {
        return Err(Error::new(Code::BadTest, "the case does not say what is expected")
            .help(format!(
                "write the rows that the query must give into `{folder}/expect.csv`, or an error's code into `expect.error`"
            ))
            .in_object(folder, None));
    };
    if let Some(other) = files.pop() {
        return Err(Error::new(Code::BadTest, format!("`{}` says what is expected, too", other.path))
            .help("keep one of the files")
            .in_object(&file.path, None));
    }
    if file.path.to_ascii_lowercase().ends_with(".error") {
        return expect::refusal(&file).map(Expectation::Refusal);
    }
    Ok(Expectation::Rows(file))
}

fn source_file(path: String, bytes: &[u8]) -> Result<SourceFile> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { path, text: text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).into() }),
        Err(error) => Err(not_utf8(path, bytes, error.valid_up_to())),
    }
}
