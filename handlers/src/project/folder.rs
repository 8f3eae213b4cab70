//! The project's folder: every file below `sql/`, as paths and bytes.

use std::fs;
use std::io;
use std::path::Path;

use transform::{Code, Error, Project, Result};

/// Reads and parses the project; its errors are all in the second part.
///
/// # Errors
/// [`Code::NotFound`] if there is no `sql/`; [`Code::PermissionDenied`] if something in it cannot be read.
pub fn read(project: &Path) -> Result<(Project, Vec<Error>)> {
    Ok(Project::parse(files(project)?))
}

/// Reads the files of the project, sorted: their paths below it, with `/`, and their bytes.
///
/// # Errors
/// As [`read`].
pub fn files(project: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let sql = project.join("sql");
    if !sql.is_dir() {
        return Err(Error::new(Code::NotFound, format!("the project `{}` has no folder `sql/`", project.display()))
            .help("name the project's folder with `--project`, or write one with `unglue init`"));
    }
    let mut files = Vec::new();
    collect(&sql, "sql", &is_of_project, &mut files)?;
    files.sort();
    Ok(files)
}

/// Reads the files of all test folders.
///
/// # Errors
/// [`Code::PermissionDenied`] if something cannot be read.
pub fn tests(project: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    collect(&project.join("sql"), "sql", &is_of_test, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(
    folder: &Path,
    shown: &str,
    is_wanted: &dyn Fn(&str) -> bool,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    let unreadable = |error: io::Error| {
        Error::new(Code::PermissionDenied, format!("`{shown}` cannot be read: {error}")).help("correct its permissions")
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let inside = format!("{shown}/{name}");
        if path.is_dir() {
            if !name.starts_with('.') {
                collect(&path, &inside, is_wanted, files)?;
            }
        } else if is_wanted(&inside) {
            let text = fs::read(&path).map_err(|error| {
                Error::new(Code::PermissionDenied, format!("`{inside}` cannot be read: {error}"))
                    .help("correct its permissions")
            })?;
            files.push((inside, text));
        }
    }
    Ok(())
}

/// Files in capital letters are read too, so that the engine can say what is wrong with their names.
fn is_of_project(path: &str) -> bool {
    let ending = Path::new(path).extension();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("sql") || ending.eq_ignore_ascii_case("toml"))
}

fn is_of_test(path: &str) -> bool {
    path.split('/').any(|part| part.ends_with(".test"))
}
