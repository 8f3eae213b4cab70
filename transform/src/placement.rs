//! Where tables lie: no table that is written lies in the folder of another, nor another in its folder.
//!
//! All objects in a table's folder are its rows. What a transform writes below a source would arrive as new objects, and what
//! two transforms write to one place would be rows of both.

use std::collections::BTreeMap;

use crate::base::{location, with_slash};
use crate::catalog::Catalog;
use crate::check::{Checked, Registered};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::plan::query_start;
use crate::project::Project;
use crate::store::DataRoot;
use crate::table::TableName;
use crate::transform::Transform;

/// Refuses the transforms of a checked project whose tables overlap with others: tables that the project reads, tables that it
/// writes, and unglue's own records.
///
/// What overlaps is put with the errors of the project.
///
/// # Errors
/// The catalog's.
pub(crate) async fn refuse_overlaps(
    root: &DataRoot,
    catalog: &dyn Catalog,
    registered: &Registered,
    project: &Project,
    checked: &mut Checked,
) -> Result<()> {
    let sources = sources(registered, project);
    let records = root.absolute("_unglue/");
    let mut written: Vec<(&Transform, String)> = Vec::new();
    let mut refused: Vec<(&Transform, Error)> = Vec::new();
    for transform in project.transforms() {
        let folder = match location(root, catalog, transform).await {
            Ok(folder) => folder,
            Err(error) if error.code == Code::BadValue => {
                refused.push((transform, error));
                continue;
            }
            Err(error) => return Err(error),
        };
        let existing = registered.get(&transform.target).map(|table| with_slash(&table.location));
        let own: Vec<&String> = std::iter::once(&folder).chain(&existing).collect();
        let source = sources.iter().find_map(|(name, theirs)| Some((name, relation_of(&own, theirs)?)));
        // The one of two that says where it lies is to be changed; of two that say so, the later.
        let other = written.iter().find_map(|(other, theirs)| Some((*other, theirs, relation_of(&own, theirs)?)));
        if let Some((name, relation)) = source {
            refused.push((transform, overlapping(transform, &folder, relation, &format!("`{name}`"), Some(name))));
        } else if let Some(relation) = relation_of(&own, &records) {
            refused.push((transform, overlapping(transform, &folder, relation, "unglue's own records", None)));
        } else if let Some((other, theirs, relation)) = other {
            let error = if transform.settings.location.is_none() && other.settings.location.is_some() {
                (other, overlapping(other, theirs, relation.reversed(), &format!("`{}`", transform.target), None))
            } else {
                let name = &other.target;
                (transform, overlapping(transform, &folder, relation, &format!("`{name}`"), Some(name)))
            };
            refused.push(error);
        }
        written.push((transform, folder));
    }
    for (transform, error) in refused {
        checked.planned.remove(&transform.target);
        checked.misfits.remove(&transform.target);
        checked.errors.push(error.in_transform(&transform.target));
    }
    checked.errors.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(())
}

/// The folders that a project's transforms write to.
///
/// # Errors
/// The catalog's.
pub(crate) async fn locations(root: &DataRoot, catalog: &dyn Catalog, project: &Project) -> Result<Vec<String>> {
    let mut locations = Vec::new();
    for transform in project.transforms() {
        match location(root, catalog, transform).await {
            Ok(folder) => locations.push(folder),
            // It has no folder that could hold anything.
            Err(error) if error.code == Code::BadValue => {}
            Err(error) => return Err(error),
        }
    }
    Ok(locations)
}

/// The folders of the tables that the project reads and does not write.
fn sources(registered: &Registered, project: &Project) -> BTreeMap<TableName, String> {
    let inputs = project.transforms().iter().flat_map(|transform| &transform.inputs);
    inputs
        .filter(|input| project.transform(&input.name).is_none())
        .filter_map(|input| Some((input.name.clone(), with_slash(&registered.get(&input.name)?.location))))
        .collect()
}

/// How a folder lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Same,
    Inside,
    Around,
}

impl Relation {
    fn of(folder: &str, other: &str) -> Option<Self> {
        match (folder.starts_with(other), other.starts_with(folder)) {
            (true, true) => Some(Self::Same),
            (true, false) => Some(Self::Inside),
            (false, true) => Some(Self::Around),
            (false, false) => None,
        }
    }

    fn reversed(self) -> Self {
        match self {
            Self::Same => Self::Same,
            Self::Inside => Self::Around,
            Self::Around => Self::Inside,
        }
    }
}

fn relation_of(folders: &[&String], other: &str) -> Option<Relation> {
    folders.iter().find_map(|folder| Relation::of(folder, other))
}

fn overlapping(
    transform: &Transform,
    folder: &str,
    relation: Relation,
    other: &str,
    other_table: Option<&TableName>,
) -> Error {
    let relation = match relation {
        Relation::Same => "which is the folder of",
        Relation::Inside => "which lies in the folder of",
        Relation::Around => "which holds the folder of",
    };
    let written = transform.settings.location.as_ref().and_then(|location| location.at.clone());
    let help = match (&written, other_table) {
        (None, Some(other)) => {
            format!("move `{other}` to a folder of its own, or name another one for this table in `@location`")
        }
        _ => "name a folder in `@location` that no other table has".to_owned(),
    };
    let in_from =
        || transform.inputs.iter().find(|input| Some(&input.name) == other_table).map(|input| input.at.clone());
    Error::new(
        Code::OverlappingLocations,
        format!("`{}` would be written to `{folder}`, {relation} {other}", transform.target),
    )
    .maybe_at(written.or_else(in_from).or_else(|| query_start(transform)))
    .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_overlap_by_whole_names() {
        let relation = |folder: &str, other: &str| Relation::of(folder, other);
        assert_eq!(relation("s3://b/raw/orders/", "s3://b/raw/orders/"), Some(Relation::Same));
        assert_eq!(relation("s3://b/raw/orders/out/", "s3://b/raw/orders/"), Some(Relation::Inside));
        assert_eq!(relation("s3://b/raw/", "s3://b/raw/orders/"), Some(Relation::Around));
        assert_eq!(relation("s3://b/raw/orders_2/", "s3://b/raw/orders/"), None);
        assert_eq!(relation("s3://c/raw/orders/", "s3://b/raw/orders/"), None);
    }
}
