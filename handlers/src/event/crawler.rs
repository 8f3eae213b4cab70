//! What a Glue crawler says when it starts and ends, for those who keep one instead of the function `catalog`.

use serde::Deserialize;

use super::number::count;

pub(super) const DETAIL_TYPE: &str = "Glue Crawler State Change";

/// The detail of a `Glue Crawler State Change`. Glue writes numbers as text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CrawlerState {
    /// Name of the crawler.
    pub crawler_name: String,
    /// `Started`, `Succeeded` or `Failed`.
    pub state: String,
    /// Tables that are new.
    #[serde(default, deserialize_with = "count")]
    pub tables_created: Option<u64>,
    /// Tables that changed.
    #[serde(default, deserialize_with = "count")]
    pub tables_updated: Option<u64>,
    /// Tables that have gone.
    #[serde(default, deserialize_with = "count")]
    pub tables_deleted: Option<u64>,
    /// Partitions that are new.
    #[serde(default, deserialize_with = "count")]
    pub partitions_created: Option<u64>,
    /// Partitions that changed.
    #[serde(default, deserialize_with = "count")]
    pub partitions_updated: Option<u64>,
    /// Partitions that have gone.
    #[serde(default, deserialize_with = "count")]
    pub partitions_deleted: Option<u64>,
    /// Seconds that it ran.
    #[serde(default, rename = "runningTime (sec)", deserialize_with = "count")]
    pub seconds: Option<u64>,
    /// What it says, for people.
    pub message: Option<String>,
    /// Why it failed.
    pub error_message: Option<String>,
}

impl CrawlerState {
    /// Whether the tables are up to date now.
    pub fn has_succeeded(&self) -> bool {
        self.state.eq_ignore_ascii_case("succeeded")
    }
}
