//! Errors of the machine, the storage and the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::assert_error;
use crate::project::{MORE_ORDERS, Project};

fn shop_with_transform() -> Project {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", "SELECT order_id FROM raw.orders\n");
    project
}

#[test]
fn out_of_memory() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", "SELECT o.order_id, o.amount, c.segment\nFROM raw.orders AS o\nJOIN raw.customers AS c ON o.customer_id = c.customer_id\n");
    assert_error("out-of-memory", &project.run(["run", "--memory", "1KB"]));
}

/// A file system of a few kilobytes over the data folder, mounted where only the program sees it.
#[test]
fn disk_full() {
    let project = shop_with_transform();
    let script = "cp -r data kept && mount -t tmpfs -o size=32k tmpfs data && cp -r kept/. data && exec \"$0\" \"$@\"";
    let command = project.command(["run"]);
    match unshared(&["--user", "--map-root-user", "--mount"], "mount -t tmpfs tmpfs data", script, &command) {
        Some(command) => assert_error("disk-full", &project.wait(command)),
        None => eprintln!("not tested: this machine lets no user mount a file system"),
    }
}

#[test]
fn permission_denied() {
    let project = shop_with_transform();
    project.run_well();
    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS);
    let ledger = project.path("data/_unglue/sales/orders/inputs");
    fs::set_permissions(&ledger, fs::Permissions::from_mode(0o555)).expect("new permissions");
    let command = project.command(["run"]);
    let is_root = fs::write(ledger.join("probe"), "").is_ok() && fs::remove_file(ledger.join("probe")).is_ok();
    if !is_root {
        return assert_error("permission-denied", &project.wait(command));
    }
    // A user of its own who owns root's files, and may no more than their permissions say.
    match unshared(&["--user"], "! touch data/_unglue/sales/orders/inputs/probe", "exec \"$0\" \"$@\"", &command) {
        Some(command) => assert_error("permission-denied", &project.wait(command)),
        None => eprintln!("not tested: nothing is forbidden to root, and this machine lets it be no one else"),
    }
}

/// The command, run by a script under `unshare`; `None` on machines where the probe does not succeed there.
fn unshared(options: &[&str], probe: &str, script: &str, command: &Command) -> Option<Command> {
    let sh = |script: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(options).args(["sh", "-c", script]).current_dir(command.get_current_dir().expect("a folder"));
        unshare
    };
    if !sh(probe).output().is_ok_and(|output| output.status.success()) {
        return None;
    }
    let mut unshare = sh(script);
    unshare.arg(command.get_program()).args(command.get_args());
    Some(unshare)
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
