//! The project: a folder of SQL files, as transforms in the order of their dependencies.

mod order;
mod paths;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::error::{Error, Location, Result};
use crate::folder;
use crate::header;
use crate::header::keys::{Entry, lay_over};
use crate::nearest::nearest;
use crate::project::paths::{ProjectFile, Role};
use crate::settings::{Settings, Spanned};
use crate::span::location;
use crate::sql;
use crate::table::TableName;
use crate::transform::{Input, SourceFile, Transform};

/// Every transform of a project that has no error of its own.
#[derive(Debug, Default)]
pub struct Project {
    transforms: Vec<Transform>,
    unsound: Vec<Transform>,
    broken: BTreeSet<TableName>,
}

impl Project {
    /// Parses the files of a project: paths relative to its root, such as `sql/sales/orders_daily.sql` and
    /// `sql/unglue.toml`, with their bytes. Other files, folders `….test` and names that begin with a dot are passed
    /// over.
    ///
    /// Returns what could be parsed together with all errors of all files, by file, line and column. A file with an
    /// error yields no transform, but its table stays known (see [`Project::broken`]).
    pub fn parse(files: Vec<(String, Vec<u8>)>) -> (Self, Vec<Error>) {
        let (files, path_errors) = paths::sort_out(files);
        let mut reading = Reading { errors: path_errors, ..Reading::default() };
        let (folders, sqls): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| matches!(file.role, Role::Folder(_)));
        if sqls.is_empty() {
            let error = Error::new(Code::EmptyProject, "the folder `sql/` holds no SQL file");
            reading.errors.push(error.help("write `sql/<database>/<table>.sql`, or start from `unglue init`"));
        }
        for file in folders.into_iter().chain(sqls) {
            reading.read(file);
        }
        reading.finish()
    }

    /// A project of one transform that is known to be sound.
    pub(crate) fn of(transform: Transform) -> Self {
        Self { transforms: vec![transform], ..Self::default() }
    }

    /// The transforms, each after those whose tables it reads, otherwise by name.
    pub fn transforms(&self) -> &[Transform] {
        &self.transforms
    }

    /// Transforms whose SQL could be parsed but whose settings have errors: they can be checked further, and must not run.
    pub(crate) fn unsound(&self) -> &[Transform] {
        &self.unsound
    }

    /// Tables of files that have errors: known to exist, with nothing known about them.
    pub fn broken(&self) -> &BTreeSet<TableName> {
        &self.broken
    }

    /// The transform that produces a table.
    pub fn transform(&self, target: &TableName) -> Option<&Transform> {
        self.transforms.iter().find(|transform| transform.target == *target)
    }

    /// The transform with a name as people write it: `database.table`, or the table alone where it is unique.
    ///
    /// # Errors
    /// [`Code::UnknownTransform`], with the nearest name where one is near.
    pub fn find(&self, name: &str) -> Result<&Transform> {
        let wanted = name.to_lowercase();
        let named: Vec<&Transform> = self
            .transforms
            .iter()
            .filter(|transform| transform.target.to_string() == wanted || transform.target.table == wanted)
            .collect();
        match named.as_slice() {
            [transform] => Ok(transform),
            [] => Err(self.unknown(name, &wanted)),
            [..] => {
                let names: Vec<String> = named.iter().map(|transform| transform.target.to_string()).collect();
                let error = Error::new(Code::UnknownTransform, format!("`{name}` is the name of several transforms"));
                Err(error.help(format!("write one of `{}`", names.join("`, `"))))
            }
        }
    }

    /// The project cut down to some transforms and to those whose tables they read, directly or through others.
    #[must_use]
    pub fn cut_down_to(&self, names: &BTreeSet<TableName>) -> Self {
        let mut wanted = names.clone();
        // Each comes after those that it reads.
        for transform in self.transforms.iter().rev() {
            if wanted.contains(&transform.target) {
                wanted.extend(transform.inputs.iter().map(|input| input.name.clone()));
            }
        }
        let is_wanted = |transform: &&Transform| wanted.contains(&transform.target);
        Self {
            transforms: self.transforms.iter().filter(is_wanted).cloned().collect(),
            unsound: self.unsound.iter().filter(is_wanted).cloned().collect(),
            broken: self.broken.intersection(&wanted).cloned().collect(),
        }
    }

    fn unknown(&self, name: &str, wanted: &str) -> Error {
        if self.broken.iter().any(|broken| broken.to_string() == wanted || broken.table == wanted) {
            return Error::new(Code::UnknownTransform, format!("the file of `{name}` has errors"))
                .help("correct them first; `unglue check` lists them");
        }
        let error = Error::new(Code::UnknownTransform, format!("`{name}` is not a transform of the project"));
        let names: Vec<String> = self.transforms.iter().map(|transform| transform.target.to_string()).collect();
        let tables = self.transforms.iter().map(|transform| transform.target.table.as_str());
        match nearest(wanted, names.iter().map(String::as_str).chain(tables)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("write `database.table`, as the file's path says"),
        }
    }

    /// The transforms that read a table themselves, in the order of [`Project::transforms`].
    pub fn downstream(&self, table: &TableName) -> Vec<&Transform> {
        let reads = |transform: &&Transform| transform.inputs.iter().any(|input| input.name == *table);
        self.transforms.iter().filter(reads).collect()
    }
}

pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Defaults of one `unglue.toml`.
struct Defaults {
    entries: Vec<Entry>,
    /// Whether the file has errors, so that what it leaves unsaid is unknown.
    is_broken: bool,
}

/// A project while it is read.
#[derive(Default)]
struct Reading {
    /// By database; `None` is the folder `sql/` itself.
    defaults: BTreeMap<Option<String>, Defaults>,
    /// Files whose SQL could be parsed, and whether they have other errors.
    transforms: Vec<(Transform, bool)>,
    broken: BTreeSet<TableName>,
    errors: Vec<Error>,
}

impl Reading {
    fn read(&mut self, file: ProjectFile) {
        let ProjectFile { path, bytes, role } = file;
        match role {
            Role::Folder(database) => {
                let defaults = match self.text(path, bytes, None) {
                    Some(file) => self.defaults(&file),
                    None => Defaults { entries: Vec::new(), is_broken: true },
                };
                self.defaults.insert(database, defaults);
            }
            Role::Sql(target) => match self.text(path, bytes, Some(&target)) {
                Some(file) => self.read_sql(file, Some(target)),
                None => drop(self.broken.insert(target)),
            },
            Role::Stray(meant) => {
                self.broken.extend(meant);
                if let Some(file) = self.text(path, bytes, None) {
                    self.read_sql(file, None);
                }
            }
        }
    }

