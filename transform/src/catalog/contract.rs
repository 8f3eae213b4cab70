//! The suite that every catalog must pass, written once.
//!
//! Its assertions panic with a text that says what a catalog owes its users.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use crate::catalog::{
    Catalog, PartitionColumns, PartitionCondition, PartitionFilter, PartitionTest, RegisteredPartition,
};
use crate::code::Code;
use crate::error::Result;
use crate::format::{CsvOptions, Format, JsonOptions};
use crate::table::{Column, Partition, PartitionChange, Table, TableName};

/// Runs the whole suite against a catalog.
///
/// `database` must be a name that nothing else uses, so that the suite can run against a shared service; `location` is the
/// URL of a folder, ending in `/`, below which the tables of the suite pretend to lie.
///
/// # Panics
/// If the catalog breaks the contract of [`Catalog`].
pub async fn contract(catalog: &dyn Catalog, database: &str, location: &str) {
    let suite = Suite { catalog, database, location };
    suite.absence_is_not_an_error().await;
    suite.tables_are_created_once().await;
    suite.definitions_are_replaced_by_version().await;
    suite.everything_in_a_definition_is_kept().await;
    suite.partitions_are_put_and_dropped().await;
    suite.odd_values_are_kept().await;
    suite.a_thousand_partitions_are_kept().await;
    suite.filters_leave_out_nothing_that_matches().await;
    suite.concurrent_partitions_are_all_kept().await;
    suite.of_concurrent_creations_one_wins().await;
    suite.of_concurrent_replacements_one_wins().await;
    suite.tables_are_listed_in_order().await;
}

struct Suite<'a> {
    catalog: &'a dyn Catalog,
    database: &'a str,
    location: &'a str,
}

fn ok<T>(result: Result<T>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what} failed: {error}"),
    }
}

#[track_caller]
fn refused<T>(result: Result<T>, code: Code, what: &str) {
    match result {
        Ok(_) => panic!("{what} must be refused with `{code}`, but went through"),
        Err(error) => assert_eq!(error.code, code, "{what} must be refused with `{code}`, not: {error}"),
    }
}

/// The change of a partition from one place to another.
fn moving(partition: &Partition, from: Option<&Partition>, to: Option<&Partition>) -> PartitionChange {
    PartitionChange { values: partition.values.clone(), from: from.map(|from| from.location.clone()), to: to.cloned() }
}

fn condition(key: &str, hive_type: &str, test: PartitionTest) -> PartitionCondition {
    let hive_type = ok(hive_type.parse(), "parsing a type of the suite");
    PartitionCondition { key: key.to_owned(), hive_type, test }
}

/// Whether a partition by `day` and `region` meets all conditions. Texts and days sort alike.
fn is_met(conditions: &[PartitionCondition], partition: &Partition) -> bool {
    conditions.iter().all(|condition| {
        let value = &partition.values[usize::from(condition.key == "region")];
        value.as_ref().is_some_and(|value| match &condition.test {
            PartitionTest::In(values) => values.contains(value),
            PartitionTest::Less(bound) => value < bound,
            PartitionTest::LessOrEqual(bound) => value <= bound,
            PartitionTest::Greater(bound) => value > bound,
            PartitionTest::GreaterOrEqual(bound) => value >= bound,
        })
    })
}

fn column(name: &str, hive_type: &str) -> Column {
    Column { name: name.to_owned(), hive_type: ok(hive_type.parse(), "parsing a type of the suite"), comment: None }
}

