mod queries;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::RecordBatch;

use super::*;
use crate::diagnose::text::Text;
use crate::plan::tests::{table, transform};
use crate::safety::clause;
use crate::safety::tests::evaluate::{Order, orders_of, plan_over, result};
use crate::safety::tests::{planned, unmarked};
use crate::session;
use crate::settings::Settings;
use queries::{ACCEPTED, refused};

/// The partition columns of a query: `day` and `hour`, as far as it has them.
fn partition(plan: &LogicalPlan) -> Vec<String> {
    let has = |name: &str| plan.schema().fields().iter().any(|field| field.name() == name);
    ["day", "hour"].into_iter().filter(|name| has(name)).map(str::to_owned).collect()
}

/// What is found for a query that is driven by `raw.orders`.
fn affected_by(plan: &LogicalPlan) -> Result<LogicalPlan, Reason> {
    affected(plan, &table("raw.orders"), &partition(plan)).map_err(|refuted| refuted.reason)
}

#[test]
fn these_are_computed_by_their_partitions() {
    for sql in ACCEPTED {
        let found = affected_by(&planned(sql)).unwrap_or_else(|reason| panic!("{sql}: {reason:?}"));
        let names: Vec<&String> = found.schema().fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, partition(&planned(sql)).iter().collect::<Vec<_>>(), "{sql}");
    }
}

#[test]
fn these_are_refused_at_the_marked_clause() {
    let state = session::planner().state();
    let is_aggregate = |name: &str| state.aggregate_functions().contains_key(name);
    for (marked, reason) in refused() {
        let (sql, line, column, length) = unmarked(marked);
        assert_eq!(affected_by(&planned(&sql)).err(), Some(reason.clone()), "{sql}");
        let transform = transform(&sql, Settings::default());
        let text = Text::of_file(&transform.file);
        let at = clause::at_fault(&reason, &transform.query, &table("raw.orders"), &text, &is_aggregate)
            .unwrap_or_else(|| panic!("no clause in {sql}"));
        assert_eq!((at.line, at.column, at.length), (line, column, length), "{sql}");
    }
}

#[test]
fn says_what_is_not_computed_by_which_column_and_what_to_do() {
    let refused = |sql: &str| {
        let refused = affected(&planned(sql), &table("raw.orders"), &["day".to_owned()]).unwrap_err();
        (refused.text.clone(), refused.way_out())
    };
    let (text, way_out) = refused("SELECT max(status) AS day FROM raw.orders");
    assert_eq!(text, "this aggregate is not computed by `day`, so that a new row may change rows of any partition");
    assert!(way_out.contains("GROUP BY"), "{way_out}");
    let (text, way_out) = refused(
        "SELECT c.since AS day FROM (SELECT customer_id FROM raw.orders GROUP BY customer_id) AS o \
         JOIN raw.customers AS c ON true",
    );
    assert!(text.starts_with("`day` is looked up for what comes out of an aggregate"), "{text}");
    assert!(way_out.contains("before the aggregate"), "{way_out}");
}

/// Numbers by chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Few values for each column, so that rows meet; each may be NULL.
    fn order(&mut self) -> Order {
        const DAY: i64 = 86_400_000_000;
        (
            self.one_of(&[Some(1), Some(2), Some(3), Some(4), None]),
            self.one_of(&[Some(1), Some(2), Some(3), Some(9), None]),
            self.one_of(&[Some(500), Some(2000), Some(-100), None]),
            self.one_of(&[Some(0), Some(5), Some(DAY), Some(DAY + 3_600_000_000), Some(2 * DAY), None]),
            self.one_of(&[Some("new"), Some("done"), Some("7"), Some(""), None]),
            self.one_of(&[Some(true), Some(false), None]),
        )
    }

    fn orders(&mut self, most: usize) -> RecordBatch {
        let rows: Vec<Order> = (0..self.below(most + 1)).map(|_| self.order()).collect();
        orders_of(&rows)
    }
}

