//! The Glue Data Catalog as unglue's catalog: calls only. What Glue's structures mean is in `glue/`.

mod convert;
mod definition;
mod expression;
mod failure;
mod format;
mod memory;
mod partitions;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_glue::Client;
use aws_sdk_glue::types::{self, DatabaseAttributes, TableAttributes};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{Mutex, OnceCell};
use transform::{
    Catalog, Code, Error, Heirs, Partition, PartitionChange, PartitionFilter, RegisteredPartition, Result, Table,
    TableName,
};

use failure::{CHANGED, EXISTS, NOT_FOUND, failed, says};
use memory::{Definition, Memory};

/// Tries of one request. Glue's limits count all users of an account, so that being refused for a while is normal.
const TRIES: u32 = 8;
/// The first wait before another try, at random up to this; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long one try may take.
const TRY_TIME: Duration = Duration::from_secs(20);
/// How long all tries may take together.
const WHOLE_TIME: Duration = Duration::from_secs(90);

/// Databases whose tables are listed at a time.
const DATABASES_AT_A_TIME: usize = 4;

/// A client that tries again, with growing random waits, when Glue has too many requests or a fault of its own.
pub fn client(config: &SdkConfig) -> Client {
    let retries = RetryConfig::standard()
        .with_max_attempts(TRIES)
        .with_initial_backoff(FIRST_WAIT)
        .with_max_backoff(LONGEST_WAIT);
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TRY_TIME).operation_timeout(WHOLE_TIME).build();
    let config = aws_sdk_glue::config::Builder::from(config).retry_config(retries).timeout_config(timeouts);
    Client::from_conf(config.build())
}

/// The Glue Data Catalog of an account and region. A table's version is its `VersionId`.
#[derive(Debug, Clone)]
pub struct GlueCatalog {
    client: Client,
    catalog_id: Option<String>,
    homes: Homes,
    memory: Memory,
}

/// The folders of databases that were asked for.
type Homes = Arc<Mutex<HashMap<String, Arc<OnceCell<Option<String>>>>>>;

impl GlueCatalog {
    /// The catalog of the account that the client's credentials belong to.
    pub fn new(client: Client) -> Self {
        Self { client, catalog_id: None, homes: Homes::default(), memory: Memory::default() }
    }

    /// The catalog of another account.
    #[must_use]
    pub fn of_account(self, catalog_id: impl Into<String>) -> Self {
        Self { catalog_id: Some(catalog_id.into()), ..self }
    }

    async fn databases(&self) -> Result<Vec<String>> {
        let request = self.client.get_databases().set_catalog_id(self.catalog_id.clone());
        let request = request.attributes_to_get(DatabaseAttributes::Name);
        let mut pages = request.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.try_next().await.map_err(|error| failed("listing the databases", error))? {
            names.extend(page.database_list.into_iter().map(|database| database.name));
        }
        Ok(names)
    }

    /// A database's tables that unglue can have in a query, Glue allows more names; of each the attributes that are named, or all.
    async fn tables_of(
        &self,
        database: String,
        attributes: Option<TableAttributes>,
    ) -> Result<Vec<(TableName, types::Table)>> {
        let request = self.client.get_tables().set_catalog_id(self.catalog_id.clone()).database_name(&database);
        let request = request.set_attributes_to_get(attributes.map(|attribute| vec![attribute]));
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        loop {
            let error = match pages.try_next().await {
                Ok(Some(page)) => {
                    let tables = page.table_list.into_iter().flatten();
                    found.extend(tables.filter_map(|table| {
                        let name = TableName::new(&database.to_lowercase(), &table.name.to_lowercase()).ok()?;
                        Some((name, table))
                    }));
                    continue;
                }
                Ok(None) => return Ok(found),
                // It was deleted meanwhile.
                Err(error) if says(&error, NOT_FOUND) => return Ok(Vec::new()),
                Err(error) => failed(&format!("listing the tables of `{database}`"), error),
            };
            // A role that may see some databases only must still be able to work with these.
            if error.code != Code::PermissionDenied {
                return Err(error);
            }
            tracing::warn!("the tables of `{database}` are passed over: {error}");
            return Ok(Vec::new());
        }
    }

    /// The tables of all databases, sorted by name.
    async fn all_tables(&self, attributes: Option<TableAttributes>) -> Result<Vec<(TableName, types::Table)>> {
        let databases = self.databases().await?;
        let of = |database| self.tables_of(database, attributes.clone());
        let mut listed = stream::iter(databases.into_iter().map(of)).buffer_unordered(DATABASES_AT_A_TIME);
        let mut tables = Vec::new();
        while let Some(found) = listed.try_next().await? {
            tables.extend(found);
        }
        tables.sort_by(|(a, _), (b, _)| a.cmp(b));
        tables.dedup_by(|(a, _), (b, _)| a == b);
        Ok(tables)
    }

