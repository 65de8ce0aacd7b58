//! Percentiles, medians, the machine, and tables in Markdown.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use crate::servers::Postgres;

/// How often the disk is asked.
const SYNCS: u64 = 500;

/// The value below which `percent` of `sorted` lie.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(0)
}

/// The middle one of `values`.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// Nanoseconds as milliseconds.
pub(crate) fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// A table with its title.
pub(crate) fn table(title: &str, head: &[&str], rows: &[Vec<String>]) {
    println!("\n### {title}\n");
    println!("| {} |", head.join(" | "));
    println!("|{}", "---|".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// What is known about a run while it is on its way.
pub(crate) fn progress(text: &str) {
    eprintln!("  {text}");
}

/// Says what it is measured on.
pub(crate) fn machine(postgres: &Postgres) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let rows = vec![
        vec!["cores".to_owned(), cores.to_string()],
        vec![
            "memory".to_owned(),
            format!("{:.1} GiB", memory as f64 / 1_048_576.0),
        ],
        vec![
            "fdatasync of 8 KiB".to_owned(),
            format!("{:.0} µs at the median of {SYNCS}", sync_micros(postgres)),
        ],
        vec!["PostgreSQL".to_owned(), postgres.value("SHOW server_version")],
        vec![
            "its settings".to_owned(),
            postgres.value(
                "SELECT string_agg(name || ' = ' || current_setting(name), ', ') FROM unnest(ARRAY['fsync', \
                 'synchronous_commit', 'shared_buffers', 'min_wal_size', 'max_wal_size', 'wal_level']) AS name",
            ),
        ],
        vec![
            "load average at the start".to_owned(),
            load.split(' ').next().unwrap_or("?").to_owned(),
        ],
    ];
    table("Machine", &["", ""], &rows);
}

/// The median time that one durable write takes on the disk of the database.
fn sync_micros(postgres: &Postgres) -> f64 {
    let mut file = tempfile::tempfile_in(postgres.disk()).unwrap();
    let page = [7_u8; 8192];
    file.write_all(&page.repeat(64)).unwrap();
    file.sync_all().unwrap();
    let times = (0..SYNCS).map(|n| {
        let begun = Instant::now();
        file.write_all_at(&page, (n % 64) * 8192).unwrap();
        file.sync_data().unwrap();
        begun.elapsed()
    });
    median(times.map(|time: Duration| time.as_nanos() as f64)) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (101, 199));
        assert_eq!((percentile(&[], 50), percentile(&[5], 99)), (0, 5));
    }

    #[test]
    fn a_median_does_not_depend_on_the_order() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < f64::EPSILON);
    }
}
