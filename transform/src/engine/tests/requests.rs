//! How many requests the protocol costs, by the number of inputs.

use std::time::Instant;

use object_store::ObjectStoreExt;

use super::*;
use crate::arrival::{ArrivalId, ClaimName};
use crate::inputs::{Input, described};

const COPY: &str = "SELECT id, amount FROM raw.t";

/// Requests of an invocation that has so many new objects, on a table that exists, and of one that has nothing to do.
async fn requests(inputs: usize) -> (u64, u64) {
    let mut world = World::new(Kind::Uploads);
    world.sql = [("sql/out/rows.sql".to_owned(), COPY.to_owned())].into();
    world.upload("raw/t/first.csv", "id,amount\n0,0\n").await;
    assert!(world.runs().await.1.is_none());
    for n in 0..inputs {
        world.upload(&format!("raw/t/{n}.csv"), &format!("id,amount\n{n},1\n")).await;
    }
    world.faults.plan(&[]);
    let (done, failed) = world.runs().await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(done, [format!("out.rows {inputs}")]);
    let busy = world.faults.effects();
    world.faults.plan(&[]);
    assert_eq!(world.runs().await.0, Vec::<String>::new());
    (busy, world.faults.effects())
}

#[tokio::test]
async fn a_run_costs_one_write_an_input_and_a_few_more() {
    for inputs in [1, 10, 1000] {
        let (busy, idle) = requests(inputs).await;
        // Three of them stage and publish the one data file.
        eprintln!("{inputs} inputs: {} writes of the protocol beside one an input", busy - inputs as u64 - 3);
        assert_eq!(idle, 0, "with nothing to do nothing is written");
        assert!(busy - inputs as u64 - 3 <= 4, "{inputs} inputs: {busy} writes");
    }
}

/// Objects are read ahead; those that were processed before are not.
#[tokio::test]
async fn a_new_object_costs_little_more_beside_many_known_ones() {
    let mut costs = Vec::new();
    for known in [1, 60] {
        let mut world = World::new(Kind::Uploads);
        world.sql = [("sql/out/rows.sql".to_owned(), COPY.to_owned())].into();
        for n in 0..known {
            world.upload(&format!("raw/t/known-{n}.csv"), &format!("id,amount\n{n},1\n")).await;
        }
        assert!(world.runs().await.1.is_none());
        world.upload("raw/t/a-new-one.csv", "id,amount\n7,7\n").await;
        world.faults.plan(&[]);
        let before = world.faults.requests();
        assert_eq!(world.runs().await.0, ["out.rows 1"]);
        costs.push(world.faults.requests() - before);
    }
    // A sample of them is looked at for the schema of the table; 32 would be read ahead.
    assert!(costs[1] - costs[0] < 20, "{costs:?} requests");
}

/// A function is told which object arrived: what else lies in the table, and what was processed before, costs nothing.
#[tokio::test]
async fn an_object_that_is_named_costs_the_same_beside_ten_thousand_known_ones() {
    let mut costs = Vec::new();
    for known in [100, 10_000] {
        let mut world = World::new(Kind::Uploads);
        world.sql = [("sql/out/rows.sql".to_owned(), COPY.to_owned())].into();
        world.upload("raw/t/first.csv", "id,amount\n0,0\n").await;
        assert!(world.runs().await.1.is_none());
        for n in 0..known {
            world.upload(&format!("raw/t/{n}.csv"), "id,amount\n1,1\n").await;
        }
        claim_all(&world).await;
        world.upload("raw/t/a-new-one.csv", "id,amount\n7,7\n").await;
        world.faults.plan(&[]);
        let runs: Vec<_> =
            world.arrive(&["raw/t/a-new-one.csv"]).await.unwrap().into_iter().flat_map(|o| o.runs).collect();
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].as_ref().unwrap().rows, 1);
        costs.push(world.faults.requests());
        world.faults.plan(&[]);
        assert!(world.arrive(&["raw/t/a-new-one.csv"]).await.unwrap().iter().all(|outcome| outcome.runs.is_empty()));
        costs.push(world.faults.requests());
    }
    eprintln!("requests of an arrival and of its second delivery: {costs:?}");
    // Ten pages are those of the catalog's own look at the table. The claims are looked for by name once they fill a page.
    assert!(costs[2] <= costs[0] + 12 && costs[3] <= costs[1] + 11, "{costs:?}");
}

