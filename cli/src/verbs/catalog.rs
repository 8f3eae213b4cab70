//! `unglue catalog`, `catalog show`, `catalog diff`

use serde_json::{Value, json};
use transform::{Catalog, Error, Result, TableChange};

use super::Verdict;
use crate::args::{Args, CatalogAction};
use crate::screen::{Screen, count};
use crate::{edge, folder};

/// Brings the catalog up to date, shows it, or says what would change.
pub(super) async fn catalog(args: &Args, action: Option<CatalogAction>, screen: &mut Screen) -> Result<Verdict> {
    let engine = edge::engine(args)?;
    let changes = match action {
        Some(CatalogAction::Show) => return show(engine.catalog(), screen).await,
        // Without the project, targets of transforms could not be told from source tables.
        Some(CatalogAction::Diff) => engine.catalog_diff(&folder::read(&args.project)?.0).await?,
        None => engine.discover(&folder::read(&args.project)?.0).await?,
    };
    if screen.is_json() {
        screen.json(&changes)?;
    } else {
        report_changes(&changes, screen);
        if changes.iter().all(|change| !change.changes_catalog()) {
            screen.note("the catalog is up to date");
        }
    }
    let findings: Vec<Error> = changes.into_iter().flat_map(|change| change.findings).collect();
    screen.errors(&findings);
    Ok(Verdict::of(!findings.is_empty()))
}

/// What changed, a line a table; nothing for tables that stayed as they were.
pub(super) fn report_changes(changes: &[TableChange], screen: &mut Screen) {
    for change in changes.iter().filter(|change| change.changes_catalog()) {
        screen.note(format!("{}: {}", change.table, change.summary()));
    }
}

async fn show(catalog: &dyn Catalog, screen: &mut Screen) -> Result<Verdict> {
    let mut tables: Vec<Value> = Vec::new();
    for name in catalog.tables().await? {
        let Some(table) = catalog.table(&name).await? else { continue };
        let partitions = catalog.partitions(&name).await?;
        if screen.is_json() {
            let mut value = json!(table);
            value["partitions"] = json!(partitions);
            tables.push(value);
            continue;
        }
        screen.line(format!("{name} ({}) at {}", table.format, table.location));
        if let Some(description) = &table.description {
            screen.line(format!("    {description}"));
        }
        for column in table.columns.iter().chain(&table.partition_keys) {
            let comment = column.comment.as_ref().map_or_else(String::new, |comment| format!("  {comment}"));
            screen.line(format!("    {:<28} {}{comment}", column.name, column.hive_type));
        }
        if !table.partition_keys.is_empty() {
            let keys: Vec<&str> = table.partition_keys.iter().map(|key| key.name.as_str()).collect();
            screen.line(format!("    {} by {}", count(partitions.len() as u64, "partition"), keys.join(", ")));
        }
    }
    if screen.is_json() {
        screen.json(&tables)?;
    }
    Ok(Verdict::Clean)
}
