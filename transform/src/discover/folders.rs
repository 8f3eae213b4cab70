//! The partitions of a table, from the folders that its objects lie in.

use std::collections::{BTreeMap, BTreeSet};

use super::survey::Object;
use crate::base::with_slash;
use crate::catalog::RegisteredPartition;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::hive::HiveType;
use crate::infer::{Shape, shape_of_text};
use crate::partition::{decode_folder, value_of};
use crate::table::{Column, Partition, Table};

/// Table parameter: the keys that folders without a key stand for, in order and with commas between: with `year,month,day` the folder
/// `2026/11/22/` is the partition of these values.
const NAMED: &str = "unglue.folders";

/// A folder of partition values, `key=value/…`, below a table's location.
#[derive(Debug)]
struct Folder<'a> {
    /// Without a `/` at either end; empty for objects that lie in no such folder.
    path: &'a str,
    keys: Vec<String>,
    values: Vec<Option<String>>,
    /// One of the objects in it.
    example: &'a Object,
}

/// The keys and partitions of a table that is not in the catalog yet. A key is a `bigint` or `date` if all its values are.
///
/// # Errors
/// [`Code::BadPartitionValue`] if the objects lie in folders of different keys.
pub(super) fn of_new_table(
    objects: &[Object],
    location: &str,
    findings: &mut Vec<Error>,
) -> Result<(Vec<Column>, Vec<Partition>)> {
    let folders = folders(objects, &[]);
    let Some(first) = folders.first() else { return Ok((Vec::new(), Vec::new())) };
    let mut shapes = vec![Shape::Undecided; first.keys.len()];
    for folder in &folders {
        if folder.keys != first.keys {
            return Err(Error::new(
                Code::BadPartitionValue,
                format!(
                    "the table's objects lie in folders of different keys: `{}` and `{}`",
                    first.example.below, folder.example.below
                ),
            )
            .help("move all objects into folders of the same keys, in the same order")
            .in_object(&folder.example.url, None));
        }
        for (shape, value) in shapes.iter_mut().zip(&folder.values) {
            *shape = std::mem::take(shape).join(shape_of_text(value.as_deref().unwrap_or_default()));
        }
    }
    if let Some(key) =
        first.keys.iter().enumerate().find_map(|(index, key)| first.keys[..index].contains(key).then_some(key))
    {
        return Err(Error::new(Code::BadPartitionValue, format!("the folders have the key `{key}` twice"))
            .help("rename one of them")
            .in_object(&first.example.url, None));
    }
    let keys = first.keys.iter().zip(shapes).map(|(name, shape)| Column {
        name: name.clone(),
        hive_type: match shape {
            Shape::BigInt => HiveType::BigInt,
            Shape::Date => HiveType::Date,
            _ => HiveType::String,
        },
        comment: None,
    });
    Ok((keys.collect(), partitions(&folders, location, findings)))
}

/// The partitions of a table in the catalog that are not registered yet. Folders of other keys, and values that are not of
/// their key's type, are findings.
pub(super) fn unregistered(
    objects: &[Object],
    table: &Table,
    registered: &[RegisteredPartition],
    findings: &mut Vec<Error>,
) -> Vec<Partition> {
    let mut folders = folders(objects, &named(table));
    let (mut others, mut last_other) = (0, None);
    folders.retain(|folder| {
        let fits = folder.keys.iter().eq(table.partition_keys.iter().map(|key| &key.name));
        if !fits {
            others += 1;
            last_other = Some(folder.example);
        }
        fits
    });
    if let Some(example) = last_other {
        let keys: Vec<_> = table.partition_keys.iter().map(|key| format!("{}=…", key.name)).collect();
        let expected =
            if keys.is_empty() { "no partition keys".to_owned() } else { format!("the keys `{}`", keys.join("/")) };
        findings.push(
            Error::new(
                Code::BadPartitionValue,
                format!(
                    "`{}` lies in a folder of other keys ({others} such folders); the table has {expected}",
                    example.below
                ),
            )
            .help("move the objects into folders of the table's keys")
            .in_object(&example.url, None),
        );
    }
    folders.retain(|folder| match check_types(folder, &table.partition_keys) {
        Ok(()) => true,
        Err(error) => {
            findings.push(error.in_object(&folder.example.url, None));
            false
        }
    });
    let registered: BTreeSet<_> = registered.iter().map(|registered| &registered.partition.values).collect();
    let mut partitions = partitions(&folders, &table.location, findings);
    partitions.retain(|partition| !registered.contains(&partition.values));
    partitions
}

