//! Which transform reads which: circles, and an order in which every table is made before it is read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::code::Code;
use crate::error::Error;
use crate::table::TableName;
use crate::transform::{Input, Transform};

/// The targets that cannot be made because they read, directly or in a circle, themselves.
///
/// # Errors
/// One for each transform that reads its own table, and one for each circle of several, at its first by name.
pub(crate) fn circles(transforms: &[&Transform]) -> (BTreeSet<TableName>, Vec<Error>) {
    let by_name: BTreeMap<&TableName, &Transform> =
        transforms.iter().map(|&transform| (&transform.target, transform)).collect();
    let mut circular = BTreeSet::new();
    let mut told = BTreeSet::new();
    let mut errors = Vec::new();
    for (&target, &transform) in &by_name {
        if let Some(own) = transform.inputs.iter().find(|input| input.name == *target) {
            errors.push(reads_itself(transform, own));
            circular.insert(target.clone());
        }
        let Some(circle) = shortest_circle(&by_name, target) else { continue };
        circular.extend(circle.iter().map(|&member| member.clone()));
        let members: BTreeSet<&TableName> = circle.iter().copied().collect();
        if told.insert(members) {
            errors.extend(cycle(transform, &circle));
        }
    }
    (circular, errors)
}

fn reads_itself(transform: &Transform, input: &Input) -> Error {
    Error::new(Code::ReadsOwnTarget, format!("the query reads `{}`, the table that it produces", transform.target))
        .at(input.at.clone())
        .in_transform(&transform.target)
        .help("read its sources instead; the file's name is the table's name")
}

fn cycle(first: &Transform, circle: &[&TableName]) -> Option<Error> {
    let next = circle.get(1)?;
    let read = first.inputs.iter().find(|input| input.name == **next)?;
    let names: Vec<String> = circle.iter().chain(circle.first()).map(|name| format!("`{name}`")).collect();
    let error = Error::new(Code::DependencyCycle, format!("{} is a circle", names.join(" reads ")));
    Some(error.at(read.at.clone()).in_transform(&first.target).help("break it at one place"))
}

/// The shortest way from a transform back to itself through others, breadth first.
fn shortest_circle<'a>(
    by_name: &BTreeMap<&'a TableName, &'a Transform>,
    start: &'a TableName,
) -> Option<Vec<&'a TableName>> {
    let mut came_from: BTreeMap<&TableName, &TableName> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(name) = open.pop_front() {
        let Some(transform) = by_name.get(name) else { continue };
        for read in transform.inputs.iter().map(|input| &input.name) {
            if read == start && name != start {
                return Some(way(&came_from, start, name));
            }
            if read != start && !came_from.contains_key(read) {
                came_from.insert(read, name);
                open.push_back(read);
            }
        }
    }
    None
}

fn way<'a>(
    came_from: &BTreeMap<&'a TableName, &'a TableName>,
    start: &'a TableName,
    end: &'a TableName,
) -> Vec<&'a TableName> {
    let mut way = vec![end];
    let mut at = end;
    while let Some(&before) = came_from.get(at) {
        way.push(before);
        at = before;
    }
    debug_assert_eq!(at, start);
    way.reverse();
    way
}

/// The transforms with every one behind those whose tables it reads, otherwise by name. There are no circles.
pub(crate) fn upstream_first(transforms: Vec<Transform>) -> Vec<Transform> {
    let mut waiting: BTreeMap<TableName, Transform> =
        transforms.into_iter().map(|transform| (transform.target.clone(), transform)).collect();
    let mut readers: BTreeMap<TableName, Vec<TableName>> = BTreeMap::new();
    let mut missing: BTreeMap<TableName, usize> = BTreeMap::new();
    for (target, transform) in &waiting {
        let upstream: Vec<&Input> = transform.inputs.iter().filter(|input| waiting.contains_key(&input.name)).collect();
        missing.insert(target.clone(), upstream.len());
        for input in upstream {
            readers.entry(input.name.clone()).or_default().push(target.clone());
        }
    }
    let mut ready: BTreeSet<TableName> =
        missing.iter().filter(|(_, count)| **count == 0).map(|(target, _)| target.clone()).collect();
    let mut ordered = Vec::new();
    while let Some(next) = ready.pop_first() {
        for reader in readers.get(&next).into_iter().flatten() {
            if let Some(count) = missing.get_mut(reader) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(reader.clone());
                }
            }
        }
        ordered.extend(waiting.remove(&next));
    }
    ordered
}
