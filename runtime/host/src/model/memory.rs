//! How much memory there is: what the machine can still give, or what the control groups of this process leave of it.

use std::path::{Path, PathBuf};

/// Where Linux mounts its control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// Bytes that this process can still take without swapping or being ended: what the machine has, and what each control
/// group above the process allows (containers and batch systems set such limits). Unknown where the system does not
/// say it.
pub(super) fn available() -> Option<u64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| of_machine(&text));
    let own = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    [machine, of_groups(&own, Path::new(GROUPS), read)].into_iter().flatten().min()
}

fn of_machine(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The files of one version of control groups.
struct Version {
    limit: &'static str,
    used: &'static str,
    /// In `memory.stat`: pages of files, which are given back before anything fails.
    cached: &'static str,
}

const V1: Version =
    Version { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", cached: "total_inactive_file" };
const V2: Version = Version { limit: "memory.max", used: "memory.current", cached: "inactive_file" };

/// The least that a control group leaves, of those that `/proc/self/cgroup` names and all above them.
fn of_groups(own: &str, root: &Path, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut least = None;
    for line in own.lines() {
        // Hierarchy, controllers, path: version 2 has neither number nor controllers.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (version, root) = match controllers {
            "" => (V2, root.to_owned()),
            list if list.split(',').any(|name| name == "memory") => (V1, root.join("memory")),
            _ => continue,
        };
        // In a container the path may be that of the host, where only the root of the hierarchy is to be seen.
        let path = path.trim_start_matches('/');
        let folders = Path::new(path).ancestors().map(|folder| root.join(folder));
        for folder in folders {
            least = [least, left(&version, &folder, &read)].into_iter().flatten().min();
        }
    }
    least
}

/// What one group leaves; `None` where it has no limit.
fn left(version: &Version, folder: &Path, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let number = |name: &str| -> Option<u64> { read(&PathBuf::from(folder).join(name))?.trim().parse().ok() };
    let (limit, used) = (number(version.limit)?, number(version.used)?);
    let stat = read(&folder.join("memory.stat")).unwrap_or_default();
    let mut fields = stat.lines().filter_map(|line| line.split_once(' '));
    let cached = fields.find(|(name, _)| *name == version.cached);
    let cached = cached.and_then(|(_, bytes)| bytes.trim().parse().ok()).unwrap_or(0u64);
    Some(limit.saturating_sub(used.saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_linux() {
        let text = "MemTotal:       65843256 kB\nMemFree:         1234 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(of_machine(text), Some(2048 * 1024));
        assert_eq!(of_machine("MemTotal: 1 kB\n"), None);
        assert_eq!(of_machine("MemAvailable: lots\n"), None);
    }

    /// `files` are paths under the mount and their text.
    #[track_caller]
    fn check(own: &str, files: &[(&str, &str)], expected: Option<u64>) {
        let root = Path::new("groups");
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| root.join(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        assert_eq!(of_groups(own, root, read), expected, "{own}");
    }

    #[test]
    fn limits_of_both_versions_count_at_every_level() {
        let second = [
            ("memory.max", "max\n"),
            ("jobs/memory.max", "1000\n"),
            ("jobs/memory.current", "600\n"),
            ("jobs/memory.stat", "anon 1\ninactive_file 200\n"),
            ("jobs/7/memory.max", "max\n"),
            ("jobs/7/memory.current", "5\n"),
        ];
        check("0::/jobs/7\n", &second, Some(600));
        check("0::/other\n", &second, None);
        check("0::/\n", &[("memory.max", "50"), ("memory.current", "70")], Some(0));
        let first = [
            // What version 1 says where there is no limit.
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.usage_in_bytes", "4096\n"),
            ("memory/job/memory.limit_in_bytes", "5000\n"),
            ("memory/job/memory.usage_in_bytes", "1000\n"),
            ("memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n"),
        ];
        check("5:cpu,cpuacct:/job\n4:memory:/job\n0::/job\n", &first, Some(4500));
        check("4:memory:/docker/of-the-host\n", &[first[2], first[3]], None);
        check("4:memory:/of-the-host\n", &first[..2], Some(9_223_372_036_854_771_712 - 4096));
        check("", &first, None);
        check("nonsense\n", &first, None);
    }
}
