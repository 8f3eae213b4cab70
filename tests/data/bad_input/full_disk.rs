//! Disks without space: a small file system in memory, filled up.

use std::path::Path;

use crate::namespace::script;
use crate::project::{Ended, Project, program};
use crate::rows::local_rows;

const SORTED: &str = "-- @sort: name\n-- @compression: none\nSELECT id, name FROM raw.items";

/// About `megabytes` of CSV that hardly compresses, and its number of rows.
fn items(megabytes: usize) -> (String, usize) {
    let mut text = String::from("id,name\n");
    let mut state = 2_463_534_242_u32;
    let mut rows = 0;
    while text.len() < megabytes << 20 {
        text.push_str(&rows.to_string());
        text.push(',');
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            text.push_str(&format!("{state:08x}"));
        }
        text.push('\n');
        rows += 1;
    }
    (text, rows)
}

#[test]
fn the_data_folder_is_full() {
    // The data folder is copied onto a full file system, and its states are copied out again to be looked at.
    const TEXT: &str = r#"
        set -e
        disk="$1"; seed="$2"; program="$3"; out="$4"
        mount -t tmpfs -o size=24m none "$disk"
        cp -a "$seed/." "$disk/"
        head -c 40m /dev/zero > "$disk/.ballast" 2>/dev/null || true
        truncate -s -2m "$disk/.ballast"
        "$program" run --data "$disk" || true
        rm "$disk/.ballast"
        cp -a "$disk/." "$out/failed/"
        "$program" run --data "$disk" 1>&2
        "$program" run --data "$disk" 1>&2
        cp -a "$disk/." "$out/mended/"
    "#;
    let project = Project::new(&[("marts/copy", SORTED)]);
    let (text, rows) = items(6);
    project.put("raw/items/1.csv", text);
    for folder in ["disk", "out/failed", "out/mended"] {
        std::fs::create_dir_all(project.folder().join(folder)).unwrap();
    }
    let at = |name: &str| project.folder().join(name).to_str().unwrap().to_owned();
    let arguments = [at("disk"), at("data"), program(), at("out")];
    let Some(mut command) = script(&project, TEXT, &arguments.each_ref().map(String::as_str)) else { return };
    let ended = Ended::of(command.output().unwrap());
    let errors = ended.errors();
    assert_eq!(errors.len(), 1, "only the first run fails: {ended}");
    assert!(errors[0].starts_with("error[disk-full]") && errors[0].contains("marts.copy"), "{ended}");

    let state = |folder: &str| {
        let catalog = project.unglue(&["catalog", "show", "--json", "--data", &at(folder)]).clean().json();
        local_rows(&catalog, "marts.copy")
    };
    assert_eq!(state("out/failed").rows.len(), 0, "a failed run shows nothing");
    assert!(!Path::new(&at("out/failed")).join("marts").exists(), "a failed run left something in the table's folder");
    let mended = state("out/mended").sorted();
    assert_eq!(mended.len(), rows);
    assert!(mended.windows(2).all(|pair| pair[0] != pair[1]), "a row was doubled");
}

#[test]
fn the_temporary_folder_is_full() {
    const TEXT: &str = r#"
        mount -t tmpfs -o size=2m none "$1" || exit 99
        "$2" run --memory 16MB --temp "$1"
        code=$?
        [ -z "$(ls -A "$1")" ] || echo "temporary files are left" >&2
        exit $code
    "#;
    let project = Project::new(&[("marts/copy", SORTED)]);
    let (text, rows) = items(40);
    project.put("raw/items/1.csv", text);
    let temp = project.folder().join("temp");
    std::fs::create_dir(&temp).unwrap();
    let Some(mut command) = script(&project, TEXT, &[temp.to_str().unwrap(), &program()]) else { return };
    let ended = Ended::of(command.output().unwrap()).fails("disk-full", &["marts.copy", "--temp"]);
    assert!(!ended.stderr.contains("are left"), "{ended}");
    assert!(project.visible("marts").is_empty());

    project.unglue(&["run", "--memory", "16MB"]).clean();
    project.until_quiet();
    assert_eq!(project.rows("marts.copy").len(), rows);
}

#[test]
fn a_temporary_folder_that_does_not_exist() {
    let project = Project::new(&[("marts/copy", SORTED)]);
    project.put("raw/items/1.csv", "id,name\n1,a\n");
    std::fs::write(project.folder().join("file"), "").unwrap();
    for temp in ["nowhere/below", "file"] {
        let temp = project.folder().join(temp).to_str().unwrap().to_owned();
        project.unglue(&["run", "--temp", &temp]).fails("not-found", &[&temp, "temporary files", "--temp"]);
        assert!(project.visible("marts").is_empty());
    }
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), ["1|a"]);
}
