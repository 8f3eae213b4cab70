//! What lies in the data folder: the tables, and the objects of one table.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;

use super::NewObject;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::inputs::is_hidden;
use crate::store::{DataRoot, storage};
use crate::table::TableName;

/// The tables of a data folder.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Sorted.
    pub tables: Vec<TableName>,
    /// Objects and folders that belong to no table.
    pub findings: Vec<Error>,
}

/// The objects of a table.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Those with data, sorted by path.
    pub objects: Vec<Object>,
    /// Number of those passed over.
    pub skipped: usize,
}

/// An object of a table.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// Where it lies.
    pub path: Path,
    /// Its URL.
    pub url: String,
    /// Its path below the table's location.
    pub below: String,
    /// When it was last written.
    pub modified: DateTime<Utc>,
}

impl Object {
    /// The name without folders.
    pub(super) fn file_name(&self) -> &str {
        self.below.rsplit('/').next().unwrap_or_default()
    }
}

/// Finds the tables by their folders; the objects in them are not listed.
pub(super) async fn tables(root: &DataRoot, skip: &BTreeSet<TableName>) -> Result<Survey> {
    let mut survey = Survey::default();
    let (databases, misplaced) = folder(root, root.prefix()).await?;
    survey.findings.extend(misplaced);
    for database in databases {
        // A name that no table can have spoils every table below it, so one finding is enough.
        if let Err(error) = TableName::new(name_of(&database), "t") {
            survey.findings.push(unusable_folder(root, &database, &error));
            continue;
        }
        let (tables, misplaced) = folder(root, &database).await?;
        survey.findings.extend(misplaced);
        for table in tables {
            match TableName::new(name_of(&database), name_of(&table)) {
                Ok(name) if skip.contains(&name) => {}
                Ok(name) => survey.tables.push(name),
                Err(error) => survey.findings.push(unusable_folder(root, &table, &error)),
            }
        }
    }
    survey.tables.sort();
    Ok(survey)
}

/// The folders in a folder that are not hidden, and a finding if there are objects beside them.
async fn folder(root: &DataRoot, path: &Path) -> Result<(Vec<Path>, Option<Error>)> {
    let url = format!("{}/", root.url(path).trim_end_matches('/'));
    let listed = root.store().list_with_delimiter(Some(path)).await.map_err(|error| storage(&url, error))?;
    let misplaced: Vec<&str> = listed
        .objects
        .iter()
        .filter(|object| object.size > 0)
        .map(|object| name_of(&object.location))
        .filter(|name| !is_hidden(name))
        .collect();
    let finding = misplaced.first().map(|example| {
        let others = match misplaced.len() {
            1 => String::new(),
            number => format!(" and {} more", number - 1),
        };
        Error::new(Code::MisplacedObject, format!("`{example}`{others} belongs to no table"))
            .help("move it into a folder `<database>/<table>/`")
            .in_object(&url, None)
    });
    let folders = listed.common_prefixes.into_iter().filter(|folder| !is_hidden(name_of(folder))).collect();
    Ok((folders, finding))
}

fn unusable_folder(root: &DataRoot, path: &Path, error: &Error) -> Error {
    Error::new(Code::MisplacedObject, format!("the folder can be no table: {}", error.message))
        .help("rename it with lower-case letters, digits and `_`")
        .in_object(format!("{}/", root.url(path)), None)
}

fn name_of(path: &Path) -> &str {
    path.filename().unwrap_or_default()
}

/// Lists the objects of a table.
///
/// # Errors
/// [`Code::BadObject`] for a name that no object store path can hold.
pub(super) async fn objects(root: &DataRoot, location: &str) -> Result<Listing> {
    let folder = root.path_of(location)?;
    let mut listed = root.store().list(Some(&folder));
    let mut listing = Listing::default();
    while let Some(meta) = listed.try_next().await.map_err(|error| cannot_list(location, error))? {
        listing.add(location, root.url(&meta.location), meta.location, meta.size, meta.last_modified);
    }
    Ok(listing.sorted())
}

/// The same of objects that are known to have arrived, without a request.
///
/// # Errors
/// [`Code::Storage`] for a URL that no path can name.
pub(super) fn arrived(root: &DataRoot, location: &str, objects: &[NewObject]) -> Result<Listing> {
    let mut listing = Listing::default();
    for NewObject { url, bytes } in objects {
        listing.add(location, url.clone(), root.path_of(url)?, *bytes, DateTime::UNIX_EPOCH);
    }
    Ok(listing.sorted())
}

impl Listing {
    fn add(&mut self, location: &str, url: String, path: Path, size: u64, modified: DateTime<Utc>) {
        let below = url.strip_prefix(location).unwrap_or_default().to_owned();
        if size == 0 || below.is_empty() || is_passed_over(&below) {
            self.skipped += 1;
        } else {
            self.objects.push(Object { path, url, below, modified });
        }
    }

    fn sorted(mut self) -> Self {
        self.objects.sort_by(|a, b| a.below.cmp(&b.below));
        self
    }
}

/// Whether a file is hidden, or lies in a hidden folder. As for Hive and Spark, `_year=2026` is a partition.
fn is_passed_over(below: &str) -> bool {
    let (folders, file) = below.rsplit_once('/').unwrap_or(("", below));
    is_hidden(file)
        || folders.split('/').any(|folder| is_hidden(folder) && (folder.starts_with('.') || !folder.contains('=')))
}

fn cannot_list(location: &str, error: object_store::Error) -> Error {
    match error {
        object_store::Error::InvalidPath { source } => {
            Error::new(Code::BadObject, format!("a file or folder has a name that cannot be used: {source}"))
                .help("rename it")
                .in_object(location, None)
        }
        other => storage(location, other),
    }
}
