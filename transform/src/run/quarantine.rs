//! Keeps the records that a run leaves out because they cannot be read.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::code::Code;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::source::Rejected;
use crate::store::{DataRoot, storage};

/// Writes the records as JSON lines, one file a run; says where, if there are any.
///
/// # Errors
/// What the storage did not do.
pub(super) async fn keep(
    root: &DataRoot,
    ledger: &Ledger,
    run_id: &str,
    rejected: &[Rejected],
) -> Result<Option<String>> {
    if rejected.is_empty() {
        return Ok(None);
    }
    let mut lines = Vec::new();
    for record in rejected {
        let path = Path::parse(&record.object);
        let object = path.map_or_else(|_| record.object.clone(), |path| root.url(&path));
        serde_json::to_writer(&mut lines, &Rejected { object, ..record.clone() })
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        lines.push(b'\n');
    }
    let path = ledger.quarantine(run_id)?;
    let url = root.url(&path);
    root.store().put(&path, lines.into()).await.map_err(|error| storage(&url, error))?;
    Ok(Some(url))
}
