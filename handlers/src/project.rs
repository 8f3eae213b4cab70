//! The project: from a folder, or from where `unglue deploy-sql` has put it on S3.
//!
//! ```text
//! <place>/current.json               {"version": 1, "project": "<digest>.json", "deployed_at": …}
//! <place>/<digest>.json              {"version": 1, "files": {"sql/sales/orders_daily.sql": "…"}}
//! ```
//!
//! A project is one object, named by its content, so that who reads it has all files of one deployment; `current.json` names it, and
//! is the only object that ever changes.

pub mod folder;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use transform::{Code, Error, Project, Result};

/// `version` of both objects.
const VERSION: u64 = 1;
const CURRENT: &str = "current.json";

/// What `current.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    version: u64,
    /// Name of the object with the files, next to `current.json`.
    pub project: String,
    /// When it was switched to.
    pub deployed_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Files {
    version: u64,
    files: BTreeMap<String, String>,
}

/// A project on S3, read again only when another one is deployed.
#[derive(Debug)]
pub struct DeployedProject {
    store: Arc<dyn ObjectStore>,
    place: Path,
    /// Etag of `current.json`, and what it led to.
    last: Option<(Option<String>, Arc<Project>)>,
}

impl DeployedProject {
    /// Of a folder of a store.
    pub fn new(store: Arc<dyn ObjectStore>, place: Path) -> Self {
        Self { store, place, last: None }
    }

    /// The project as it is now. One request where nothing was deployed since.
    ///
    /// # Errors
    /// [`Code::NotFound`] where none was deployed, [`Code::CatalogDamaged`] where something else lies there; the first error of the
    /// project itself, which `unglue deploy-sql` would not have let through; the storage's.
    pub async fn current(&mut self) -> Result<Arc<Project>> {
        let path = self.place.clone().join(CURRENT);
        let known = self.last.as_ref().and_then(|(etag, _)| etag.clone());
        let options = GetOptions { if_none_match: known, ..GetOptions::default() };
        let found = match (self.store.get_opts(&path, options).await, &self.last) {
            (Err(object_store::Error::NotModified { .. }), Some((_, project))) => return Ok(Arc::clone(project)),
            (Err(object_store::Error::NotFound { .. }), _) => {
                return Err(Error::new(Code::NotFound, format!("no project is deployed at `s3://{}`", self.place))
                    .help("deploy one with `unglue deploy-sql --to URL`"));
            }
            (found, _) => found.map_err(|error| transform::storage(path.as_ref(), error))?,
        };
        let etag = found.meta.e_tag.clone();
        let current = found.bytes().await.map_err(|error| transform::storage(path.as_ref(), error))?;
        let deployment: Deployment = understood(&path, &current)?;
        let path = self.place.clone().join(deployment.project.as_str());
        let content = self.store.get(&path).await.map_err(|error| transform::storage(path.as_ref(), error))?;
        let content = content.bytes().await.map_err(|error| transform::storage(path.as_ref(), error))?;
        let files: Files = understood(&path, &content)?;
        let files = files.files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
        let project = Arc::new(sound(Project::parse(files))?);
        self.last = Some((etag, Arc::clone(&project)));
        Ok(project)
    }
}

/// The project without the files that have errors, or the first error where none is without.
///
/// # Errors
/// The first error.
pub fn sound((project, errors): (Project, Vec<Error>)) -> Result<Project> {
    for error in &errors {
        tracing::error!(code = %error.code, "{error}");
    }
    match errors.into_iter().next() {
        Some(error) if project.transforms().is_empty() => Err(error),
        _ => Ok(project),
    }
}

