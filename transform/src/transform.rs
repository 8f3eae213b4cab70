//! A transform: one SQL file, parsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Query;

use crate::error::Location;
use crate::settings::Settings;
use crate::table::TableName;

/// A file of the project: the path as the user knows it, and the text without byte order mark.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// For example `sql/sales/orders_daily.sql`.
    pub path: String,
    /// The text; positions count from its start.
    pub text: Arc<str>,
}

/// A table that a query names in FROM, with the first place where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The table.
    pub name: TableName,
    /// Where it is named.
    pub at: Location,
}

/// One SQL file, parsed but not yet checked against the catalog.
#[derive(Debug, Clone)]
pub struct Transform {
    /// The table that it produces, by the file's path.
    pub target: TableName,
    /// The file.
    pub file: SourceFile,
    /// Header over folder defaults over defaults.
    pub settings: Settings,
    /// The one query of the file.
    pub query: Box<Query>,
    /// Every catalog table that the query reads, each once, in order of appearance; CTE names are not among them.
    pub inputs: Vec<Input>,
    /// The table whose new arrivals a run processes; `None` for a query without tables.
    pub driving: Option<TableName>,
    /// Comments of result columns, by final lower-case column name, taken from the SQL's comments.
    pub comments: BTreeMap<String, String>,
}
