//! The main job, and everything that may disturb it.

use transform::{Bucket, DataRoot, EmbeddedCatalog};

use super::remote;
use super::server::{python, scripts, server};
use crate::bad_input::NAMES;
use crate::exactly_once::{EVENTS, Seeded, WAYS, at_once, consistent, exact, killed, put};
use crate::pack::gzip;
use crate::project::Project;

#[test]
fn the_whole_flow() {
    let Some(remote) = remote("flow") else { return };
    let project = Project::on(&remote, &EVENTS);
    for n in 0..3 {
        put(&project, n);
    }
    assert_eq!(project.run().clean().runs().len(), 3);
    exact(&project, 3);
    let visible = project.visible("");
    assert!(project.run().clean().runs().is_empty(), "a second run does nothing");
    assert_eq!(project.visible(""), visible);

    put(&project, 3);
    let runs = project.run().clean().runs();
    let facts = runs.iter().find(|run| run["transform"] == "facts.events").unwrap();
    assert_eq!(facts["inputs"].as_array().unwrap().len(), 1, "only the new object is read");
    exact(&project, 4);

    project.put("raw/events/000.csv", "id,day\n1,2026-11-01\n");
    project.run().clean();
    let rows = project.rows("facts.events");
    assert_eq!(rows.len(), 1201, "the rows of the changed object take the place of the former 400");
    assert!(rows.contains(&"1|2026-11-01".to_owned()), "the new row is there");
}

#[test]
fn the_data_folder_may_be_the_bucket_itself() {
    let Some(_) = server() else { return };
    let Some(remote) = remote("whole") else { return };
    let project = Project::on(&remote, &[("whole/copy", "SELECT id FROM whole.items")]);
    project.put("items/1.csv", "id\n1\n");
    project.unglue(&["run", "copy", "--data", "s3://test"]);
    let shown = project.unglue(&["catalog", "show", "--json", "--data", "s3://test/"]).clean().json();
    assert_eq!(remote.rows(&shown, "whole.copy").sorted(), ["1"]);
}

#[test]
fn files_of_several_parts() {
    let Some(remote) = remote("parts") else { return };
    let project = Project::on(&remote, &[("marts/copy", "-- @compression: none\nSELECT id, a, b, c FROM raw.items")]);
    let (mut text, mut rows, mut seeded) = (String::from("id,a,b,c\n"), 0_u64, Seeded::new(3));
    while text.len() < 30 << 20 {
        text.push_str(&format!(
            "{rows},a{},b{},c{}\n",
            seeded.below(1 << 31),
            seeded.below(1 << 31),
            seeded.below(1 << 31)
        ));
        rows += 1;
    }
    project.put("raw/items/1.csv.gz", gzip(text));
    let runs = project.run().clean().runs();
    assert_eq!(runs[0]["rows"], rows);
    let visible = project.visible("marts/copy");
    let largest = visible.iter().map(|(_, size)| *size).max().unwrap();
    assert!(largest > 2 * (8 << 20), "no file of three parts: {visible:?}");
    assert_eq!(project.rows("marts.copy").len() as u64, rows);
}

#[test]
fn keys_with_odd_characters() {
    let Some(remote) = remote("odd keys+100%") else { return };
    let project = Project::on(&remote, &[("marts/copy", "-- @partition: name\nSELECT id, name FROM raw.items")]);
    let mut rows = Vec::new();
    for (id, name) in NAMES.iter().enumerate() {
        let quoted = name.replace('"', "\"\"");
        project.put(&format!("raw/items/{name}.csv"), format!("id,name\n{id},\"{quoted}\"\n"));
        rows.push(format!("{id}|{name}"));
    }
    project.until_quiet();
    rows.sort();
    assert_eq!(project.rows("marts.copy"), rows);
}

#[test]
fn keys_that_only_s3_has() {
    let (Some(server), Some(python)) = (server(), python()) else { return };
    let Some(remote) = remote("only-s3") else { return };
    let project = Project::on(&remote, &[("marts/copy", "SELECT id FROM raw.items")]);
    project.put("raw/items/1.csv", "id\n1\n");
    // A folder marker, as the console of S3 makes them.
    let put = "import sys, urllib.request; sys.path.insert(0, sys.argv[1]); import signature; \
               urllib.request.urlopen(signature.signed('PUT', *sys.argv[2:6]))";
    let key = format!("{}/{}/only-s3/raw/items/", server.endpoint, server.bucket);
    let arguments = [&key, &server.region, &server.access_key_id, &server.secret_access_key];
    let made = std::process::Command::new(python).args(["-c", put]).arg(scripts()).args(arguments).status().unwrap();
    assert!(made.success());
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), ["1"]);
}

#[test]
fn several_processes() {
    let Some(remote) = remote("processes") else { return };
    let project = Project::on(&remote, &EVENTS);
    for round in 0..3 {
        put(&project, 2 * round);
        put(&project, 2 * round + 1);
        at_once(&project, 2);
        consistent(&project, 2 * round + 2);
    }
    project.until_quiet();
    exact(&project, 6);
}

/// A hundred kills, or as many as `UNGLUE_KILLS` says.
#[test]
fn killed_a_hundred_times() {
    let Some(remote) = remote("kills") else { return };
    let kills = std::env::var("UNGLUE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(100);
    killed(&Project::on(&remote, &WAYS), kills, 11);
}

#[test]
fn uploads_that_were_never_completed_are_invisible() {
    let Some(remote) = remote("uploads") else { return };
    let project = Project::on(
        &remote,
        &[("marts/copy", "-- @partition: day\n-- @max_partitions: 3\nSELECT id, day FROM raw.items")],
    );
    project.put("raw/items/1.csv", "id,day\n1,a\n2,b\n3,c\n4,d\n");
    project.run().fails("too-many-partitions", &["sql/marts/copy.sql:2"]);
    assert!(project.visible("marts").is_empty());
    project.sql("marts/copy", "-- @partition: day\nSELECT id, day FROM raw.items");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), ["1|a", "2|b", "3|c", "4|d"]);
    assert_eq!(project.visible("marts").len(), 4);
}

#[test]
fn the_contract_of_catalogs() {
    let Some(remote) = remote("contract") else { return };
    let store: std::sync::Arc<dyn object_store::ObjectStore> = std::sync::Arc::clone(&remote.store) as _;
    let root = DataRoot::new(Bucket { base: remote.base.clone(), store, multipart: None }, remote.path(""));
    let catalog = EmbeddedCatalog::new(root);
    remote.runtime.block_on(transform::catalog_contract(&catalog, "suite", "s3://test/contract/"));
}
