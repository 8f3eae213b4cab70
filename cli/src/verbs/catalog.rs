//! `unglue catalog`, `catalog show`, `catalog diff`, `catalog set`

use handlers::project::folder;
use handlers::words::count;
use serde_json::{Value, json};
use transform::{Catalog, Code, ColumnChange, Discovery, Error, HiveType, Result, Table, TableChange, TableName};

use super::Verdict;
use crate::args::{Args, CatalogAction};
use crate::edge;
use crate::screen::Screen;

/// Tries for a table that other processes are changing.
const ATTEMPTS: usize = 5;

/// Types that are wider than this, such as long structs, do not push all comments to the right.
const WIDEST_TYPE: usize = 24;

/// Brings the catalog up to date, shows it, or says what would change.
pub(super) async fn catalog(args: &Args, action: Option<&CatalogAction>, screen: &mut Screen) -> Result<Verdict> {
    let engine = edge::engine(args).await?;
    let discovery = match action {
        Some(CatalogAction::Show) => return show(engine.catalog(), screen).await,
        Some(CatalogAction::Set { table, parameters }) => {
            return set(engine.catalog(), table, parameters, screen).await;
        }
        // Without the project, targets of transforms could not be told from source tables.
        Some(CatalogAction::Diff) => engine.catalog_diff(&folder::read(&args.project)?.0).await?,
        None => engine.discover(&folder::read(&args.project)?.0).await?,
    };
    if screen.is_json() {
        screen.json(&discovery)?;
    } else {
        changes(&discovery).for_each(|line| screen.line(line));
    }
    let is_change = discovery.is_change();
    let findings = findings(discovery);
    screen.errors(&findings);
    if !is_change && findings.is_empty() {
        screen.note("the catalog is up to date");
    } else if is_change && action.is_some() {
        screen.note("nothing was changed yet: `unglue catalog` does it");
    }
    Ok(Verdict::of(!findings.is_empty()))
}

/// All that is wrong in the data folder.
pub(super) fn findings(discovery: Discovery) -> Vec<Error> {
    let of_tables = discovery.tables.into_iter().flat_map(|change| change.findings);
    discovery.findings.into_iter().chain(of_tables).collect()
}

/// What changes, a line a table, and below it why its columns do; nothing for tables that stay as they are.
pub(super) fn changes(discovery: &Discovery) -> impl Iterator<Item = String> {
    let changed = discovery.tables.iter().filter(|change| change.is_change());
    changed.flat_map(|change| {
        let columns = change.columns_changed.iter().filter(|column| column.applied);
        let table = format!("{}: {}", change.table, summary(change));
        std::iter::once(table).chain(columns.map(reason)).collect::<Vec<_>>()
    })
}

/// Why a column changes: which object, and which value of it.
fn reason(change: &ColumnChange) -> String {
    let text = |hive_type: &Option<HiveType>| hive_type.as_ref().map(ToString::to_string).unwrap_or_default();
    let types = match (&change.old, &change.new) {
        (Some(_), Some(_)) => format!("{} -> {}", text(&change.old), text(&change.new)),
        _ => text(&change.new),
    };
    let value = change.sample.as_ref().map(|value| format!(" has `{value}`")).unwrap_or_default();
    format!("    {} {}: {types} ({}{value})", change.column, change.kind.name(), change.object)
}

fn summary(change: &TableChange) -> String {
    let columns = change.columns_added.len() as u64;
    let mut parts = Vec::new();
    if change.created {
        parts.push(format!(
            "new table with {} from {}",
            count(columns, "column"),
            count(change.objects as u64, "object")
        ));
    } else if columns > 0 {
        let names: Vec<&str> = change.columns_added.iter().map(|column| column.name.as_str()).collect();
        parts.push(format!("{} ({})", count(columns, "new column"), names.join(", ")));
    }
    let changed = change.columns_changed.iter().filter(|column| column.applied && column.old.is_some()).count();
    if changed > 0 {
        parts.push(count(changed as u64, "changed column"));
    }
    if !change.partitions_added.is_empty() {
        parts.push(count(change.partitions_added.len() as u64, "new partition"));
    }
    parts.join(", ")
}

/// Sets parameters of a table, each `parameter=value`.
async fn set(catalog: &dyn Catalog, table: &str, parameters: &[String], screen: &mut Screen) -> Result<Verdict> {
    let name = TableName::try_from(table.to_owned())?;
    let mut attempt = 1;
    loop {
        let Some(mut table) = catalog.table(&name).await? else {
            return Err(Error::new(Code::NotFound, format!("the catalog has no table `{name}`"))
                .help("`unglue catalog show` lists those it has"));
        };
        let before = table.clone();
        for parameter in parameters {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            table.set_parameter(key.trim(), value.trim())?;
        }
        if table == before {
            screen.note("the table has these parameters already");
            return parameters_of(&table, screen);
        }
        match catalog.put_table(&table).await {
            Err(error) if error.code == Code::Conflict && attempt < ATTEMPTS => attempt += 1,
            outcome => return parameters_of(&outcome?, screen),
        }
    }
}

fn parameters_of(table: &Table, screen: &mut Screen) -> Result<Verdict> {
    if screen.is_json() {
        screen.json(table)?;
        return Ok(Verdict::Clean);
    }
    screen.line(format!("{} has the parameters", table.name));
    let all = table.format.parameters().into_iter().chain(table.parameters.clone());
    all.for_each(|(key, value)| screen.line(format!("    {key} = {value}")));
    Ok(Verdict::Clean)
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
        let columns = || table.columns.iter().chain(&table.partition_keys);
        let names = columns().map(|column| column.name.chars().count()).max().unwrap_or(0);
        let types = columns().map(|column| column.hive_type.to_string().len()).max().unwrap_or(0).min(WIDEST_TYPE);
        for column in columns() {
            let comment = column.comment.as_deref().unwrap_or_default();
            let line = format!("    {:<names$}  {:<types$}  {comment}", column.name, column.hive_type.to_string());
            screen.line(line.trim_end());
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
