//! The table's definition in the catalog after a run.

use super::Publisher;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::record::Commit;
use crate::table::Table;

/// How often a change of the catalog is computed again because another process was faster.
const ATTEMPTS: usize = 10;

impl Publisher<'_> {
    /// Brings the table's definition up to what the commit says, on top of what others changed meanwhile. Returns the table; nothing
    /// where it was left to a newer version. `read` is the table as it was read just now, if it was.
    pub(super) async fn put_table(&self, commit: &Commit, read: Option<Option<Table>>) -> Result<Option<Table>> {
        self.put_table_while(commit, read, None).await
    }

    /// The same for a version, as long as there is no newer one.
    pub(super) async fn put_table_while(
        &self,
        commit: &Commit,
        mut read: Option<Option<Table>>,
        newest: Option<u64>,
    ) -> Result<Option<Table>> {
        for _ in 0..ATTEMPTS {
            let existing = match read.take() {
                Some(read) => read,
                None => self.catalog.table(self.target).await?,
            };
            let wanted = wanted(existing.as_ref(), commit);
            if existing.as_ref() == Some(&wanted) {
                return Ok(existing);
            }
            // Looked up between reading and replacing the definition, which fails if it was changed in between.
            if newest.is_some() && newest != Some(self.ledger.newest_version().await?) {
                return Ok(None);
            }
            match self.catalog.put_table(&wanted).await {
                Ok(table) => return Ok(Some(table)),
                Err(error) if error.code == Code::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(Code::Conflict, format!("the table `{}` is being changed by others all the time", self.target))
            .help("run again"))
    }
}

fn wanted(existing: Option<&Table>, commit: &Commit) -> Table {
    let Some(existing) = existing else {
        return Table { version: None, ..commit.table.clone() };
    };
    if commit.swap.as_ref().is_some_and(|swap| swap.whole) {
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
    if commit.swap.is_some() && table.partition_keys.is_empty() {
        table.location.clone_from(&commit.table.location);
    }
    table
}
