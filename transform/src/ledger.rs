//! The ledger: which input went into which run, and how each run ended.
//!
//! ```text
//! <data>/_unglue/<database>/<table>/inputs/<hash>.json      claim: this input belongs to that run
//!                                   runs/<run_id>/intent.json · commit.json · done.json
//!                                   versions/<n>.json        replacing modes only
//! ```
//!
//! Every object is created once and never changed, so that two workers agree by who came first.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::receipt::{Receipt, ReceiptInput};
use crate::settings::WriteMode;
use crate::store::{DataRoot, storage};
use crate::table::{Partition, Table, TableName};
use crate::write::WrittenFile;

/// The identity of an input: the object by its key, and its version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct InputId {
    key: String,
    version: String,
}

impl InputId {
    /// Identity of an object version; two versions of one object share the first half.
    pub(crate) fn of(input: &ReceiptInput) -> Self {
        let version = input.version.as_ref().or(input.etag.as_ref());
        Self {
            key: digest(&[&input.object]),
            version: digest(&[version.map_or("", String::as_str), &input.bytes.to_string()]),
        }
    }

    /// The object's half, shared by its versions.
    pub(crate) fn object(&self) -> &str {
        &self.key
    }

    /// The version's half.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    fn file_name(&self) -> String {
        format!("{}-{}.json", self.key, self.version)
    }

    fn parse(file_name: &str) -> Option<Self> {
        let (key, version) = file_name.strip_suffix(".json")?.split_once('-')?;
        Some(Self { key: key.to_owned(), version: version.to_owned() })
    }
}

/// 32 hexadecimal digits that stand for a list of texts.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What a claim holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) run_id: String,
    /// For people who look into the ledger.
    pub(crate) object: String,
}

/// What a run set out to do. Fixed before anything is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) run_id: String,
    pub(crate) write: WriteMode,
    /// `now()` of the query.
    pub(crate) at: DateTime<Utc>,
    pub(crate) inputs: Vec<ReceiptInput>,
    /// Replacing modes: the version that this run replaces, and what it was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<Replaces>,
}

/// The state that a replacing run starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replaces {
    /// Number of the version before; 0 where there was none.
    pub(crate) version: u64,
    /// Stands for the inputs and the SQL text.
    pub(crate) fingerprint: String,
}

/// The commit record: all that is needed to make the run's outcome visible.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Commit {
    /// Tells the attempt that made this record from others of the same run.
    pub(crate) nonce: String,
    pub(crate) table: Table,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) files: Vec<WrittenFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<Replaces>,
    pub(crate) receipt: Receipt,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Done {
    /// Its rows are visible.
    Succeeded { receipt: Box<Receipt> },
    /// It was overtaken by a newer version of the table; nothing of it is visible.
    Superseded,
}

/// One version of a table in the replacing modes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) run_id: String,
    pub(crate) fingerprint: String,
}

/// The ledger of one transform.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    root: DataRoot,
    folder: String,
}

impl Ledger {
    pub(crate) fn new(root: DataRoot, target: &TableName) -> Self {
        Self { root, folder: format!("_unglue/{}/{}", target.database, target.table) }
    }

    /// Where a run stages hidden files.
    pub(crate) fn staging_folder(&self, run_id: &str) -> Result<Path> {
        self.path(&format!("runs/{run_id}/staged"))
    }

    /// The inputs that were ever claimed: their names alone, no claim is read.
    pub(crate) async fn claimed(&self) -> Result<BTreeSet<InputId>> {
        Ok(self.names("inputs").await?.iter().filter_map(|name| InputId::parse(name)).collect())
    }

    /// Binds an input to a run; returns the run that it belongs to, which may be another.
    pub(crate) async fn claim(&self, input: &ReceiptInput, run_id: &str) -> Result<String> {
        let claim = Claim { run_id: run_id.to_owned(), object: input.object.clone() };
        self.bind(&InputId::of(input).file_name(), claim).await
    }

    /// Binds the start of a replacing run, so that workers who see the same inputs continue one run.
    pub(crate) async fn claim_version(&self, replaces: &Replaces, run_id: &str) -> Result<String> {
        let name = format!("{}.json", digest(&[&replaces.version.to_string(), &replaces.fingerprint]));
        let object = format!("version {} of the table", replaces.version + 1);
        self.bind(&name, Claim { run_id: run_id.to_owned(), object }).await
    }

    async fn bind(&self, name: &str, claim: Claim) -> Result<String> {
        let path = self.path(&format!("inputs/{name}"))?;
        if self.create(&path, &claim).await? {
            return Ok(claim.run_id);
        }
        match self.read::<Claim>(&path).await? {
            Some(existing) => Ok(existing.run_id),
            None => Err(Error::new(Code::Storage, "a claim vanished while it was read")
                .help("run again")
                .in_object(self.root.url(&path), None)),
        }
    }

