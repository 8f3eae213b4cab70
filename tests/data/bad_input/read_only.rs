//! A data folder that may not be written to; it is mounted read-only, because permissions do not stop root.

use super::{copying, sorted};
use crate::namespace::script;
use crate::project::{Ended, Project, program};

/// Runs the program while the data folder is read-only.
fn read_only(project: &Project, arguments: &str) -> Option<Ended> {
    let text = format!("mount --bind -o ro \"$1\" \"$1\" && exec \"$2\" {arguments}");
    let data = project.data();
    let mut command = script(project, &text, &[data.to_str().unwrap(), &program()])?;
    Some(Ended::of(command.output().unwrap()))
}

#[test]
fn nothing_can_be_written() {
    let project = copying();
    project.put("raw/items/1.csv", "id,name\n1,a\n");
    let Some(ended) = read_only(&project, "run") else { return };
    ended.fails("permission-denied", &["_unglue"]);
    assert!(!project.data().join("_unglue").exists());

    project.run().clean();
    project.put("raw/items/2.csv", "id,name\n2,b\n");
    let visible = project.visible("");
    read_only(&project, "run").unwrap().fails("permission-denied", &["_unglue"]);
    assert_eq!(project.visible(""), visible);
    assert_eq!(project.rows("marts.copy"), ["1|a"]);

    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[&["1|a", "2|b"]]));
}

#[test]
fn what_writes_nothing_works() {
    let project = copying();
    project.put("raw/items/1.csv", "id,name\n1,a\n");
    project.run().clean();
    project.put("raw/items/2.csv", "id,name\n2,b\n");
    for verb in ["check", "plan", "catalog show", "catalog diff"] {
        let Some(ended) = read_only(&project, verb) else { return };
        assert!(!ended.stderr.contains("error["), "{verb}: {ended}");
    }
}

#[test]
fn a_run_with_nothing_due_writes_nothing() {
    let project = copying();
    project.put("raw/items/1.csv", "id,name\n1,a\n");
    project.until_quiet();
    if let Some(ended) = read_only(&project, "run --json") {
        assert!(ended.clean().runs().is_empty());
    }
}