    /// The folder that a database names for its tables.
    async fn home(&self, database: &str) -> Result<Option<String>> {
        let request = self.client.get_database().set_catalog_id(self.catalog_id.clone()).name(database);
        match request.send().await {
            Ok(output) => {
                let written = output.database.and_then(|database| database.location_uri);
                Ok(written.and_then(|written| convert::location(Some(&written)).ok()))
            }
            Err(error) if says(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(failed(&format!("reading the database `{database}`"), error)),
        }
    }

    /// A table as Glue has it.
    async fn find(&self, name: &TableName) -> Result<Option<types::Table>> {
        let request = self.client.get_table().set_catalog_id(self.catalog_id.clone());
        match request.database_name(&name.database).name(&name.table).send().await {
            Ok(output) => Ok(output.table),
            Err(error) if says(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(failed(&format!("reading the table `{name}`"), error)),
        }
    }

    /// The table as it is after it was written: Glue does not answer with the version.
    async fn written(&self, name: &TableName) -> Result<Table> {
        self.table(name).await?.ok_or_else(|| changed(name))
    }

    /// The table, if it is there just as wanted: then an earlier request had an effect though its answer was lost, or another
    /// process wanted the same.
    async fn found_as(&self, wanted: &Table) -> Result<Table> {
        let found = self.table(&wanted.name).await?;
        match found.filter(|found| is_same(found, wanted)) {
            Some(found) => Ok(found),
            None => Err(changed(&wanted.name)),
        }
    }

    async fn create(&self, wanted: &Table) -> Result<Table> {
        let name = &wanted.name;
        let input = definition::table_input(wanted, None)?;
        let request = self.client.create_table().set_catalog_id(self.catalog_id.clone());
        match request.database_name(&name.database).table_input(input).send().await {
            Ok(_) => self.written(name).await,
            Err(error) if says(&error, EXISTS) => self.found_as(wanted).await,
            Err(error) if says(&error, NOT_FOUND) => {
                let message = format!("the database `{}` is not in the Glue Data Catalog", name.database);
                Err(Error::new(Code::NotFound, message).help(format!(
                    "create it, in the template or with `aws glue create-database --database-input Name={}`",
                    name.database
                )))
            }
            Err(error) => Err(failed(&format!("creating the table `{name}`"), error)),
        }
    }

    async fn replace(&self, wanted: &Table, version: &str) -> Result<Table> {
        let name = &wanted.name;
        let Some(present) = self.find(name).await? else { return Err(changed(name)) };
        let known = convert::table(name, &present)?;
        if is_same(&known, wanted) {
            return Ok(known);
        }
        if known.version.as_deref() != Some(version) {
            return Err(changed(name));
        }
        let input = definition::table_input(wanted, Some(&present))?;
        // Each archived version counts against a quota of the account, which runs that move tables would use up.
        let request = self.client.update_table().set_catalog_id(self.catalog_id.clone()).skip_archive(true);
        let request = request.database_name(&name.database).table_input(input).version_id(version);
        match request.send().await {
            Ok(_) => self.written(name).await,
            Err(error) if says(&error, CHANGED) || says(&error, NOT_FOUND) => self.found_as(wanted).await,
            Err(error) => Err(failed(&format!("changing the table `{name}`"), error)),
        }
    }
}

fn is_same(found: &Table, wanted: &Table) -> bool {
    Table { version: None, ..found.clone() } == Table { version: None, ..wanted.clone() }
}

fn changed(name: &TableName) -> Error {
    Error::new(Code::Conflict, format!("the table `{name}` was changed by another process")).help("run again")
}

#[async_trait]
impl Catalog for GlueCatalog {
    /// Read once for each database: where new tables go does not change under a running program.
    async fn database_location(&self, database: &str) -> Result<Option<String>> {
        let known = Arc::clone(self.homes.lock().await.entry(database.to_owned()).or_default());
        known.get_or_try_init(|| self.home(database)).await.cloned()
    }

    /// Tables that unglue cannot read are among them; what is wrong with one is said when it is asked for.
    async fn tables(&self) -> Result<Vec<TableName>> {
        let tables = self.all_tables(Some(TableAttributes::Name)).await?;
        Ok(tables.into_iter().map(|(name, _)| name).collect())
    }

    async fn definitions(&self) -> Result<Vec<Table>> {
        let tables = self.all_tables(None).await?;
        Ok(tables.iter().filter_map(|(name, table)| convert::table(name, table).ok()).collect())
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        let asked = Instant::now();
        let Some(found) = self.find(name).await? else { return Ok(None) };
        let table = convert::table(name, &found)?;
        self.memory.read(name, Definition::new(found, asked));
        Ok(Some(table))
    }

    async fn put_table(&self, table: &Table) -> Result<Table> {
        let wanted = definition::fitted(table);
        match &wanted.version {
            None => self.create(&wanted).await,
            Some(version) => self.replace(&wanted, version).await,
        }
    }

    async fn partitions(&self, name: &TableName) -> Result<Vec<Partition>> {
        self.all_partitions(name).await
    }

    async fn matching_partitions(&self, name: &TableName, filter: &PartitionFilter) -> Result<Vec<Partition>> {
        match expression::expression(filter) {
            Some(expression) => self.partitions_by(name, &expression).await,
            None => self.all_partitions(name).await,
        }
    }

    async fn partitions_with(
        &self,
        table: &Table,
        values: &BTreeSet<Vec<Option<String>>>,
    ) -> Result<Vec<RegisteredPartition>> {
        self.registered(table, values.iter()).await
    }

    /// A process that has seen partitions of a table has mostly seen those that are being filled.
    fn is_likely_new(&self, name: &TableName, values: &[Option<String>]) -> bool {
        self.memory.is_likely_new(name, values)
    }

    async fn add_partitions(&self, table: &Table, partitions: &[Partition]) -> Result<Vec<RegisteredPartition>> {
        self.add_all(table, partitions).await
    }

    async fn inherit(&self, name: &TableName, heirs: Heirs<'_>) -> Result<()> {
        self.inherit_columns(name, heirs).await
    }

    async fn change_partitions(&self, name: &TableName, changes: &[PartitionChange]) -> Result<()> {
        self.change_all(name, changes).await
    }
}
