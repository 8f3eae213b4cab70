//! Errors of the machine, the storage and the command line.

use std::fs;
use std::process::Command;

use super::assert_error;
use crate::project::Project;

fn shop_with_transform() -> Project {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", "SELECT order_id FROM raw.orders\n");
    project
}

#[test]
fn out_of_memory() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", "SELECT o.order_id, o.amount FROM raw.orders AS o ORDER BY o.amount\n");
    assert_error("out-of-memory", &project.run(["run", "--memory", "1KB"]));
}

/// A file system of a few kilobytes, mounted where only this process sees it.
#[test]
fn disk_full() {
    let project = shop_with_transform();
    let script = "mkdir data/sales && mount -t tmpfs -o size=4k tmpfs data/sales && exec \"$@\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c"]).current_dir(project.path(""));
    let can_mount = unshare.arg("mkdir small && exec mount -t tmpfs tmpfs small").output();
    if !can_mount.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: this machine lets no user mount a file system");
        return;
    }
    let program = project.command(["run"]);
    let mut mounted = Command::new("unshare");
    mounted.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    mounted.arg(program.get_program()).args(program.get_args()).current_dir(project.path(""));
    assert_error("disk-full", &project.wait(mounted));
}

#[test]
fn permission_denied() {
    let project = shop_with_transform();
    project.write("not-a-folder", "");
    assert_error("permission-denied", &project.run(["run", "--temp", "not-a-folder"]));
}

#[test]
fn not_found() {
    let project = shop_with_transform();
    assert_error("not-found", &project.run(["run", "--data", "elsewhere"]));
}

#[test]
fn storage() {
    let project = shop_with_transform();
    project.run_well();
    // A file where the folder of the claims should be.
    fs::remove_dir_all(project.path("data/_unglue/sales")).expect("the ledger");
    project.write("data/_unglue/sales", "");
    assert_error("storage", &project.run(["run"]));
}

#[test]
fn catalog_damaged() {
    let project = shop_with_transform();
    project.run_well();
    let entries = project.files("data/_unglue/_catalog/raw/orders");
    project.write(&entries[0], "{\"table\": ");
    assert_error("catalog-damaged", &project.run(["catalog", "show"]));
}

#[test]
fn usage() {
    let project = shop_with_transform();
    assert_error("usage", &project.run(["run", "--data", "ftp://elsewhere/data"]));
}