/// The rows of a query by partition, each partition's sorted.
async fn by_partition(sql: &str, orders: &[RecordBatch]) -> BTreeMap<Vec<String>, Vec<String>> {
    let plan = plan_over(sql, orders);
    let names: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let of_keys: Vec<usize> =
        partition(&plan).iter().map(|key| names.iter().position(|name| name == key).unwrap()).collect();
    let mut partitions: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for row in result(plan).await.unwrap_or_else(|error| panic!("{sql}: {error}")) {
        let values = of_keys.iter().map(|index| row[*index].clone()).collect();
        partitions.entry(values).or_default().push(row.join(" | "));
    }
    partitions.values_mut().for_each(|rows| rows.sort());
    partitions
}

/// A partition that new rows change although it is not said to be affected; and how many are.
async fn unforeseen(sql: &str, old: &RecordBatch, new: &RecordBatch) -> (Option<Vec<String>>, usize) {
    let before = by_partition(sql, std::slice::from_ref(old)).await;
    let after = by_partition(sql, &[old.clone(), new.clone()]).await;
    let plan = affected_by(&plan_over(sql, std::slice::from_ref(new))).unwrap_or_else(|r| panic!("{sql}: {r:?}"));
    let affected: BTreeSet<Vec<String>> =
        result(plan).await.unwrap_or_else(|error| panic!("{sql}: {error}")).into_iter().collect();
    let all: BTreeSet<&Vec<String>> = before.keys().chain(after.keys()).collect();
    let changed: Vec<&Vec<String>> = all.into_iter().filter(|key| before.get(*key) != after.get(*key)).collect();
    (changed.iter().find(|key| !affected.contains(**key)).map(|key| (*key).clone()), changed.len())
}

/// How often each query is tried, with other rows each time.
const TRIES: u64 = 12;

#[tokio::test]
async fn new_rows_change_no_other_partitions() {
    for (number, sql) in ACCEPTED.iter().enumerate() {
        let mut changes = 0;
        for seed in 0..TRIES {
            let mut chance = Chance((number as u64 + 1) * 7919 + seed * 104_729 + 1);
            let (old, new) = (chance.orders(8), chance.orders(3));
            let (unforeseen, changed) = unforeseen(sql, &old, &new).await;
            assert_eq!(unforeseen, None, "{sql}\nold: {old:?}\nnew: {new:?}");
            changes += changed;
        }
        assert!(changes > 0, "no rows change the result of {sql}");
    }
}

/// The other way round: what is refused because partitions depend on one another mostly shows it.
#[tokio::test]
async fn partitions_of_refused_queries_depend_on_one_another() {
    let mut shown = 0;
    let crossing: Vec<String> = refused()
        .into_iter()
        .filter(|(_, reason)| matches!(reason, Reason::CrossesPartitions { .. }))
        .map(|(marked, _)| unmarked(marked).0)
        .collect();
    for (number, sql) in crossing.iter().enumerate() {
        for seed in 0..TRIES {
            let mut chance = Chance((number as u64 + 1) * 31_337 + seed * 15_485_863 + 1);
            let (old, new) = (chance.orders(8), chance.orders(1));
            let (before, after) = (
                by_partition(sql, std::slice::from_ref(&old)).await,
                by_partition(sql, &[old.clone(), new.clone()]).await,
            );
            let keys: BTreeSet<&Vec<String>> = before.keys().chain(after.keys()).collect();
            // One new row that touches several partitions, as no row of the accepted queries' final tables does.
            if keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).count() > 1 {
                shown += 1;
                break;
            }
        }
    }
    assert!(shown * 2 >= crossing.len(), "only {shown} of {} queries", crossing.len());
}

/// A condition above an aggregate may keep a partition column from failing: it holds for the search, too.
#[tokio::test]
async fn partition_columns_are_not_computed_for_rows_that_are_left_out() {
    let sql = "SELECT CAST(o.status AS INT) AS day, o.n FROM (SELECT status, count(*) AS n FROM raw.orders GROUP BY status) AS o \
               WHERE o.status = '7' AND o.n > 0";
    let order = |status| (Some(1), None, None, None, Some(status), None);
    let new = orders_of(&[order("new"), order("7")]);
    let plan = affected_by(&plan_over(sql, std::slice::from_ref(&new))).unwrap();
    assert_eq!(result(plan).await.unwrap(), [["7"]]);
}
