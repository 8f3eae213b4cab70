//! The command line as a user sees it: the built program runs in a project of its own, and the whole of what it prints is
//! compared with a snapshot.
//!
//! `INSTA_UPDATE=always cargo nextest run --workspace --test cli` writes the snapshots anew. Read what changed: a snapshot shows
//! what the output should be, not what it happens to be.

// Clippy takes only the bodies of `#[test]` functions for tests.
#![allow(clippy::expect_used)]

mod catalog;
mod diagnostics;
mod docs;
mod errors;
mod explain;
mod json;
mod output;
mod project;
mod run;
mod tests_of_sql;
mod upkeep;
mod usage;
