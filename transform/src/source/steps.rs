//! The reader of text, for the benches.

use std::sync::Arc;

use arrow::datatypes::Schema;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::keys::Keys;
use super::reader::ObjectReader;
use crate::error::Result;
use crate::store::storage;
use crate::table::Table;

/// Reads an object into batches of all columns of a table. Returns the number of rows.
///
/// # Errors
/// As in a run: what the storage says, or the record that does not fit.
pub async fn read_text(store: Arc<dyn ObjectStore>, object: &Path, table: Arc<Table>) -> Result<usize> {
    let meta = store.head(object).await.map_err(|error| storage(object.as_ref(), error))?;
    let wanted = Arc::new(Schema::new(super::fields(&table.columns)));
    let keys = Arc::new(Keys::of(&table));
    let reader = Arc::new(ObjectReader { table, keys, wanted, batch_size: 8192, rejects: None });
    let batches = reader.read_text(store, meta).await?;
    batches.try_fold(0, |rows, batch| async move { Ok(rows + batch.num_rows()) }).await
}
