//! A project in a temporary folder, and the program on it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::rows::{Rows, local_rows};
use crate::s3::Remote;

/// Runs that are enough to bring any state to rest.
const UNTIL_QUIET: usize = 6;

/// The program under test. `UNGLUE_TEST_BINARY` names another build of it, for example the release build.
pub(crate) fn program() -> String {
    std::env::var("UNGLUE_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_unglue").to_owned())
}

/// A project with its data folder beside it, or in a bucket.
pub(crate) struct Project {
    folder: TempDir,
    remote: Option<Arc<Remote>>,
}

impl Project {
    /// A project with one SQL file for each name `database/table`, and an empty data folder.
    pub(crate) fn new<T: AsRef<[u8]>>(files: &[(&str, T)]) -> Self {
        Self::with_data(None, files)
    }

    /// A project whose data folder is a folder of a bucket.
    pub(crate) fn on<T: AsRef<[u8]>>(remote: &Arc<Remote>, files: &[(&str, T)]) -> Self {
        Self::with_data(Some(Arc::clone(remote)), files)
    }

    fn with_data<T: AsRef<[u8]>>(remote: Option<Arc<Remote>>, files: &[(&str, T)]) -> Self {
        let project = Self { folder: TempDir::with_prefix("unglue-data-").unwrap(), remote };
        if project.remote.is_none() {
            fs::create_dir(project.data()).unwrap();
        }
        for (name, text) in files {
            project.sql(name, text);
        }
        project
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    pub(crate) fn sql(&self, name: &str, text: impl AsRef<[u8]>) {
        write(&self.folder().join(format!("sql/{name}.sql")), text.as_ref());
    }

    /// Puts an object into the data folder, as a whole.
    pub(crate) fn put(&self, object: &str, content: impl AsRef<[u8]>) {
        match &self.remote {
            Some(remote) => remote.put(object, content.as_ref()),
            None => write(&self.data().join(object), content.as_ref()),
        }
    }

    pub(crate) fn remove(&self, object: &str) {
        match &self.remote {
            Some(remote) => remote.remove(object),
            None => fs::remove_file(self.data().join(object)).unwrap(),
        }
    }

    /// The program with this project as its working folder, and nothing of the tester's settings.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(program());
        self.settle(command.args(arguments));
        command
    }

    /// Gives a command this project's folder and a plain environment.
    pub(crate) fn settle(&self, command: &mut Command) {
        command.current_dir(self.folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("NO_COLOR", "1").env_remove("UNGLUE_DATA").env_remove("RUST_LOG");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        if let Some(remote) = &self.remote {
            command.envs(remote.environment());
        }
    }

    /// Runs the program to its end.
    pub(crate) fn unglue<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// `unglue run`
    pub(crate) fn run(&self) -> Ended {
        self.unglue(&["run", "--json"])
    }

    /// Runs until nothing is due; every run must be clean.
    #[track_caller]
    pub(crate) fn until_quiet(&self) {
        for _ in 0..UNTIL_QUIET {
            if self.run().clean().runs().is_empty() {
                return;
            }
        }
        panic!("something is still due after {UNTIL_QUIET} runs");
    }

    /// What the catalog knows.
    #[track_caller]
    pub(crate) fn catalog(&self) -> Value {
        self.unglue(&["catalog", "show", "--json"]).clean().json()
    }

    /// The rows of a table, `database.table`, as its readers see them.
    #[track_caller]
    pub(crate) fn rows(&self, table: &str) -> Vec<String> {
        self.table(table).sorted()
    }

    /// A table as its readers see it; no rows if the catalog does not have it.
    #[track_caller]
    pub(crate) fn table(&self, table: &str) -> Rows {
        match &self.remote {
            Some(remote) => remote.rows(&self.catalog(), table),
            None => local_rows(&self.catalog(), table),
        }
    }

    /// Every file below a folder of the data folder that a reader of `**/*` would take for data, with its size.
    pub(crate) fn visible(&self, folder: &str) -> BTreeSet<(String, u64)> {
        if let Some(remote) = &self.remote {
            return remote.visible(folder);
        }
        let mut found = BTreeSet::new();
        let folder = self.data().join(folder);
        if folder.is_dir() {
            walk(&folder, &mut |path| {
                let size = fs::metadata(path).unwrap().len();
                found.insert((path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned(), size));
            });
        }
        found
    }
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Through another name: a reader must never find half of it, and a replaced object is another file.
    let unfinished = path.with_file_name(".unfinished");
    fs::write(&unfinished, content).unwrap();
    fs::rename(&unfinished, path).unwrap();
}

/// Calls back for every file that is not hidden, and lies in no hidden folder.
pub(crate) fn walk(folder: &Path, found: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with(['_', '.']) {
            continue;
        }
        if path.is_dir() { walk(&path, found) } else { found(&path) }
    }
}

/// How the program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program printed something that is not UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The program must have had nothing to complain about.
    #[track_caller]
    pub(crate) fn clean(self) -> Self {
        assert!(self.code == Some(0) && !self.stderr.contains("error["), "not clean:\n{self}");
        self
    }

    /// The program must have failed with one error that has this code and all of these parts.
    #[track_caller]
    pub(crate) fn fails(self, code: &str, parts: &[&str]) -> Self {
        assert!(matches!(self.code, Some(1 | 2)), "it must fail with {code}:\n{self}");
        assert!(!self.stderr.contains("panicked"), "a panic reached the user:\n{self}");
        let marker = format!("error[{code}]");
        let wanted = |error: &&str| error.starts_with(&marker) && parts.iter().all(|part| error.contains(part));
        assert!(self.errors().iter().any(|error| wanted(&error.as_str())), "no {marker} with {parts:?}:\n{self}");
        self
    }

    /// The errors as they were printed.
    pub(crate) fn errors(&self) -> Vec<String> {
        let mut errors: Vec<String> = Vec::new();
        for line in self.stderr.lines() {
            match errors.last_mut() {
                _ if line.starts_with("error[") => errors.push(line.to_owned()),
                Some(error) => {
                    error.push('\n');
                    error.push_str(line);
                }
                None => {}
            }
        }
        errors
    }

    /// The result, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}):\n{self}"))
    }

    /// The receipts of `run --json`.
    #[track_caller]
    pub(crate) fn runs(&self) -> Vec<Value> {
        self.json()["runs"].as_array().expect("`run --json` prints runs").clone()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended with {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}
