//! Seeded sequences of arrivals, changes, runs, crashes and rebuilds with gc in between: no table ever reads otherwise after
//! a gc than before, and all come to rest as they should be.

use super::super::faults::Dice;
use super::*;

/// What was uploaded: the newest content of each key.
type Raw = BTreeMap<String, String>;

async fn put(world: &World, raw: &mut Raw, key: String, rows: &[(u64, u64)]) {
    let mut text = "id,at,amount\n".to_owned();
    for (id, day) in rows {
        text.push_str(&format!("{id},2026-11-{:02},{}\n", 1 + day, id + day));
    }
    world.upload(&key, &text).await;
    raw.insert(key, text);
}

/// A new object of each source, with ids that no other has in `raw.t` and ids that come again in `raw.m`.
async fn arrive(world: &World, raw: &mut Raw, n: u64, dice: &mut Dice) {
    let day = dice.below(4);
    put(world, raw, format!("raw/t/n{n}.csv"), &[(100 + 2 * n, day), (101 + 2 * n, dice.below(4))]).await;
    // Later objects have later times, so that the latest row of a key is known.
    put(world, raw, format!("raw/m/n{n}.csv"), &[(dice.below(6), 5 + n), (50 + n, dice.below(3))]).await;
}

/// Other content for an object of `raw.t` that has arrived.
async fn change(world: &World, raw: &mut Raw, n: u64, dice: &mut Dice) {
    let key = format!("raw/t/n{}.csv", dice.below(n.max(1)));
    if raw.contains_key(&key) {
        put(world, raw, key, &[(1000 + n, dice.below(4))]).await;
    }
}

/// Gc with nothing kept for readers; no table must read otherwise.
async fn collect(world: &World, what: &str) -> u64 {
    let before = world.content().await;
    let collected = world.gc().await;
    assert_eq!(world.content().await, before, "{what}: {collected:?}");
    collected.iter().map(|table| table.replaced.files + table.staged.files).sum()
}

/// The tables that come from these objects and nothing before.
async fn right(world: &World, raw: &Raw) -> BTreeMap<&'static str, Vec<String>> {
    let mut fresh = World::two_days(Kind::Uploads).await;
    fresh.upload("raw/m/1.csv", "id,at,amount\n1,2026-11-01,1\n2,2026-11-02,2\n3,2026-11-02,3\n").await;
    fresh.sql = world.sql.clone();
    for (key, text) in raw {
        fresh.upload(key, text).await;
    }
    fresh.rest().await;
    fresh.content().await
}

async fn sequence(kind: Kind, seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let world = world(kind).await;
    let mut raw = Raw::new();
    let mut deleted = 0;
    for step in 0..8 {
        let what = format!("{kind:?} seed {seed} step {step}");
        match dice.below(8) {
            0 | 1 => arrive(&world, &mut raw, step, &mut dice).await,
            2 | 3 => change(&world, &mut raw, step, &mut dice).await,
            4 => {
                let (_, failed) = world.invoke(true).await;
                assert!(failed.is_none(), "{what}: {failed:?}");
            }
            5 => {
                world.die_at(1 + dice.below(80)).await;
            }
            6 => {
                world.dies_at(1 + dice.below(80), dice.below(2) == 0);
                world.invoke(true).await;
                world.revived();
            }
            _ => {
                // Beside a run and another collector, which may end in errors but not in other rows. One of them dies.
                if let Kind::Uploads = kind {
                    let others: Vec<World> = (1..4).map(|number| world.process(10 * step + number)).collect();
                    others.iter().for_each(|other| other.faults.pace(dice.split()));
                    others[2].dies_at(1 + dice.below(10), false);
                    let _ = futures::join!(others[0].runs(), others[1].gc_at(far()), others[2].gc_at(far()));
                } else {
                    let _ = futures::join!(world.runs(), world.gc_at(far()), world.gc_at(far()));
                }
            }
        }
        deleted += collect(&world, &what).await;
        if dice.below(2) == 0 {
            world.rest().await;
            deleted += collect(&world, &what).await;
            let findings = world.doctor(false).await;
            assert!(findings.is_empty(), "{what}: {findings:#?}");
        }
    }
    world.rest().await;
    deleted += collect(&world, &format!("{kind:?} seed {seed}")).await;
    assert_eq!(world.content().await, right(&world, &raw).await, "{kind:?} seed {seed}");
    let findings = world.doctor(false).await;
    assert!(findings.is_empty(), "{kind:?} seed {seed}: {findings:#?}");
    // All that was replaced is gone: what is there is what readers see.
    let held: BTreeSet<String> = world.held().await.iter().map(ToString::to_string).collect();
    assert_eq!(world.paths("out").await.into_iter().collect::<BTreeSet<_>>(), held, "{kind:?} seed {seed}");
    deleted
}

/// How many sequences; `UNGLUE_GC_SEEDS` asks for more.
#[allow(clippy::disallowed_methods)]
fn seeds() -> u64 {
    std::env::var("UNGLUE_GC_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(10)
}

#[tokio::test]
async fn gc_never_changes_what_readers_see() {
    let seeds = seeds();
    let mut deleted = 0;
    for seed in 0..seeds {
        deleted += Box::pin(sequence(Kind::Uploads, seed)).await;
        if seed % 4 == 0 {
            deleted += Box::pin(sequence(Kind::Files, seed)).await;
        }
    }
    assert!(deleted > 20 * seeds, "only {deleted} files were ever deleted");
}

#[tokio::test]
async fn a_reader_keeps_what_it_found_for_the_retention() {
    let mut deleted = 0;
    for seed in 0..3 {
        let mut dice = Dice::new(seed);
        let world = world(Kind::Uploads).await;
        let mut raw = Raw::new();
        // When a reader looked, and what it found.
        let mut reader = None;
        for step in 0..8 {
            arrive(&world, &mut raw, step, &mut dice).await;
            change(&world, &mut raw, step, &mut dice).await;
            if dice.below(3) == 0 {
                world.invoke(true).await;
            }
            world.rest().await;
            if let Some((looked, held)) = reader {
                // Just one retention after the reader looked, and the table was replaced since.
                let collected = world.gc_at(looked + TimeDelta::days(1)).await.unwrap();
                deleted += collected.iter().map(|table| table.replaced.files).sum::<u64>();
                assert!(collected.iter().any(|table| table.too_young.files > 0), "seed {seed} step {step}");
                for path in &held {
                    let found = world.clean.store().head(path).await;
                    assert!(found.is_ok(), "seed {seed} step {step}: {path}");
                }
            }
            reader = Some((world.latest().await, world.held().await));
        }
    }
    assert!(deleted > 20, "only {deleted} files were older");
}

#[tokio::test]
async fn a_collector_that_dies_leaves_the_rest_to_the_next() {
    for effect in 1.. {
        let world = world(Kind::Uploads).await;
        world.rest().await;
        let mut raw = Raw::new();
        arrive(&world, &mut raw, 0, &mut Dice::new(0)).await;
        world.rest().await;
        world.invoke(true).await;
        let content = world.content().await;
        world.dies_at(effect, effect.is_multiple_of(2));
        let outcome = world.gc_at(far()).await;
        let died = world.revived();
        assert_eq!(outcome.is_err(), died);
        assert_eq!(world.content().await, content);
        collect(&world, "after the death").await;
        let held: BTreeSet<String> = world.held().await.iter().map(ToString::to_string).collect();
        assert_eq!(world.paths("out").await.into_iter().collect::<BTreeSet<_>>(), held);
        if !died {
            assert!(effect > 10, "only {effect} deletions");
            break;
        }
    }
}
