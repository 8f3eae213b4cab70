//! A project in a temporary folder, and the program run in it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::output::Output;

/// Orders of the first day.
pub(crate) const ORDERS: &str = "order_id,customer_id,ordered_at,amount,status\n\
    1,7,2026-11-20 08:15:00,49.90,paid\n\
    2,8,2026-11-20 09:30:00,10.00,open\n\
    3,,2026-11-20 10:00:00,5.25,paid\n";

/// Orders of the second day.
pub(crate) const MORE_ORDERS: &str = "order_id,customer_id,ordered_at,amount,status\n\
    4,7,2026-11-21 11:00:00,20.00,paid\n";

const CUSTOMERS: &str = "customer_id,name,segment\n7,Ada,retail\n8,Emmy,wholesale\n";

/// A project's folder; it goes when this is dropped.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("unglue-").tempdir().expect("a temporary folder");
        Self { folder }
    }

    /// `raw.orders` and `raw.customers` as CSV, not yet in the catalog, and no SQL file.
    pub(crate) fn shop() -> Self {
        let project = Self::empty();
        project.write("data/raw/orders/orders-2026-11-20.csv", ORDERS);
        project.write("data/raw/customers/customers.csv", CUSTOMERS);
        fs::create_dir(project.path("sql")).expect("a new folder");
        project
    }

    /// [`Project::shop`] with its tables in the catalog.
    pub(crate) fn cataloged() -> Self {
        let project = Self::shop();
        let output = project.run(["catalog"]);
        assert_eq!(output.code, 0, "{output}");
        project
    }

    /// A path in the project.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders above the file");
        fs::write(path, content).expect("a written file");
    }

    /// Removes a file.
    pub(crate) fn remove(&self, below: &str) {
        fs::remove_file(self.path(below)).expect("a file to remove");
    }

    /// The files below a folder, sorted, as paths in the project.
    pub(crate) fn files(&self, below: &str) -> Vec<String> {
        let mut files = Vec::new();
        collect(&self.path(below), &mut files);
        let inside = |path: &PathBuf| path.strip_prefix(self.folder.path()).map(|path| path.display().to_string());
        let mut files: Vec<String> = files.iter().filter_map(|path| inside(path).ok()).collect();
        files.sort();
        files
    }

    /// The program, in the project's folder and without anything of the caller's environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unglue"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        command
    }

    /// Runs the program and waits for it.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.wait(self.command(arguments))
    }

    /// Waits for a command of [`Project::command`], or one made from it.
    pub(crate) fn wait(&self, mut command: Command) -> Output {
        let output = command.output().expect("the program starts");
        let folder = fs::canonicalize(self.folder.path()).expect("the project's folder");
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        // Behind a wrapper, the program stands among the arguments.
        let program = arguments.iter().position(|argument| argument == env!("CARGO_BIN_EXE_unglue"));
        let arguments = &arguments[program.map_or(0, |program| program + 1)..];
        Output::new(arguments, &output, &folder)
    }

    /// `unglue check`.
    pub(crate) fn check(&self) -> Output {
        self.run(["check"])
    }

    /// `unglue run`, which must end well.
    pub(crate) fn run_well(&self) -> Output {
        let output = self.run(["run"]);
        assert_eq!(output.code, 0, "{output}");
        output
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            collect(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
