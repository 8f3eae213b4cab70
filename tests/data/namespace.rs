//! Commands in a mount namespace of their own: what they mount is gone when they end, and no other process sees it.

use std::process::Command;

use crate::project::Project;

/// A shell script in a namespace where it may mount; its arguments are `$1`, `$2`, … `None`, with the reason printed, if this
/// machine does not allow that.
pub(crate) fn script(project: &Project, text: &str, arguments: &[&str]) -> Option<Command> {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    for way in WAYS {
        let mut probe = Command::new("unshare");
        probe.args(way).args(["sh", "-c", "mount -t tmpfs -o size=1m none \"$1\"", "sh"]).arg(project.folder());
        if probe.output().is_ok_and(|output| output.status.success()) {
            let mut command = Command::new("unshare");
            command.args(way).args(["sh", "-c", text, "sh"]).args(arguments);
            project.settle(&mut command);
            return Some(command);
        }
    }
    eprintln!("SKIPPED: `unshare --mount` is not allowed here, so no folder can be made read-only or full");
    None
}
