//! Arrivals: what a run claims, and how the ledger tells one from another.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::receipt::ReceiptInput;

/// The identity of an arrival: the folder that it lies in, the object in it, and its version; each by 32 hexadecimal digits.
///
/// A partition that was replaced as a whole is an arrival, too: its object is the folder itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ArrivalId {
    pub(crate) folder: String,
    /// Shared by the versions of an object.
    pub(crate) object: String,
    pub(crate) version: String,
}

impl ArrivalId {
    pub(crate) fn of(input: &ReceiptInput) -> Self {
        let version = input.version.as_ref().or(input.etag.as_ref());
        Self {
            folder: digest(&[folder_of(&input.object)]),
            object: digest(&[&input.object]),
            version: digest(&[version.map_or("", String::as_str), &input.bytes.to_string()]),
        }
    }

    /// How the identities of an object's versions begin, as texts.
    pub(crate) fn beginning(object: &str) -> String {
        format!("{}-{}-", digest(&[folder_of(object)]), digest(&[object]))
    }

    /// Whether it is a folder that was replaced as a whole.
    pub(crate) fn is_folder(&self) -> bool {
        self.folder == self.object
    }

    /// Whether it is a folder that has gone: an arrival without rows.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_folder() && self.version == Self::of(&gone("")).version
    }

    /// Whether the rows of another arrival go when this one comes: those of an earlier version, and for a folder all in it.
    pub(crate) fn replaces(&self, folder: &str, object: &str) -> bool {
        self.object == object || self.is_folder() && self.folder == folder
    }
}

impl fmt::Display for ArrivalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.folder, self.object, self.version)
    }
}

impl From<ArrivalId> for String {
    fn from(id: ArrivalId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ArrivalId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = text.splitn(3, '-').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(folder), Some(object), Some(version)) => Ok(Self { folder, object, version }),
            _ => Err(format!("`{text}` is not an arrival")),
        }
    }
}

/// The folder of an object, ending in `/`; a folder's own is itself.
pub(crate) fn folder_of(object: &str) -> &str {
    object.rfind('/').map_or("", |slash| &object[..=slash])
}

/// The arrival that takes out the rows of a partition that is there no more.
pub(crate) fn gone(folder: &str) -> ReceiptInput {
    ReceiptInput { object: folder.to_owned(), etag: None, version: Some("gone".to_owned()), bytes: 0 }
}

/// The name of a claim: an arrival, and the how manieth claimed version of its object it is, from 0.
///
/// The number makes the newest claim of an object known from the names alone, also where an object goes back to a content
/// that it had before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClaimName {
    pub(crate) arrival: ArrivalId,
    pub(crate) generation: u32,
}

impl ClaimName {
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{:04}.json", self.arrival, self.generation)
    }

    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let (arrival, generation) = file_name.strip_suffix(".json")?.rsplit_once('-')?;
        Some(Self { arrival: ArrivalId::try_from(arrival.to_owned()).ok()?, generation: generation.parse().ok()? })
    }
}

/// 32 hexadecimal digits that stand for a list of texts.
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(object: &str, etag: Option<&str>, version: Option<&str>, bytes: u64) -> ReceiptInput {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        ReceiptInput { object: object.into(), etag: owned(etag), version: owned(version), bytes }
    }

    #[test]
    fn versions_of_an_object_differ_in_the_version_only() {
        let one = ArrivalId::of(&input("a/b", Some("x"), None, 3));
        let other = ArrivalId::of(&input("a/b", Some("y"), None, 3));
        assert_eq!((&one.folder, &one.object), (&other.folder, &other.object));
        assert_ne!(one.version, other.version);
        assert!(one.to_string().starts_with(&ArrivalId::beginning("a/b")));
        assert_ne!(one.object, ArrivalId::of(&input("a/c", Some("x"), None, 3)).object);
        assert_ne!(one, ArrivalId::of(&input("a/b", Some("x"), None, 4)), "same etag, other size");
        assert_eq!(ArrivalId::of(&input("a", Some("x"), Some("v"), 1)), ArrivalId::of(&input("a", None, Some("v"), 1)));
    }

    #[test]
    fn a_folder_replaces_what_lies_in_it_and_an_object_its_versions() {
        let id = |object: &str| ArrivalId::of(&input(object, None, Some("v"), 1));
        let (folder, file, nested) = (id("t/day=1/"), id("t/day=1/f"), id("t/day=1/h/f"));
        assert!(folder.is_folder() && !file.is_folder());
        assert!(folder.replaces(&file.folder, &file.object));
        assert!(folder.replaces(&folder.folder, &folder.object));
        assert!(!folder.replaces(&nested.folder, &nested.object));
        assert!(!file.replaces(&folder.folder, &folder.object));
        assert!(!file.replaces(&id("t/day=1/g").folder, &id("t/day=1/g").object));
    }

    #[test]
    fn claim_names_are_read_back() {
        let arrival = ArrivalId::of(&input("a/b", Some("x"), None, 3));
        let name = ClaimName { arrival, generation: 12 };
        assert_eq!(ClaimName::parse(&name.file_name()), Some(name.clone()));
        assert_eq!(ArrivalId::try_from(String::from(name.arrival.clone())), Ok(name.arrival));
        for odd in ["", "x.json", "a-b-c.json", "a-b-c-d.json", "a-b-c-1", "a-1"] {
            assert_eq!(ClaimName::parse(odd), None, "{odd}");
        }
    }
}
