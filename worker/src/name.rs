//! How a worker process calls itself in claims, leases and logs.

use uuid::Uuid;

/// Where Linux tells the name of the machine (in a container: of the pod).
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

/// A name that no other process has: host, process id and a random part, because ids and hosts are used again.
pub(crate) fn worker_name() -> String {
    let host = std::fs::read_to_string(HOST_NAME_FILE).unwrap_or_default();
    compose(&host, std::process::id(), Uuid::new_v4())
}

fn compose(host: &str, process: u32, random: Uuid) -> String {
    let host = match host.trim() {
        "" => "host",
        host => host,
    };
    let random = random.simple().to_string();
    let (random, _) = random.split_at(8);
    format!("{host}-{process}-{random}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_host_and_process_and_is_never_the_same_twice() {
        let random = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(compose("pod-7\n", 42, random), "pod-7-42-01234567");
        assert_eq!(compose("", 42, random), "host-42-01234567");
        assert_ne!(worker_name(), worker_name());
    }
}
