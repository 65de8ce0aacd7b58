//! What processes took of the cores, from the scheduler's own counts.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Nanoseconds that each process has run, by its id.
pub(crate) type Ran = BTreeMap<u32, u64>;

/// What `ids` have run so far; threads that have ended are not counted.
pub(crate) fn ran(ids: impl IntoIterator<Item = u32>) -> Ran {
    ids.into_iter().map(|id| (id, process(id))).collect()
}

/// What has run since `before`, in which a process may be missing that was not there then.
pub(crate) fn since(before: &Ran, now: &Ran) -> Duration {
    let each = now
        .iter()
        .map(|(id, ran)| ran.saturating_sub(before.get(id).copied().unwrap_or(0)));
    Duration::from_nanos(each.sum())
}

/// The children of the process `parent`, and itself.
pub(crate) fn family(parent: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| *id == parent || parent_of(*id) == Some(parent))
        .collect()
}

/// The memory that the process holds, in KiB.
pub(crate) fn resident_kib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

fn process(id: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let each = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_came_later_counts_whole() {
        let before = Ran::from([(1, 100), (2, 50)]);
        let now = Ran::from([(1, 150), (3, 7)]);
        assert_eq!(since(&before, &now), Duration::from_nanos(57));
    }

    #[test]
    fn this_process_has_run_and_holds_memory() {
        let me = std::process::id();
        assert!(ran([me])[&me] > 0);
        assert!(resident_kib(me) > 0);
        assert!(family(me).contains(&me));
    }
}
