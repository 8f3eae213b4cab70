//! Paths of a project's files, and the tables that they name.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::error::Error;
use crate::span::location;
use crate::table::TableName;
use crate::transform::SourceFile;

/// A file of the project that is read.
pub(crate) struct ProjectFile {
    /// Path, from the project's root.
    pub(crate) path: String,
    /// Content.
    pub(crate) bytes: Vec<u8>,
    /// What its path makes of it.
    pub(crate) role: Role,
}

/// What a path makes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Defaults of a database, or of all of them.
    Folder(Option<String>),
    /// The query of a table.
    Sql(TableName),
    /// A query at a wrong path, and the table it seems meant for: its other errors are reported all the same.
    Stray(Option<TableName>),
}

/// The files that belong to the project, by path.
///
/// # Errors
/// One for each path that is none of a project, and for each file whose table another file produces too.
pub(crate) fn sort_out(mut files: Vec<(String, Vec<u8>)>) -> (Vec<ProjectFile>, Vec<Error>) {
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut sorted = Vec::new();
    let mut errors = Vec::new();
    for (path, bytes) in files {
        match role(&path) {
            None => {}
            Some(Ok(role)) => sorted.push(ProjectFile { path, bytes, role }),
            Some(Err((role, error))) => {
                errors.push(error.at(location(&as_text(&path, &bytes), 1, 1, 1)));
                sorted.extend(role.map(|role| ProjectFile { path, bytes, role }));
            }
        }
    }
    errors.extend(duplicates(&mut sorted));
    (sorted, errors)
}

type Misplaced = (Option<Role>, Error);

fn role(path: &str) -> Option<Result<Role, Misplaced>> {
    let parts: Vec<&str> = path.split('/').collect();
    let is_passed_over = parts.iter().any(|part| part.starts_with('.') || part.ends_with(".test"));
    let (&"sql", [_, .., name]) = (parts.first()?, parts.as_slice()) else { return None };
    if is_passed_over {
        return None;
    }
    if *name == "unglue.toml" {
        return Some(match parts.as_slice() {
            [_, _] => Ok(Role::Folder(None)),
            [_, database, _] => Ok(Role::Folder(Some((*database).to_owned()))),
            _ => Err((
                None,
                Error::new(Code::BadPath, format!("`{path}` has no effect here"))
                    .help("put it at `sql/unglue.toml` or `sql/<database>/unglue.toml`"),
            )),
        });
    }
    let (stem, extension) = name.rsplit_once('.')?;
    extension.eq_ignore_ascii_case("sql").then(|| sql_role(path, &parts, stem, extension))
}

fn sql_role(path: &str, parts: &[&str], stem: &str, extension: &str) -> Result<Role, Misplaced> {
    let [_, database, _] = parts else {
        let error = Error::new(Code::BadPath, format!("`{path}` does not name a database and a table"));
        return Err((Some(Role::Stray(None)), error.help("move it to `sql/<database>/<table>.sql`")));
    };
    let meant = TableName::new(&database.to_lowercase(), &stem.to_lowercase()).ok();
    match TableName::new(database, stem) {
        Err(error) => Err((Some(Role::Stray(meant)), error)),
        Ok(_) if extension != "sql" => {
            let error = Error::new(Code::BadPath, format!("`.{extension}` is not in lower case"));
            Err((Some(Role::Stray(meant)), error.help(format!("rename the file to `{stem}.sql`"))))
        }
        Ok(target) => Ok(Role::Sql(target)),
    }
}

/// Of the files of one table, the first with a good path is taken for the right one.
fn duplicates(files: &mut [ProjectFile]) -> Vec<Error> {
    let mut right: BTreeMap<TableName, String> = BTreeMap::new();
    for is_good in [true, false] {
        for file in files.iter() {
            if let Some(table) = file.table().filter(|_| matches!(file.role, Role::Sql(_)) == is_good) {
                right.entry(table.clone()).or_insert_with(|| file.path.clone());
            }
        }
    }
    let mut errors = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for file in files {
        let Some(table) = file.table().cloned() else { continue };
        let first = seen.insert(file.path.clone());
        let Some(other) = right.get(&table).filter(|right| **right != file.path || !first) else { continue };
        let error = Error::new(Code::DuplicateTarget, format!("`{}` produces `{table}`, as `{other}` does", file.path))
            .at(location(&as_text(&file.path, &file.bytes), 1, 1, 1))
            .help("rename or remove one of them");
        errors.push(error.in_transform(&table));
        file.role = Role::Stray(Some(table));
    }
    errors
}

impl ProjectFile {
    fn table(&self) -> Option<&TableName> {
        match &self.role {
            Role::Sql(table) | Role::Stray(Some(table)) => Some(table),
            Role::Folder(_) | Role::Stray(None) => None,
        }
    }
}

fn as_text(path: &str, bytes: &[u8]) -> SourceFile {
    let text = String::from_utf8_lossy(bytes);
    SourceFile { path: path.to_owned(), text: text.strip_prefix('\u{feff}').unwrap_or(&text).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(paths: &[&str]) -> (Vec<Role>, Vec<String>) {
        let files = paths.iter().map(|path| ((*path).to_owned(), Vec::new())).collect();
        let (files, errors) = sort_out(files);
        let place = |error: &Error| format!("{} {}", error.at.as_ref().unwrap().file, error.code);
        (files.into_iter().map(|file| file.role).collect(), errors.iter().map(place).collect())
    }

    fn table(database: &str, table: &str) -> TableName {
        TableName::new(database, table).unwrap()
    }

    #[test]
    fn a_path_names_a_table_or_a_folder() {
        let (roles, errors) = roles(&["sql/sales/orders_daily.sql", "sql/unglue.toml", "sql/sales/unglue.toml"]);
        let orders = Role::Sql(table("sales", "orders_daily"));
        assert_eq!(roles, [orders, Role::Folder(Some("sales".to_owned())), Role::Folder(None)]);
        assert!(errors.is_empty());
    }

    #[test]
    fn other_files_are_passed_over() {
        let paths = [
            "README.md",
            "queries/a/b.sql",
            "sql/sales/notes.txt",
            "sql/sales/orders.test/expect.sql",
            "sql/sales/.draft.sql",
            "sql/.git/a.sql",
            "unglue.toml",
            "sql",
        ];
        assert_eq!(roles(&paths), (vec![], vec![]));
    }

    #[test]
    fn bad_paths() {
        let paths = [
            "sql/a.sql",
            "sql/a/b/c.sql",
            "sql/sales/or-ders.sql",
            "sql/sales/1st.sql",
            "sql/sales/Orders.sql",
            "sql/sales/a.SQL",
            "sql/sales/.sql",
            "sql/sales/x/unglue.toml",
        ];
        for path in paths.iter().filter(|path| !path.ends_with("/.sql")) {
            assert_eq!(roles(&[path]).1, [format!("{path} bad-path")]);
        }
    }

    #[test]
    fn names_that_differ_by_case_are_one_table() {
        let (found, errors) = roles(&["sql/sales/x.sql", "sql/Sales/x.sql"]);
        assert_eq!(errors, ["sql/Sales/x.sql bad-path", "sql/Sales/x.sql duplicate-target"]);
        assert_eq!(found, [Role::Stray(Some(table("sales", "x"))), Role::Sql(table("sales", "x"))]);
        let (_, errors) = roles(&["sql/Sales/x.sql", "sql/sales/X.sql"]);
        assert_eq!(errors.iter().filter(|error| error.ends_with("duplicate-target")).count(), 1);
    }
}
