//! The runs of the past.

use super::*;
use crate::settings::WriteMode;
use crate::upkeep::{PastRun, RunOutcome};

impl World {
    async fn history(&self, limit: usize) -> Vec<PastRun> {
        let targets = [TableName::new("out", "rows").unwrap(), TableName::new("out", "total").unwrap()];
        self.engine().history(&targets, limit).await.unwrap().into_iter().map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn runs_are_listed_with_how_they_ended() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = world(kind).await;
        assert!(world.history(10).await.is_empty());
        world.rest().await;
        world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n6,2026-11-04,6\n").await;
        world.runs().await;
        let runs = world.history(10).await;
        let seen: Vec<_> = runs.iter().map(|run| (run.transform.table.as_str(), run.write, run.inputs.len())).collect();
        let (append, overwrite) = (Some(WriteMode::Append), Some(WriteMode::Overwrite));
        assert_eq!(seen.len(), 4);
        // The two calls are at different times; within one, runs are in the order of their ids.
        let newest: BTreeSet<_> = seen[..2].iter().map(|run| (run.0, run.1.is_some(), run.2)).collect();
        assert_eq!(newest, BTreeSet::from([("rows", true, 1), ("total", true, 4)]));
        assert!(seen.contains(&("rows", append, 1)) && seen.contains(&("rows", append, 2)), "{seen:?}");
        assert!(seen.contains(&("total", overwrite, 4)), "{seen:?}");
        let last = runs.iter().find(|run| run.transform.table == "rows").unwrap();
        let receipt = last.receipt.as_ref().unwrap();
        assert_eq!((last.outcome, receipt.rows, receipt.partitions.len()), (RunOutcome::Succeeded, 2, 2));
        assert!(last.ended.is_some() && last.at == Some(receipt.at) && last.run_id == receipt.run_id);

        assert_eq!(world.history(1).await[0].run_id, runs[0].run_id);
        let targets = [TableName::new("out", "total").unwrap(), TableName::new("out", "rows").unwrap()];
        let one = world.engine().past_run(&targets, &last.run_id).await.unwrap();
        assert_eq!((one.run_id.as_str(), one.inputs.len()), (last.run_id.as_str(), 1));
        let unknown = world.engine().past_run(&targets[..1], &last.run_id).await.unwrap_err();
        assert_eq!(unknown.code, Code::NotFound);
    }
}

#[tokio::test]
async fn runs_that_were_cut_off_are_open_and_later_not() {
    let mut seen = BTreeSet::new();
    for kind in [Kind::Uploads, Kind::Files] {
        for write in 1..40 {
            let mut world = world(kind).await;
            world.sql.retain(|file, _| file == "sql/out/rows.sql");
            world.die_at(write).await;
            let before = world.history(10).await;
            assert!(before.len() <= 1);
            if let Some(run) = before.first() {
                seen.insert(format!("{:?}", run.outcome));
                assert_eq!(run.ended.is_some(), run.outcome == RunOutcome::Succeeded);
                assert_eq!(run.receipt.is_some(), run.outcome != RunOutcome::NotCommitted);
                assert_eq!(run.inputs.len(), 2);
            }
            world.rest().await;
            let after = world.history(10).await;
            assert_eq!(after.len(), 1);
            assert_eq!(after[0].outcome, RunOutcome::Succeeded);
        }
    }
    assert_eq!(seen, ["NotCommitted", "NotVisible", "Succeeded"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_damaged_record_hides_no_other_run() {
    let world = world(Kind::Uploads).await;
    world.rest().await;
    let done = world.paths("_unglue/out/rows/runs").await.into_iter().find(|path| path.ends_with("done.json")).unwrap();
    world.upload(&done, "{").await;
    let targets = [TableName::new("out", "rows").unwrap(), TableName::new("out", "total").unwrap()];
    let runs = world.engine().history(&targets, 10).await.unwrap();
    let codes: Vec<_> = runs.iter().map(|run| run.as_ref().map_err(|error| error.code).err()).collect();
    assert_eq!(codes.iter().flatten().count(), 1);
    assert!(codes.contains(&Some(Code::CatalogDamaged)) && codes.len() > 1, "{codes:?}");
}