    /// The run that an input was claimed for.
    pub(crate) async fn claim_of(&self, input: &InputId) -> Result<Option<Claim>> {
        self.read(&self.path(&format!("inputs/{}", input.file_name()))?).await
    }

    /// Runs that began and did not end, oldest first.
    pub(crate) async fn open_runs(&self) -> Result<Vec<String>> {
        let mut runs: BTreeMap<String, bool> = BTreeMap::new();
        for name in self.names("runs").await? {
            if let Some((run_id, file)) = name.split_once('/') {
                *runs.entry(run_id.to_owned()).or_default() |= file == "done.json";
            }
        }
        Ok(runs.into_iter().filter(|(_, done)| !done).map(|(run_id, _)| run_id).collect())
    }

    /// Whether no other run has ever begun.
    pub(crate) async fn is_first(&self, run_id: &str) -> Result<bool> {
        Ok(self.names("runs").await?.iter().all(|name| name.split('/').next() == Some(run_id)))
    }

    pub(crate) async fn intent(&self, run_id: &str) -> Result<Option<Intent>> {
        self.read(&self.run_path(run_id, "intent")?).await
    }

    /// Records an intent; the run's own may be there already.
    pub(crate) async fn put_intent(&self, intent: &Intent) -> Result<()> {
        self.create(&self.run_path(&intent.run_id, "intent")?, intent).await.map(|_| ())
    }

    pub(crate) async fn commit(&self, run_id: &str) -> Result<Option<Commit>> {
        self.read(&self.run_path(run_id, "commit")?).await
    }

    /// The commit point. Returns the run's commit record, which is another attempt's if that one came first.
    pub(crate) async fn put_commit(&self, run_id: &str, commit: Commit) -> Result<Commit> {
        let path = self.run_path(run_id, "commit")?;
        if self.create(&path, &commit).await? {
            return Ok(commit);
        }
        self.read(&path).await?.ok_or_else(|| {
            Error::new(Code::Storage, "a commit record vanished while it was read")
                .in_object(self.root.url(&path), None)
        })
    }

    pub(crate) async fn done(&self, run_id: &str) -> Result<Option<Done>> {
        self.read(&self.run_path(run_id, "done")?).await
    }

    pub(crate) async fn put_done(&self, run_id: &str, done: &Done) -> Result<()> {
        self.create(&self.run_path(run_id, "done")?, done).await.map(|_| ())
    }

    /// The newest version of the table and its number; 0 where there is none.
    pub(crate) async fn newest_version(&self) -> Result<(u64, Option<Version>)> {
        let numbers = self.names("versions").await?;
        let newest = numbers.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<u64>().ok()).max();
        match newest {
            None => Ok((0, None)),
            Some(number) => Ok((number, self.version(number).await?)),
        }
    }

    async fn version(&self, number: u64) -> Result<Option<Version>> {
        self.read(&self.version_path(number)?).await
    }

    /// Takes the version number; returns the run that has it.
    pub(crate) async fn put_version(&self, number: u64, version: &Version) -> Result<String> {
        if self.create(&self.version_path(number)?, version).await? {
            return Ok(version.run_id.clone());
        }
        Ok(self.version(number).await?.map(|version| version.run_id).unwrap_or_default())
    }

    fn version_path(&self, number: u64) -> Result<Path> {
        self.path(&format!("versions/{number:010}.json"))
    }

    fn run_path(&self, run_id: &str, file: &str) -> Result<Path> {
        self.path(&format!("runs/{run_id}/{file}.json"))
    }

    fn path(&self, below: &str) -> Result<Path> {
        self.root.path(&format!("{}/{below}", self.folder))
    }

    /// Names below a folder of the ledger, relative to it.
    async fn names(&self, folder: &str) -> Result<Vec<String>> {
        let folder = self.path(folder)?;
        let prefix = format!("{folder}/");
        self.root
            .store()
            .list(Some(&folder))
            .map_ok(|meta| meta.location.as_ref().strip_prefix(&prefix).unwrap_or_default().to_owned())
            .try_collect()
            .await
            .map_err(|error| storage(&self.root.url(&folder), error))
    }

    async fn create(&self, path: &Path, content: &impl Serialize) -> Result<bool> {
        let json = serde_json::to_vec_pretty(content).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        self.root.create(path, json).await
    }

    async fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let Some(bytes) = self.root.read(path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(Code::CatalogDamaged, format!("a ledger record cannot be understood: {error}"))
                .in_object(self.root.url(path), None)
        })
    }
}
