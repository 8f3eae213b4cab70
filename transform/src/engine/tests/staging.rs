//! Staged files: published or given up by anyone, however often, whatever the storage answers.

use bytes::Bytes;

use super::faults::Fault;
use super::*;
use crate::stage::{Published, Stage, Staged, StagedWriter};

const FILE: &str = "out/rows/part";

async fn begun(world: &World) -> (Stage, StagedWriter) {
    let stage = Stage::new(world.root.clone(), world.root.path("_unglue/out/rows/runs/r/staged").unwrap());
    let mut writer = stage.create(world.root.path(FILE).unwrap(), "0123abcd", 0).await.unwrap();
    writer.write(Bytes::from_static(b"rows")).await.unwrap();
    (stage, writer)
}

async fn staged(world: &World) -> (Stage, Staged) {
    let (stage, writer) = begun(world).await;
    let staged = writer.finish().await.unwrap();
    assert_eq!(staged.size, 4);
    assert!(!is_visible(world).await);
    (stage, staged)
}

async fn is_visible(world: &World) -> bool {
    world.clean.read(&world.clean.path(FILE).unwrap()).await.unwrap().is_some()
}

async fn hidden_files(world: &World) -> usize {
    let folder = world.clean.path("_unglue").unwrap();
    world.clean.store().list(Some(&folder)).try_collect::<Vec<_>>().await.unwrap().len()
}

#[tokio::test]
async fn a_file_may_be_published_again_and_is_not_given_up_then() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = World::new(kind);
        let (stage, file) = staged(&world).await;
        for _ in 0..2 {
            assert_eq!(stage.publish(&file).await.unwrap(), Published::Visible, "{kind:?}");
            assert!(is_visible(&world).await, "{kind:?}");
        }
        stage.discard(&file).await.unwrap();
        assert!(is_visible(&world).await, "{kind:?}");
        for _ in 0..2 {
            stage.delete(&file.path).await.unwrap();
            assert!(!is_visible(&world).await, "{kind:?}");
        }
        assert_eq!(stage.publish(&file).await.unwrap(), Published::Lost, "{kind:?}");
    }
}

#[tokio::test]
async fn a_file_that_was_given_up_cannot_be_published() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = World::new(kind);
        let (stage, file) = staged(&world).await;
        for _ in 0..2 {
            stage.discard(&file).await.unwrap();
            assert_eq!(hidden_files(&world).await, 0, "{kind:?}");
        }
        assert_eq!(stage.publish(&file).await.unwrap(), Published::Lost, "{kind:?}");
        assert!(!is_visible(&world).await, "{kind:?}");
    }
    let world = World::new(Kind::Uploads);
    let (_, writer) = begun(&world).await;
    world.faults.plan(&[]);
    writer.abort().await;
    assert_eq!(world.faults.effects(), 1, "an upload that is not finished is aborted");
}

#[tokio::test]
async fn an_answer_that_is_no_answer_loses_nothing() {
    for kind in [Kind::Uploads, Kind::Files] {
        for fault in [Fault::Status503, Fault::Status500, Fault::TimeoutWithout] {
            let world = World::new(kind);
            let (stage, file) = staged(&world).await;
            world.faults.plan(&[(1, fault)]);
            assert_eq!(stage.publish(&file).await.unwrap_err().code, Code::Storage, "{kind:?} {fault:?}");
            assert_eq!(stage.publish(&file).await.unwrap(), Published::Visible, "{kind:?} {fault:?}");

            let world = World::new(kind);
            let (stage, file) = staged(&world).await;
            world.faults.plan(&[(1, fault)]);
            assert_eq!(stage.discard(&file).await.unwrap_err().code, Code::Storage, "{kind:?} {fault:?}");
            stage.discard(&file).await.unwrap();
            assert_eq!(stage.publish(&file).await.unwrap(), Published::Lost, "{kind:?} {fault:?}");
        }
        for fault in [Fault::TimeoutWithEffect, Fault::RetriedByClient] {
            let world = World::new(kind);
            let (stage, file) = staged(&world).await;
            world.faults.plan(&[(1, fault)]);
            assert_eq!(stage.publish(&file).await.unwrap(), Published::Visible, "{kind:?} {fault:?}: it is there");
        }
    }
}

#[tokio::test]
async fn what_lies_in_the_place_of_a_file_is_told_from_it_by_its_size() {
    let world = World::new(Kind::Files);
    let (stage, file) = staged(&world).await;
    world.upload(FILE, "something else").await;
    assert_eq!(stage.publish(&file).await.unwrap_err().code, Code::Storage);
    assert_eq!(hidden_files(&world).await, 1);
    // A process that died between linking and removing leaves both.
    world.upload(FILE, "rows").await;
    assert_eq!(stage.publish(&file).await.unwrap(), Published::Visible);
    assert_eq!(hidden_files(&world).await, 0);
}