/// What arrives in a table is looked at in one request an object, of many objects in a part of them; nothing is listed.
#[tokio::test]
async fn objects_that_arrive_are_looked_at_once_at_most() {
    let world = World::new(Kind::Uploads);
    world.upload("raw/t/first.csv", "id,amount\n0,0.5\n").await;
    let (project, _) = Project::parse(Vec::new());
    world.engine().discover(&project).await.unwrap();
    let table = TableName::new("raw", "t").unwrap();
    let mut costs = Vec::new();
    for (folder, count, rows) in [("none", 0, 0), ("one", 1, 60_000), ("many", 10_000, 1)] {
        let text = format!("id,amount\n{}", "1234567,12345.6\n".repeat(rows));
        let mut objects = Vec::new();
        for n in 0..count {
            let key = format!("raw/t/{folder}-{n}.csv");
            world.upload(&key, &text).await;
            objects.push(NewObject { url: world.clean.absolute(&key), bytes: text.len() as u64 });
        }
        world.faults.plan(&[]);
        let before = world.faults.requests();
        let started = Instant::now();
        let told = world
            .engine()
            .discover_arrived(async || unreachable!("the catalog knows the table"), Some(&table), &objects)
            .await
            .unwrap();
        let took = started.elapsed().as_secs_f64();
        assert!(told.iter().all(|arrived| arrived.change.as_ref().is_none_or(|change| change.findings.is_empty())));
        costs.push(world.faults.requests() - before);
        eprintln!(
            "{count} objects of {} bytes: {} requests, {took:.2} s unoptimised",
            text.len(),
            costs[costs.len() - 1]
        );
    }
    // The embedded catalog lies in the same store: what it asks for is the same each time.
    assert_eq!(costs[1] - costs[0], 1, "{costs:?}");
    assert_eq!(costs[2] - costs[0], 256, "{costs:?}");
}

/// Claims every object of `raw.t`, as runs would.
async fn claim_all(world: &World) {
    let catalog = EmbeddedCatalog::new(world.clean.clone());
    let table = described(&catalog, &TableName::new("raw", "t").unwrap()).await.unwrap();
    let listed = Input::list(&world.clean, &catalog, table, &[], None).await.unwrap();
    for arrival in listed.arrivals() {
        let name = ClaimName { arrival: ArrivalId::of(arrival), generation: 0 };
        let path = world.clean.path(&format!("_unglue/out/rows/inputs/{}", name.file_name())).unwrap();
        world.clean.store().put(&path, "{}".into()).await.unwrap();
    }
}

/// What is new is told from two listings, of the source and of the names of the claims: neither inputs nor claims are read.
#[tokio::test]
async fn a_hundred_thousand_known_inputs_are_not_read_one_by_one() {
    let mut world = World::new(Kind::Uploads);
    world.sql = [("sql/out/rows.sql".to_owned(), COPY.to_owned())].into();
    world.upload("raw/t/first.csv", "id,amount\n0,0\n").await;
    assert!(world.runs().await.1.is_none());
    for n in 0..100_000 {
        world.upload(&format!("raw/t/{n}.csv"), "id,amount\n1,1\n").await;
    }
    claim_all(&world).await;
    world.faults.plan(&[]);
    let started = Instant::now();
    let (done, failed) = world.runs().await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(done, Vec::<String>::new());
    eprintln!(
        "100,000 known inputs: {} requests, {:.1} s unoptimised",
        world.faults.requests(),
        started.elapsed().as_secs_f64()
    );
    assert_eq!(world.faults.effects(), 0);
    // Two listings of the source, one of them for its schema, and one of the claims, of a hundred pages each.
    assert!(world.faults.requests() < 360, "{} requests", world.faults.requests());
}
