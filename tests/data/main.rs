//! Real data through the built program: bad input, exactly once, bounded memory, S3.
//!
//! Every test makes a project in a temporary folder, runs the program on it as a user would, and reads the rows back from the
//! Parquet files that the catalog names. A test that this machine cannot do prints `SKIPPED` and why.

// Tests may fail loudly.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

mod bad_input;
mod corpus;
mod exactly_once;
mod guards;
mod memory;
mod merging;
mod namespace;
mod pack;
mod project;
mod rows;
mod s3;
