//! Rolling a committed run forward: files become visible, the catalog learns of them, the run is done.
//!
//! Every step may be repeated by anyone who holds the commit record.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};

use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::ledger::{Commit, Done, Ledger, Version};
use crate::stage::Stage;
use crate::table::{Partition, Table};

/// How often a change of the catalog is computed again because another process was faster.
const ATTEMPTS: usize = 10;

/// Makes a committed run visible and ends it.
///
/// # Errors
/// Those of storage and catalog; the run stays open and is rolled forward again.
pub(crate) async fn roll_forward(
    catalog: &dyn Catalog,
    ledger: &Ledger,
    stage: &Stage,
    run_id: &str,
    commit: Commit,
) -> Result<Done> {
    if let Some(replaces) = &commit.replaces {
        let version = Version { run_id: run_id.to_owned(), fingerprint: replaces.fingerprint.clone() };
        if ledger.put_version(replaces.version + 1, &version).await? != run_id {
            return supersede(ledger, stage, run_id, &commit).await;
        }
    }
    stream::iter(commit.files.iter().map(|file| stage.publish(&file.staged)))
        .buffer_unordered(16)
        .try_collect::<Vec<()>>()
        .await?;
    if is_newest(ledger, &commit).await? {
        register(catalog, &commit).await?;
    }
    let done = Done::Succeeded { receipt: Box::new(commit.receipt) };
    ledger.put_done(run_id, &done).await?;
    Ok(done)
}

/// Another run has replaced the version that this one started from.
async fn supersede(ledger: &Ledger, stage: &Stage, run_id: &str, commit: &Commit) -> Result<Done> {
    for file in &commit.files {
        if let Err(error) = stage.discard(&file.staged).await {
            tracing::warn!(%error, "a staged file of a superseded run could not be removed");
        }
    }
    ledger.put_done(run_id, &Done::Superseded).await?;
    Ok(Done::Superseded)
}

/// Whether the catalog may still be moved to this commit: a worker that was paused must not move it back.
async fn is_newest(ledger: &Ledger, commit: &Commit) -> Result<bool> {
    match &commit.replaces {
        None => Ok(true),
        Some(replaces) => Ok(ledger.newest_version().await?.0 == replaces.version + 1),
    }
}

async fn register(catalog: &dyn Catalog, commit: &Commit) -> Result<()> {
    let name = &commit.table.name;
    put_table(catalog, commit).await?;
    if commit.table.partition_keys.is_empty() {
        return Ok(());
    }
    let known = catalog.partitions(name).await?;
    let replacing = commit.replaces.is_some();
    let is_known = |partition: &&Partition| known.iter().any(|other| other.values == partition.values);
    let put: Vec<Partition> =
        commit.partitions.iter().filter(|partition| replacing || !is_known(partition)).cloned().collect();
    if !put.is_empty() {
        catalog.put_partitions(name, &put).await?;
    }
    if replacing {
        let kept: BTreeSet<_> = commit.partitions.iter().map(|partition| &partition.values).collect();
        let vanished: Vec<_> =
            known.iter().map(|partition| partition.values.clone()).filter(|values| !kept.contains(values)).collect();
        if !vanished.is_empty() {
            catalog.drop_partitions(name, &vanished).await?;
        }
    }
    Ok(())
}

/// Brings the table's definition up to what the commit says, on top of what others changed meanwhile.
async fn put_table(catalog: &dyn Catalog, commit: &Commit) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let existing = catalog.table(&commit.table.name).await?;
        let wanted = wanted_table(existing.as_ref(), commit);
        if existing.as_ref() == Some(&wanted) {
            return Ok(());
        }
        match catalog.put_table(&wanted).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code == Code::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(
        Code::Conflict,
        format!("the table `{}` is being changed by others all the time", commit.table.name),
    )
    .help("run again"))
}

fn wanted_table(existing: Option<&Table>, commit: &Commit) -> Table {
    let Some(existing) = existing else {
        return Table { version: None, ..commit.table.clone() };
    };
    if commit.replaces.is_some() {
        return Table { version: existing.version.clone(), ..commit.table.clone() };
    }
    let mut table = existing.clone();
    for column in &commit.table.columns {
        match table.columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => known.comment = column.comment.clone().or(known.comment.take()),
            None => table.columns.push(column.clone()),
        }
    }
    table.description = commit.table.description.clone().or(table.description);
    table.parameters.extend(commit.table.parameters.clone());
    table
}
