//! What happened to an object.

use super::key::{Found, KeyCandidates};
use super::sequencer::Sequencer;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It has a content that is to be processed.
    Created,
    /// There is no object of that key any more.
    Removed,
    /// One of its versions was deleted for good, which may be one that was replaced long ago: the object may well be there.
    VersionRemoved,
    /// It came back from an archive and can be read.
    Restored,
}

/// Something that happened to an object, as far as the message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    /// What happened.
    pub kind: Change,
    /// Bucket.
    pub bucket: String,
    /// What the key may be.
    pub keys: KeyCandidates,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Etag, without quotes.
    pub etag: Option<String>,
    /// Version id; of a removed object, that of the delete marker.
    pub version: Option<String>,
    /// Order among the events of the key.
    pub sequencer: Option<Sequencer>,
    /// Number of the AWS account that owns the bucket.
    pub account: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// When it happened, as the message says it.
    pub time: Option<String>,
}

impl ObjectEvent {
    /// Which of the possible keys are meant, by what a look at each, in the order of [`KeyCandidates::all`], has found.
    ///
    /// Those whose object has the size and etag of the event; if none has, because it was replaced in the meantime, all that
    /// are there. More than one is no harm: each is an object that has arrived, and each version is processed once. Empty if
    /// none is there.
    pub fn chosen(&self, found: &[Option<Found>]) -> Vec<&str> {
        let there: Vec<(&str, &Found)> =
            self.keys.all().zip(found).filter_map(|(key, found)| Some((key, found.as_ref()?))).collect();
        let fits = |found: &Found| found.fits(self.size, self.etag.as_deref());
        let is_any_fitting = there.iter().any(|(_, found)| fits(found));
        there.into_iter().filter(|(_, found)| fits(found) || !is_any_fitting).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::created;
    use super::*;

    fn found(size: u64, etag: &str) -> Option<Found> {
        Some(Found { size, etag: Some(format!("\"{etag}\"")) })
    }

    #[test]
    fn the_object_with_the_size_and_etag_is_meant() {
        let mut event = created("a+b.csv");
        event.size = Some(5);
        event.etag = Some("x".into());
        for (looks, chosen) in [
            (vec![found(5, "x"), None], vec!["a+b.csv"]),
            (vec![None, found(5, "x")], vec!["a b.csv"]),
            (vec![found(6, "y"), found(5, "x")], vec!["a b.csv"]),
            (vec![found(5, "x"), found(5, "y")], vec!["a+b.csv"]),
            // The same content under both keys.
            (vec![found(5, "x"), found(5, "x")], vec!["a+b.csv", "a b.csv"]),
            // It was replaced before anyone looked.
            (vec![None, found(6, "y")], vec!["a b.csv"]),
            (vec![found(6, "y"), found(7, "z")], vec!["a+b.csv", "a b.csv"]),
            (vec![None, None], vec![]),
            (vec![], vec![]),
        ] {
            assert_eq!(event.chosen(&looks), chosen, "{looks:?}");
        }
    }

    #[test]
    fn without_size_and_etag_all_that_are_there_are_meant() {
        let event = created("a+b.csv");
        assert_eq!(event.chosen(&[found(1, "x"), found(2, "y")]), ["a+b.csv", "a b.csv"]);
        assert_eq!(event.chosen(&[None, found(2, "y")]), ["a b.csv"]);
    }
}
