//! How much memory this process may use.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that this process may still use: what the machine has left, within what its control groups allow.
pub(crate) fn free() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    Some(limits.fold(kilobytes * 1024, u64::min))
}

/// The files that hold limits of the control groups in `/proc/self/cgroup`, and of those around them; some do not exist.
///
/// A container sees its own group as the root, whatever the path says: the root is always among them.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = root.join(path.trim_start_matches('/'));
        files.extend(group.ancestors().take_while(|group| group.starts_with(&root)).map(|group| group.join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(groups: &str) -> Vec<String> {
        limit_files(groups).iter().map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn all_groups_around_the_own_one_may_limit_it() {
        assert_eq!(
            files("0::/system.slice/job.service\n"),
            [
                "/sys/fs/cgroup/system.slice/job.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(
            files("9:name=systemd:/\n4:memory:/box\n1:cpu,cpuacct:/box\n"),
            ["/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        );
        assert_eq!(files(""), [""; 0]);
    }

    #[test]
    fn this_machine_has_some() {
        assert!(free().is_some_and(|bytes| bytes > 1 << 20));
    }
}
