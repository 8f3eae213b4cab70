//! The command line.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::{Parser, Subcommand, ValueEnum};

/// The data folder, unless another is named.
pub(crate) const DEFAULT_DATA: &str = "./data";

/// Plain SQL files, run on new objects, into partitioned Parquet tables.
#[derive(Debug, Parser)]
#[command(name = "unglue", version, max_term_width = 100)]
pub(crate) struct Args {
    /// Folder of the project: it holds `sql/`
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    pub(crate) project: PathBuf,

    /// Data folder: a local folder or `s3://bucket/prefix`
    #[arg(long, global = true, default_value = DEFAULT_DATA, value_name = "URL", env = "UNGLUE_DATA")]
    pub(crate) data: String,

    /// Where tables are recorded
    #[arg(long, global = true, default_value = "embedded", value_name = "CATALOG")]
    pub(crate) catalog: CatalogChoice,

    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Memory for queries, for example 512MB [default: 60 % of what the machine has free]
    #[arg(long, global = true, value_name = "SIZE", value_parser = size)]
    pub(crate) memory: Option<u64>,

    /// Folder for temporary files [default: the system's]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) temp: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Where tables are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatalogChoice {
    /// Files in the data folder
    Embedded,
    /// AWS Glue Data Catalog
    Glue,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a small working project into the project folder
    Init,
    /// Bring the catalog up to date with what lies in the data folder
    Catalog {
        #[command(subcommand)]
        action: Option<CatalogAction>,
    },
    /// Find all errors of all SQL files; no data is read
    Check {
        /// How errors are printed
        #[arg(long, default_value = "text")]
        format: ErrorFormat,
    },
    /// Say what would run and why
    Plan {
        /// Transforms, `database.table` or the table alone; all by default
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Plan as if this object had arrived; may be repeated
        #[arg(long, value_name = "URL")]
        arrival: Vec<String>,
    },
    /// Run what is due, in dependency order
    Run {
        /// Transforms, `database.table` or the table alone; all by default
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Rebuild the tables from all of their source
        #[arg(long)]
        full_refresh: bool,
        /// Run on AWS, in the deployed function of this name (the output `TransformFunction` of the stack), with the SQL that was
        /// deployed
        #[arg(long, value_name = "FUNCTION")]
        remote: Option<String>,
    },
    /// Test the SQL on the rows in `sql/<database>/<table>.test/`
    Test {
        /// Transforms, `database.table` or the table alone; all by default
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// List the runs of the past, the newest first
    History {
        /// Transforms, `database.table` or the table alone; all by default
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Runs to list
        #[arg(long, value_name = "N", default_value = "20", conflicts_with = "run")]
        limit: usize,
        /// Tell all about one run
        #[arg(long, value_name = "RUN_ID")]
        run: Option<String>,
    },
    /// Find what is not as it should be in ledger, catalog and storage
    Doctor {
        /// Transforms, `database.table` or the table alone; all by default
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Put right what can safely be
        #[arg(long)]
        repair: bool,
    },
    /// Delete files of replaced versions, and what ended runs left behind
    Gc {
        /// Transforms, `database.table` or the table alone; all by default
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Keep what was referred to in this time: longer than any reader's query takes
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
        older_than: TimeDelta,
        /// Only say what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// Put the project where the functions on AWS read it, and switch them to it
    DeploySql {
        /// Where they read it: `s3://bucket/prefix`, the output `ProjectLocation` of the stack
        #[arg(long, value_name = "URL", env = "UNGLUE_PROJECT")]
        to: String,
    },
    /// Give an AWS event to one of the functions, in this process
    ///
    /// The function's settings come from the environment, as on Lambda: `UNGLUE_DATA`, `UNGLUE_LANDING`, `UNGLUE_PROJECT`, …
    Invoke {
        /// The function
        function: FunctionChoice,
        /// File with the event: a batch of a queue, or one message
        #[arg(value_name = "EVENT.json")]
        event: PathBuf,
    },
    /// Say what an error code means and how to mend it
    Explain {
        /// The code; all codes are listed without one
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },
}

/// The functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FunctionChoice {
    /// Objects arrive, the catalog learns of them
    Catalog,
    /// The catalog has news, transforms run
    Transform,
    /// What happened, told to people
    Notify,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CatalogAction {
    /// List the tables that the catalog has
    Show,
    /// Say what `unglue catalog` would change
    Diff,
    /// Set parameters of a table, for example `unglue.schema_change=rescue`; without a value they are removed
    Set {
        /// `database.table`
        table: String,
        /// `parameter=value`
        #[arg(required = true)]
        parameters: Vec<String>,
    },
}

/// How `check` prints errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorFormat {
    /// For people
    Text,
    /// One JSON array
    Json,
    /// Annotations of GitHub pull requests
    Github,
}

/// `512MB`, `2GiB`, `1000000`: units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 1_u64,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err(format!("`{text}` is not a size; write for example 512MB")),
    };
    let number: f64 = digits.trim().parse().map_err(|_| format!("`{text}` is not a size; write for example 512MB"))?;
    if number.is_finite() && number > 0.0 {
        Ok((number * unit as f64) as u64)
    } else {
        Err("the size must be more than 0".to_owned())
    }
}

/// `90m`, `24h`, `7d`; `0s` is allowed.
pub(crate) fn duration(text: &str) -> Result<TimeDelta, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(format!("`{text}` is not a time; write for example 90m, 24h or 7d")),
    };
    let number: Option<i64> = digits.parse::<u32>().ok().map(i64::from);
    number
        .and_then(|number| TimeDelta::try_seconds(number.checked_mul(unit)?))
        .ok_or_else(|| format!("`{text}` is not a time; write for example 90m, 24h or 7d"))
}