/// Objects in folders of values that the catalog has elsewhere: nobody would ever read them.
pub(super) fn elsewhere(objects: &[Object], table: &Table, registered: &[RegisteredPartition]) -> Vec<Error> {
    let misplaced = |object: &Object| {
        let folders = folders(std::slice::from_ref(object), &named(table));
        let folder = folders.first().filter(|folder| !folder.keys.is_empty())?;
        let mut known = registered.iter().map(|registered| &registered.partition);
        let partition = known.find(|partition| partition.values == folder.values)?;
        let place = format!("{}{}/", table.location, folder.path);
        (with_slash(&partition.location) != place).then(|| {
            let message =
                format!("the partition of these values lies in `{}`, and the object does not", partition.location);
            Error::new(Code::MisplacedObject, message)
                .help("put it there, or change the location of the partition")
                .in_object(&object.url, None)
        })
    };
    objects.iter().filter_map(misplaced).collect()
}

fn check_types(folder: &Folder<'_>, keys: &[Column]) -> Result<()> {
    for (key, value) in keys.iter().zip(&folder.values) {
        if let Some(text) = value {
            value_of(text, &key.hive_type)
                .map_err(|error| Error { message: format!("`{}`: {}", key.name, error.message), ..error })?;
        }
    }
    Ok(())
}

/// The values of a table's partition keys in whose folders objects lie.
pub(super) fn values(objects: &[Object], table: &Table) -> BTreeSet<Vec<Option<String>>> {
    let is_partition = |folder: &Folder<'_>| folder.keys.iter().eq(table.partition_keys.iter().map(|key| &key.name));
    folders(objects, &named(table)).into_iter().filter(is_partition).map(|folder| folder.values).collect()
}

fn named(table: &Table) -> Vec<String> {
    let written = table.parameters.get(NAMED).map(String::as_str).unwrap_or_default();
    written.split(',').map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty()).collect()
}

/// The folders of the objects, each once, sorted by path; `named` are the keys of folders that name none.
fn folders<'a>(objects: &'a [Object], named: &[String]) -> Vec<Folder<'a>> {
    let mut folders = BTreeMap::new();
    for object in objects {
        let (mut keys, mut values, mut end) = (Vec::new(), Vec::new(), 0);
        let mut rest = object.below.as_str();
        while let Some((folder, below)) = rest.split_once('/') {
            // Partitions are what lies directly below the table; below another folder there are none.
            match (decode_folder(folder), named.get(keys.len())) {
                (Some((key, value)), _) => {
                    keys.push(key.to_lowercase());
                    values.push(value);
                }
                (None, Some(key)) => {
                    keys.push(key.clone());
                    values.push(Some(folder.to_owned()));
                }
                (None, None) => break,
            }
            rest = below;
            end = object.below.len() - rest.len() - 1;
        }
        let path = &object.below[..end];
        folders.entry(path).or_insert(Folder { path, keys, values, example: object });
    }
    folders.into_values().collect()
}

/// One partition for each combination of values, sorted by them; a second folder for the same values is a finding.
fn partitions(folders: &[Folder<'_>], location: &str, findings: &mut Vec<Error>) -> Vec<Partition> {
    let mut by_values: BTreeMap<&Vec<Option<String>>, &Folder<'_>> = BTreeMap::new();
    for folder in folders.iter().filter(|folder| !folder.keys.is_empty()) {
        match by_values.get(&folder.values) {
            Some(other) => findings.push(
                Error::new(
                    Code::BadPartitionValue,
                    format!(
                        "the folders `{}` and `{}` are the same partition; the first is used",
                        other.path, folder.path
                    ),
                )
                .help("move the objects of one into the other")
                .in_object(&folder.example.url, None),
            ),
            None => {
                by_values.insert(&folder.values, folder);
            }
        }
    }
    by_values
        .into_iter()
        .map(|(values, folder)| Partition {
            values: values.clone(),
            location: format!("{location}{}/", folder.path),
            parameters: BTreeMap::new(),
        })
        .collect()
}
