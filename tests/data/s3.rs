//! The whole flow on a real S3 server, which the test starts on loopback.

mod errors;
mod flow;
mod server;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::rows::{Folder, Rows, folders};
use server::server;

/// A folder of the bucket that one test has for itself.
pub(crate) struct Remote {
    store: Arc<AmazonS3>,
    runtime: Runtime,
    environment: Vec<(&'static str, String)>,
    /// `s3://bucket/`
    base: String,
    prefix: String,
}

/// A folder of the bucket; `None`, with the reason printed, if there is no server.
pub(crate) fn remote(prefix: &str) -> Option<Arc<Remote>> {
    let server = server()?;
    let bucket = server.bucket.clone();
    let store = AmazonS3Builder::new()
        .with_endpoint(&server.endpoint)
        .with_region(&server.region)
        .with_bucket_name(&bucket)
        .with_access_key_id(&server.access_key_id)
        .with_secret_access_key(&server.secret_access_key)
        .with_allow_http(true)
        .build()
        .unwrap();
    let base = format!("s3://{bucket}/");
    let environment = vec![
        ("AWS_ENDPOINT_URL", server.endpoint.clone()),
        ("AWS_REGION", server.region.clone()),
        ("AWS_ACCESS_KEY_ID", server.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_access_key.clone()),
        ("UNGLUE_DATA", format!("{base}{prefix}")),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Some(Arc::new(Remote { store: Arc::new(store), runtime, environment, base, prefix: prefix.to_owned() }))
}

impl Remote {
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.environment.iter().cloned()
    }

    fn path(&self, below: &str) -> Path {
        Path::parse(format!("{}/{below}", self.prefix).trim_matches('/')).unwrap()
    }

    pub(crate) fn put(&self, object: &str, content: &[u8]) {
        self.runtime.block_on(self.store.put(&self.path(object), content.to_vec().into())).unwrap();
    }

    pub(crate) fn remove(&self, object: &str) {
        self.runtime.block_on(self.store.delete(&self.path(object))).unwrap();
    }

    fn list(&self, folder: &Path) -> Vec<ObjectMeta> {
        self.runtime.block_on(self.store.list(Some(folder)).try_collect()).unwrap()
    }

    /// The objects below a folder that readers would take for data, with their sizes.
    pub(crate) fn visible(&self, folder: &str) -> BTreeSet<(String, u64)> {
        let folder = self.path(folder);
        self.list(&folder)
            .into_iter()
            .filter_map(|meta| {
                let below = meta.location.as_ref().strip_prefix(folder.as_ref())?.trim_start_matches('/').to_owned();
                let hidden = below.split('/').any(|segment| segment.starts_with(['_', '.']));
                (!hidden).then_some((below, meta.size))
            })
            .collect()
    }

    /// The rows of a table, through the locations that the catalog names.
    pub(crate) fn rows(&self, catalog: &Value, table: &str) -> Rows {
        let mut rows = Rows::default();
        let Some((columns, folders)) = folders(catalog, table) else { return rows };
        for Folder { location, partition } in folders {
            let folder = Path::parse(location.strip_prefix(&self.base).expect("a location in the bucket")).unwrap();
            for meta in self.list(&folder) {
                let result = self.runtime.block_on(async { self.store.get(&meta.location).await?.bytes().await });
                rows.add(result.unwrap(), &columns, &partition);
            }
        }
        rows
    }
}