impl Suite<'_> {
    fn name(&self, table: &str) -> TableName {
        ok(TableName::new(self.database, table), "naming a table of the suite")
    }

    /// A table with one column and the partition keys `day` and `region`.
    fn table(&self, table: &str) -> Table {
        Table {
            name: self.name(table),
            columns: vec![column("id", "bigint")],
            partition_keys: vec![column("day", "date"), column("region", "string")],
            format: Format::Parquet,
            location: format!("{}{}/{table}/", self.location, self.database),
            description: None,
            parameters: BTreeMap::new(),
            version: None,
        }
    }

    fn partition(&self, table: &str, values: [Option<&str>; 2], folder: &str) -> Partition {
        Partition {
            values: values.iter().map(|value| value.map(str::to_owned)).collect(),
            location: format!("{}{}/{table}/{folder}/", self.location, self.database),
            parameters: BTreeMap::new(),
        }
    }

    async fn created(&self, table: &Table) -> Table {
        ok(self.catalog.put_table(table).await, "creating a table")
    }

    async fn stored(&self, name: &TableName) -> Table {
        match ok(self.catalog.table(name).await, "reading a table") {
            Some(table) => table,
            None => panic!("the table `{name}` was put and must be there"),
        }
    }

    async fn partitions(&self, name: &TableName) -> Vec<Partition> {
        ok(self.catalog.partitions(name).await, "reading partitions")
    }

    async fn absence_is_not_an_error(&self) {
        let name = self.name("absent");
        assert_eq!(ok(self.catalog.table(&name).await, "reading an absent table"), None, "an absent table is `None`");
        assert_eq!(self.partitions(&name).await, [], "an absent table has no partitions");
        let partition = self.partition("absent", [Some("2026-01-01"), Some("eu")], "p");
        refused(
            self.catalog.change_partitions(&name, &[moving(&partition, Some(&partition), None)]).await,
            Code::NotFound,
            "changing partitions of an absent table",
        );
        refused(
            self.catalog.add_partitions(&self.table("absent"), &[partition]).await,
            Code::NotFound,
            "adding a partition to an absent table",
        );
        assert_eq!(
            ok(self.catalog.table(&name).await, "reading an absent table"),
            None,
            "a refused partition must not create its table"
        );
    }

    async fn tables_are_created_once(&self) {
        let table = self.table("created");
        let created = self.created(&table).await;
        assert!(created.version.is_some(), "a table that was put has a version");
        assert_eq!(Table { version: None, ..created.clone() }, table, "what was put is returned");
        assert_eq!(self.stored(&table.name).await, created, "what was put is read, with the same version");

        let again = self.created(&table).await;
        assert_eq!(again, created, "creating the same table again is one thing: a lost answer may be the reason");

        let other = Table { description: Some("another".to_owned()), ..table.clone() };
        refused(
            self.catalog.put_table(&other).await,
            Code::Conflict,
            "creating a table that exists with another definition",
        );
        assert_eq!(self.stored(&table.name).await, created, "a refused creation changes nothing");
    }

    async fn definitions_are_replaced_by_version(&self) {
        let first = self.created(&self.table("replaced")).await;
        let partition = self.partition("replaced", [Some("2026-01-01"), Some("eu")], "p");
        ok(self.catalog.add_partitions(&first, std::slice::from_ref(&partition)).await, "adding a partition");

        let mut changed = first.clone();
        changed.columns.push(column("amount", "decimal(12,2)"));
        let second = ok(self.catalog.put_table(&changed).await, "replacing after a partition was added");
        assert_ne!(second.version, first.version, "a changed definition has another version");
        assert_eq!(second.columns, changed.columns, "the new definition is returned");
        assert_eq!(self.stored(&first.name).await, second, "the new definition is read");
        assert_eq!(self.partitions(&first.name).await, [partition], "replacing a definition keeps the partitions");

        let stale = Table { description: Some("stale".to_owned()), ..first };
        refused(self.catalog.put_table(&stale).await, Code::Conflict, "replacing a definition by a stale version");
        assert_eq!(self.stored(&stale.name).await, second, "a refused replacement changes nothing");

        let absent = Table { version: second.version.clone(), ..self.table("never_created") };
        refused(self.catalog.put_table(&absent).await, Code::Conflict, "replacing a table that does not exist");
    }

    async fn everything_in_a_definition_is_kept(&self) {
        let mut table = self.table("complete");
        table.description = Some("One row per order; Grüße, 日本".to_owned());
        table.parameters = BTreeMap::from([
            ("classification".to_owned(), "csv".to_owned()),
            ("owner's note".to_owned(), "a=b, c \"d\"".to_owned()),
        ]);
        table.format = Format::Csv(CsvOptions { delimiter: '\t', quote: Some('\''), ..CsvOptions::default() });
        table.columns = [
            "boolean",
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "float",
            "double",
            "decimal(38,10)",
            "string",
            "varchar(10)",
            "char(3)",
            "binary",
            "date",
            "timestamp",
            "array<int>",
            "map<string,double>",
            "struct<a:int,b:array<struct<c:date>>>",
        ]
        .iter()
        .enumerate()
        .map(|(index, hive_type)| column(&format!("c{index}"), hive_type))
        .collect();
        table.columns[0].comment = Some("Whether it's \"so\"".to_owned());
        table.partition_keys[0].comment = Some("Day of the order".to_owned());
        let created = self.created(&table).await;
        let stored = self.stored(&table.name).await;
        assert_eq!(stored, created, "every part of a definition is kept");
        assert_eq!(Table { version: None, ..stored }, table, "every part of a definition is kept");

        let csv = CsvOptions::default();
        for format in [
            Format::Json(JsonOptions::default()),
            Format::Parquet,
            Format::Avro,
            Format::Orc,
            Format::Csv(CsvOptions { header_lines: 0, null: Some("\\N".to_owned()), ..csv.clone() }),
            Format::Csv(CsvOptions { header_lines: 3, by_position: true, ..csv.clone() }),
            Format::Csv(CsvOptions { escape: Some('\\'), comment: Some('#'), ..csv.clone() }),
            Format::Csv(CsvOptions { delimiter: '\u{1}', quote: None, escape: Some('~'), ..csv.clone() }),
            Format::Csv(CsvOptions { quote: None, encoding: Some("windows-1252".to_owned()), ..csv }),
        ] {
            let present = self.stored(&table.name).await;
            let changed = Table { format: format.clone(), ..present };
            ok(self.catalog.put_table(&changed).await, "changing the format");
            assert_eq!(self.stored(&table.name).await.format, format, "the format is kept");
        }
    }

    async fn partitions_are_put_and_dropped(&self) {
        let table = self.created(&self.table("partitioned")).await;
        let name = table.name.clone();
        let partition = |day, region, folder| self.partition("partitioned", [Some(day), Some(region)], folder);
        let (a, b, c) = (
            partition("2026-01-01", "eu", "a"),
            partition("2026-01-01", "us", "b"),
            partition("2026-01-02", "eu", "c"),
        );
        let same = |partition: &Partition| RegisteredPartition::same(partition.clone());
        let adding = |partitions: Vec<Partition>, what: &'static str| {
            let table = &table;
            async move { ok(self.catalog.add_partitions(table, &partitions).await, what) }
        };
        assert_eq!(adding(vec![], "adding no partition").await, []);
        assert_eq!(self.partitions(&name).await, []);
        assert_eq!(adding(vec![c.clone(), a.clone()], "adding partitions").await, []);
        assert_eq!(adding(vec![b.clone()], "adding one more").await, []);
        let there = adding(vec![b.clone(), a.clone()], "adding the same again").await;
        assert_eq!(there, [same(&a), same(&b)], "what was there is told, sorted by its values");
        let version = self.stored(&name).await.version;
        assert_eq!(
            self.partitions(&name).await,
            [a.clone(), b.clone(), c.clone()],
            "partitions are sorted by their values, each there once"
        );

        let mut moved = partition("2026-01-01", "us", "b2");
        moved.parameters.insert("rows".to_owned(), "17".to_owned());
        let new = partition("2026-01-04", "us", "e");
        let there = adding(vec![new.clone(), moved.clone()], "adding one that is there in another place").await;
        assert_eq!(there, [same(&b)], "it is told as it is");
        assert_eq!(self.partitions(&name).await[1], b, "and left as it is");
        assert_eq!(self.partitions(&name).await[3], new, "and the others are added");
        let changes = [moving(&b, Some(&b), Some(&moved)), moving(&new, Some(&new), None)];
        ok(self.catalog.change_partitions(&name, &changes).await, "moving a partition");
        assert_eq!(
            self.partitions(&name).await,
            [a.clone(), moved.clone(), c.clone()],
            "a partition with the same values is replaced"
        );

        let unknown = partition("2026-01-03", "eu", "d");
        let gone = [moving(&c, Some(&c), None), moving(&unknown, Some(&unknown), None)];
        ok(self.catalog.change_partitions(&name, &gone).await, "dropping a partition and an unknown one");
        ok(self.catalog.change_partitions(&name, &gone).await, "dropping again");
        assert_eq!(self.partitions(&name).await, [a.clone(), moved.clone()], "only the dropped partition is gone");
        ok(self.catalog.change_partitions(&name, &[moving(&b, Some(&b), None)]).await, "dropping one that was moved");
        ok(self.catalog.change_partitions(&name, &[moving(&b, None, Some(&b))]).await, "adding one that exists");
        assert_eq!(self.partitions(&name).await, [a.clone(), moved.clone()], "what was moved stays");
        let changes = [moving(&c, None, Some(&c)), moving(&b, Some(&moved), Some(&b)), moving(&a, Some(&a), None)];
        ok(self.catalog.change_partitions(&name, &changes).await, "adding, moving and dropping in one call");
        assert_eq!(self.partitions(&name).await, [b, c]);
        assert_eq!(self.stored(&name).await.version, version, "partitions do not change the version of the definition");
    }

    async fn odd_values_are_kept(&self) {
        let table = self.created(&self.table("odd")).await;
        let name = table.name.clone();
        let values = ["a/b", "a=b", "100%", "a b+c", "it's \"so\"", "~#?*[]{}:\\", "é 日本 🎉", "007", "NULL", "null"];
        let mut expected =
            vec![self.partition("odd", [None, None], "none"), self.partition("odd", [None, Some("eu")], "half")];
        expected.extend(
            values
                .iter()
                .enumerate()
                .map(|(index, value)| self.partition("odd", [Some("2026-01-01"), Some(value)], &format!("p{index}"))),
        );
        ok(self.catalog.add_partitions(&table, &expected).await, "adding partitions with odd values");
        expected.sort_by(|a, b| a.values.cmp(&b.values));
        assert_eq!(self.partitions(&name).await, expected, "values are kept as they are, NULL comes first");

        let null = self.partition("odd", [None, None], "none");
        ok(
            self.catalog.change_partitions(&name, &[moving(&null, Some(&null), None)]).await,
            "dropping a NULL partition",
        );
        expected.retain(|partition| partition.values != [None, None]);
        assert_eq!(self.partitions(&name).await, expected, "only the all-NULL partition is gone");
    }

    async fn a_thousand_partitions_are_kept(&self) {
        let table = self.created(&self.table("many")).await;
        let name = table.name.clone();
        let expected: Vec<Partition> = (0..1000)
            .map(|index| {
                self.partition("many", [Some("2026-01-01"), Some(&format!("r{index:04}"))], &format!("p{index}"))
            })
            .collect();
        ok(self.catalog.add_partitions(&table, &expected).await, "adding 1,000 partitions in one call");
        assert_eq!(self.partitions(&name).await, expected, "all of 1,000 partitions are read, in order");
        let all: Vec<_> = expected.iter().map(|partition| moving(partition, Some(partition), None)).collect();
        ok(self.catalog.change_partitions(&name, &all).await, "dropping 1,000 partitions in one call");
        assert_eq!(self.partitions(&name).await, []);
    }

    async fn filters_leave_out_nothing_that_matches(&self) {
        let table = self.created(&self.table("filtered")).await;
        let name = table.name.clone();
        let mut all = vec![self.partition("filtered", [None, None], "none")];
        for day in ["2026-01-01", "2026-01-02", "2026-01-10"] {
            for region in ["eu", "it's", "日本"] {
                all.push(self.partition("filtered", [Some(day), Some(region)], &format!("{day}-{region}")));
            }
        }
        ok(self.catalog.add_partitions(&table, &all).await, "adding partitions to be filtered");
        let day = |test| condition("day", "date", test);
        let region = |test| condition("region", "string", test);
        let one = |value: &str| PartitionTest::In(vec![value.to_owned()]);
        for conditions in [
            vec![],
            vec![day(one("2026-01-02"))],
            vec![
                day(PartitionTest::Greater("2026-01-01".to_owned())),
                day(PartitionTest::Less("2026-01-10".to_owned())),
            ],
            vec![day(PartitionTest::GreaterOrEqual("2026-01-02".to_owned())), region(one("it's"))],
            vec![region(PartitionTest::In(vec!["日本".to_owned(), "a\\b".to_owned()]))],
            vec![region(PartitionTest::LessOrEqual("it's".to_owned()))],
            vec![region(one("nowhere"))],
        ] {
            for canonical in [false, true] {
                let filter = PartitionFilter { conditions: conditions.clone(), canonical };
                let found =
                    ok(self.catalog.matching_partitions(&name, &filter).await, "reading partitions by a filter");
                assert!(found.is_sorted_by_key(|partition| &partition.values), "what a filter lets through is sorted");
                assert!(found.iter().all(|partition| all.contains(partition)), "partitions are as they were put");
                for partition in all.iter().filter(|partition| is_met(&conditions, partition)) {
                    assert!(found.contains(partition), "{filter:?} must let {:?} through", partition.values);
                }
            }
        }
        let chosen = [&all[0], &all[all.len() - 1]];
        let mut values: BTreeSet<_> = chosen.iter().map(|partition| partition.values.clone()).collect();
        values.insert(vec![Some("1999-01-01".to_owned()), Some("nowhere".to_owned())]);
        let found = ok(self.catalog.partitions_with(&table, &values).await, "reading partitions by their values");
        assert_eq!(found.len(), 2, "those that are there, and no others");
        assert!(found.iter().all(|found| chosen.contains(&&found.partition)), "partitions are as they were put");
        assert!(found.is_sorted_by_key(|found| &found.partition.values), "partitions are sorted");
        assert!(
            found.iter().all(|found| found.columns == PartitionColumns::Same),
            "partitions have the columns of their table"
        );
        let none = ok(self.catalog.partitions_with(&table, &BTreeSet::new()).await, "reading no partitions");
        assert_eq!(none, [], "no values are no partitions");
        let absent = ok(
            self.catalog.partitions_with(&self.table("absent"), &values).await,
            "reading partitions of an absent table by their values",
        );
        assert_eq!(absent, [], "an absent table has no partitions");
        let absent = ok(
            self.catalog.matching_partitions(&self.name("absent"), &PartitionFilter::default()).await,
            "reading partitions of an absent table by a filter",
        );
        assert_eq!(absent, [], "an absent table has no partitions");
    }

    async fn concurrent_partitions_are_all_kept(&self) {
        let table = &self.created(&self.table("busy")).await;
        let name = &table.name;
        let tasks = (0..8).map(|task| async move {
            let mut told = Vec::new();
            for index in 0..5 {
                let region = format!("t{task}-{index}");
                let own = self.partition("busy", [Some("2026-01-01"), Some(&region)], &region);
                let common = self.partition("busy", [Some("2026-01-01"), Some("common")], "common");
                let both = [own, common];
                told.extend(ok(self.catalog.add_partitions(table, &both).await, "adding beside other writers"));
            }
            told
        });
        let told: Vec<_> = join_all(tasks).await.into_iter().flatten().collect();
        assert_eq!(told.len(), 39, "who adds what another has added is told, all but the first");
        let found: Vec<_> =
            self.partitions(name).await.into_iter().filter_map(|mut partition| partition.values.remove(1)).collect();
        let mut expected: Vec<_> =
            (0..8).flat_map(|task| (0..5).map(move |index| format!("t{task}-{index}"))).collect();
        expected.push("common".to_owned());
        expected.sort();
        assert_eq!(found, expected, "8 writers at once lose no partition");
    }

    async fn of_concurrent_creations_one_wins(&self) {
        let tasks = (0..8).map(|task| async move {
            let table = Table { description: Some(format!("task {task}")), ..self.table("raced") };
            self.catalog.put_table(&table).await
        });
        let winner = one_winner(join_all(tasks).await);
        assert_eq!(self.stored(&self.name("raced")).await, winner, "the table is the winner's");
    }

    async fn of_concurrent_replacements_one_wins(&self) {
        let table = &self.created(&self.table("replaced_at_once")).await;
        let tasks = (0..8).map(|task| async move {
            let changed = Table { description: Some(format!("task {task}")), ..table.clone() };
            self.catalog.put_table(&changed).await
        });
        let winner = one_winner(join_all(tasks).await);
        assert_eq!(self.stored(&table.name).await, winner, "the table is the winner's");
    }

    async fn tables_are_listed_in_order(&self) {
        self.created(&self.table("zz_last")).await;
        self.created(&self.table("a_first")).await;
        let all = ok(self.catalog.tables().await, "listing the tables");
        assert!(all.is_sorted(), "tables are listed in order");
        let ours: Vec<_> =
            all.iter().filter(|name| name.database == self.database).map(|name| name.table.as_str()).collect();
        let expected = [
            "a_first",
            "busy",
            "complete",
            "created",
            "filtered",
            "many",
            "odd",
            "partitioned",
            "raced",
            "replaced",
            "replaced_at_once",
            "zz_last",
        ];
        assert_eq!(ours, expected, "every table is listed once, and none that was never created");
    }
}

fn one_winner(results: Vec<Result<Table>>) -> Table {
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    for loser in lost {
        refused(loser, Code::Conflict, "losing a race");
    }
    let mut winners: Vec<Table> = won.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "exactly one of several different definitions wins");
    winners.remove(0)
}