    /// The file with its text, without byte order mark.
    fn text(&mut self, path: String, bytes: Vec<u8>, target: Option<&TableName>) -> Option<SourceFile> {
        match std::str::from_utf8(&bytes) {
            Ok(text) => Some(SourceFile { path, text: text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).into() }),
            Err(error) => {
                let error = not_utf8(path, &bytes, error.valid_up_to());
                self.errors.push(in_target(error, target));
                None
            }
        }
    }

    fn defaults(&mut self, file: &SourceFile) -> Defaults {
        let (entries, mut errors) = folder::scan(file);
        // The values are the same for every file below, so their errors are told once, here.
        errors.extend(lay_over(&mut Settings::default(), &entries));
        let is_broken = !errors.is_empty();
        self.errors.extend(errors);
        Defaults { entries, is_broken }
    }

    fn read_sql(&mut self, file: SourceFile, target: Option<TableName>) {
        let (header, mut errors) = header::scan(&file);
        let mut settings = Settings::default();
        let mut is_broken = false;
        let database = target.as_ref().map(|target| target.database.clone());
        for folder in [None, database] {
            if let Some(defaults) = self.defaults.get(&folder) {
                is_broken |= defaults.is_broken;
                lay_over(&mut settings, &defaults.entries);
            }
        }
        errors.extend(lay_over(&mut settings, &header.entries));
        let (parsed, sql_errors) = sql::parse(&file, header.last_line);
        errors.extend(sql_errors);
        if let Some(parsed) = &parsed {
            errors.extend(bad_driving(&settings, &parsed.inputs));
        }
        is_broken |= !errors.is_empty();
        self.errors.extend(errors.into_iter().map(|error| in_target(error, target.as_ref())));
        match (target, parsed) {
            (Some(target), Some(parsed)) => {
                let is_read = |name: &TableName| parsed.inputs.iter().any(|input| input.name == *name);
                let chosen = settings.driving.as_ref().map(|driving| driving.value.clone()).filter(is_read);
                let driving = chosen.or(parsed.leftmost);
                let sql::Parsed { query, inputs, comments, .. } = parsed;
                self.transforms
                    .push((Transform { target, file, settings, query, inputs, driving, comments }, is_broken));
            }
            (Some(target), None) => drop(self.broken.insert(target)),
            (None, _) => {}
        }
    }

    fn finish(mut self) -> (Project, Vec<Error>) {
        let nodes: Vec<&Transform> = self.transforms.iter().map(|(transform, _)| transform).collect();
        let (circular, errors) = order::circles(&nodes);
        self.errors.extend(errors);
        self.broken.extend(circular);
        let (mut whole, mut unsound) = (Vec::new(), Vec::new());
        for (transform, is_broken) in self.transforms {
            let is_known_broken = self.broken.contains(&transform.target);
            if is_broken {
                self.broken.insert(transform.target.clone());
            }
            match (is_known_broken, is_broken) {
                (true, _) => {}
                (false, true) => unsound.push(transform),
                (false, false) => whole.push(transform),
            }
        }
        self.errors.sort_by(|one, other| one.at.cmp(&other.at));
        (Project { transforms: order::upstream_first(whole), unsound, broken: self.broken }, self.errors)
    }
}

fn in_target(error: Error, target: Option<&TableName>) -> Error {
    match target {
        Some(target) => error.in_transform(target),
        None => error,
    }
}

pub(crate) fn not_utf8(path: String, bytes: &[u8], valid: usize) -> Error {
    let mark = if bytes.starts_with(BYTE_ORDER_MARK.as_bytes()) { BYTE_ORDER_MARK.len() } else { 0 };
    let before = String::from_utf8_lossy(&bytes[mark..valid]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let file = SourceFile { path, text: String::from_utf8_lossy(&bytes[mark..]).into() };
    Error::new(Code::NotUtf8, format!("byte {:#04x} is not UTF-8", bytes.get(valid).copied().unwrap_or_default()))
        .at(location(&file, line, column, 1))
        .help("save the file as UTF-8")
}

/// One error for each table of `@driving` and `@trigger` that the query does not read.
fn bad_driving(settings: &Settings, inputs: &[Input]) -> Vec<Error> {
    let unread = |table: &&Spanned<TableName>| inputs.iter().all(|input| input.name != table.value);
    let driving = settings.driving.iter().filter(unread).map(|table| ("driving", table));
    let triggers = settings.trigger.iter().flatten().filter(unread).map(|table| ("trigger", table));
    driving.chain(triggers).map(|(key, table)| not_read(key, table.at.clone(), &table.value, inputs)).collect()
}

fn not_read(key: &str, at: Option<Location>, table: &TableName, inputs: &[Input]) -> Error {
    let error = Error::new(Code::BadDriving, format!("`@{key}` names `{table}`, which the query does not read"));
    let names: Vec<String> = inputs.iter().map(|input| input.name.to_string()).collect();
    let help = match nearest(&table.to_string(), names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "the query reads no table; remove the setting".to_owned(),
        None => format!("the query reads `{}`", names.join("`, `")),
    };
    error.maybe_at(at).help(help)
}
