//! The columns of the table against those that the SQL gives now: pure.

use super::Problems;
use super::finding::FindingKind;
use crate::plan::Planned;
use crate::settings::WriteMode;
use crate::table::{Column, Table};

/// Compares the catalog's table with what a query gives.
pub(super) fn drift(table: &Table, planned: &Planned, problems: &mut Problems<'_>) {
    // A table that is rebuilt by each run takes whatever columns the query has.
    let (rebuild, add) = match planned.write {
        WriteMode::Overwrite => {
            ("the next `unglue run` rebuilds the table", "the next `unglue run` rebuilds the table")
        }
        WriteMode::Append | WriteMode::OverwritePartitions | WriteMode::Merge => (
            "rebuild the table with `unglue run --full-refresh`, or go back to the former definition",
            "the next `unglue run` with new objects adds it; rows from before have NULL there",
        ),
    };
    if names(&table.partition_keys) != names(&planned.partition_keys) {
        let message = format!(
            "the table is partitioned by ({}), the SQL says ({})",
            names(&table.partition_keys).join(", "),
            names(&planned.partition_keys).join(", ")
        );
        problems.add(FindingKind::PartitionKeys, table.name.to_string(), message, rebuild);
        return;
    }
    let known = || table.columns.iter().chain(&table.partition_keys);
    let given = || planned.columns.iter().chain(&planned.partition_keys);
    for column in given() {
        match known().find(|known| known.name == column.name) {
            None => {
                let message = format!("the SQL gives a column `{}` that the table does not have", column.name);
                problems.add(FindingKind::ColumnAdded, column.name.clone(), message, add);
            }
            Some(known) if known.hive_type != column.hive_type => {
                let message = format!(
                    "column `{}` is {} in the table, and {} in the SQL",
                    column.name, known.hive_type, column.hive_type
                );
                problems.add(FindingKind::ColumnType, column.name.clone(), message, rebuild);
            }
            Some(_) => {}
        }
    }
    for column in known().filter(|known| given().all(|given| given.name != known.name)) {
        let message = format!("the table has a column `{}` that the SQL does not give", column.name);
        problems.add(FindingKind::ColumnRemoved, column.name.clone(), message, rebuild);
    }
}

fn names(columns: &[Column]) -> Vec<&str> {
    columns.iter().map(|column| column.name.as_str()).collect()
}