fn understood<T: for<'de> Deserialize<'de>>(path: &Path, content: &[u8]) -> Result<T> {
    let damaged = |message: String| {
        Error::new(Code::CatalogDamaged, message)
            .help(
                "deploy the project again with `unglue deploy-sql`, with the version of unglue that the functions have",
            )
            .in_object(path, None)
    };
    let value: serde_json::Value =
        serde_json::from_slice(content).map_err(|error| damaged(format!("it is not JSON: {error}")))?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(VERSION) => serde_json::from_value(value).map_err(|error| damaged(format!("it is no project: {error}"))),
        Some(other) => Err(damaged(format!("it has the version {other}, which this version of unglue does not know"))),
        None => Err(damaged("it is no project: the field `version` is missing".to_owned())),
    }
}

/// Puts a project on S3, and switches to it. Returns what is current now.
///
/// # Errors
/// The storage's; [`Code::NotUtf8`] for a file that is not text.
pub async fn deploy(
    store: &dyn ObjectStore,
    place: &Path,
    files: Vec<(String, Vec<u8>)>,
    now: DateTime<Utc>,
) -> Result<Deployment> {
    let mut texts = BTreeMap::new();
    for (path, bytes) in files {
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::new(Code::NotUtf8, format!("`{path}` is not UTF-8 text")).help("save it as UTF-8"))?;
        texts.insert(path, text);
    }
    let content = json!(Files { version: VERSION, files: texts }).to_string();
    let deployment =
        Deployment { version: VERSION, project: format!("{}.json", transform::digest(&[&content])), deployed_at: now };
    let path = place.clone().join(deployment.project.as_str());
    match store.put_opts(&path, content.into(), PutMode::Create.into()).await {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
        Err(error) => return Err(transform::storage(path.as_ref(), error)),
    }
    let path = place.clone().join(CURRENT);
    let current = json!(deployment).to_string();
    store.put(&path, current.into()).await.map_err(|error| transform::storage(path.as_ref(), error))?;
    Ok(deployment)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn file(text: &str) -> Vec<(String, Vec<u8>)> {
        vec![("sql/a/b.sql".to_owned(), text.as_bytes().to_vec())]
    }

    #[tokio::test]
    async fn what_was_deployed_last_is_read() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let place = Path::from("lake/_unglue/_project");
        let mut deployed = DeployedProject::new(Arc::clone(&store), place.clone());
        assert_eq!(deployed.current().await.unwrap_err().code, Code::NotFound);

        let first = deploy(store.as_ref(), &place, file("SELECT 1 AS one"), DateTime::UNIX_EPOCH).await.unwrap();
        let project = deployed.current().await.unwrap();
        assert_eq!(project.transforms()[0].target.to_string(), "a.b");
        assert!(Arc::ptr_eq(&project, &deployed.current().await.unwrap()), "nothing was deployed since");

        let second = deploy(store.as_ref(), &place, file("SELECT 2 AS two"), DateTime::UNIX_EPOCH).await.unwrap();
        assert_ne!(first.project, second.project);
        assert!(!Arc::ptr_eq(&project, &deployed.current().await.unwrap()));
        let again = deploy(store.as_ref(), &place, file("SELECT 1 AS one"), DateTime::UNIX_EPOCH).await.unwrap();
        assert_eq!(first.project, again.project, "named by its content");
    }

    #[tokio::test]
    async fn what_is_no_project_is_said() {
        for (current, said) in [
            ("not json", "not JSON"),
            ("{}", "`version` is missing"),
            (r#"{"version": 2}"#, "version 2"),
            (r#"{"version": 1}"#, "no project"),
        ] {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            store.put(&Path::from("p/current.json"), current.into()).await.unwrap();
            let error = DeployedProject::new(store, Path::from("p")).current().await.unwrap_err();
            assert!(error.code == Code::CatalogDamaged && error.to_string().contains(said), "{error}");
        }
    }

    #[tokio::test]
    async fn a_project_without_a_sound_file_is_its_first_error() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        deploy(store.as_ref(), &Path::from("p"), file("SELEC 1"), DateTime::UNIX_EPOCH).await.unwrap();
        let error = DeployedProject::new(store, Path::from("p")).current().await.unwrap_err();
        assert_eq!(error.code, Code::Syntax);
    }
}
