//! Our own Lua, beside apalis-redis' keys.
//!
//! The layout is apalis-redis 1.0.0's: `{queue}:data` is a hash of id → JSON, `{queue}:meta:<id>` a hash of the
//! job's state, `{queue}:active` the list of waiting ids, `{queue}:inflight:<worker>` the set a worker holds,
//! `{queue}:workers` its members by last heartbeat, `{queue}:done` and `{queue}:dead` the ends.
//!
//! Every script works on a bounded number of ids a call, because Redis serves nobody else meanwhile.

use std::sync::LazyLock;

use redis::Script;

use super::QUEUE;

/// So many finished jobs are removed in one call.
pub(super) const CLEAN_AT_ONCE: usize = 500;

/// Pushes signals into `active` as far as they fit, and wakes the consumers.
///
/// KEYS: data, active, prefix of meta. ARGV: how many may wait, channel, then id and JSON of each signal.
/// Returns how many were taken: the first ones.
pub(super) static PUSH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local room = tonumber(ARGV[1]) - redis.call('LLEN', KEYS[2])
        local taken = 0
        for i = 3, #ARGV, 2 do
            if taken >= room then break end
            local id = ARGV[i]
            if redis.call('HSETNX', KEYS[1], id, ARGV[i + 1]) == 1 then
                redis.call('HSET', KEYS[3] .. ':' .. id,
                    'attempts', 0, 'max_attempts', 1, 'status', 'Pending', 'idempotency_key', '')
                redis.call('RPUSH', KEYS[2], id)
            end
            taken = taken + 1
        end
        if taken > 0 then redis.call('PUBLISH', ARGV[2], taken) end
        return taken
        ",
    )
});

/// Removes finished jobs with all their traces.
///
/// KEYS: done, dead, data, prefix of meta. ARGV: how many at most. Returns how many were removed.
pub(super) static CLEAN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local left = tonumber(ARGV[1])
        local removed = 0
        for k = 1, 2 do
            if left > 0 then
                local ids = redis.call('SPOP', KEYS[k], left)
                for _, id in ipairs(ids) do
                    redis.call('HDEL', KEYS[3], id)
                    redis.call('DEL', KEYS[4] .. ':' .. id)
                end
                left = left - #ids
                removed = removed + #ids
            end
        end
        return removed
        ",
    )
});

/// Signs a worker of ours off that has ended: what it held but had not started goes back to the head of
/// `active`; what it had started is forgotten, since its handler runs to its end; what cannot be read is dropped,
/// since it would end every worker that fetches it.
///
/// KEYS: the worker's in-flight set, active, workers, the worker's metadata, data, prefix of meta.
/// ARGV: the worker's name, then the ids that it had started. Returns {given back, unreadable}.
pub(super) static RETIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local started = {}
        for i = 2, #ARGV do started[ARGV[i]] = true end
        local given_back, unreadable = 0, 0
        for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
            local meta = KEYS[6] .. ':' .. id
            local data = redis.call('HGET', KEYS[5], id)
            local state = redis.call('HMGET', meta, 'attempts', 'max_attempts', 'status')
            local readable = data and tonumber(state[1]) and tonumber(state[2]) and state[3]
                and pcall(cjson.decode, data)
            if readable and not started[id] then
                redis.call('LPUSH', KEYS[2], id)
                given_back = given_back + 1
            else
                redis.call('HDEL', KEYS[5], id)
                redis.call('DEL', meta)
                if not readable then unreadable = unreadable + 1 end
            end
        end
        redis.call('DEL', KEYS[1], KEYS[4])
        redis.call('ZREM', KEYS[3], ARGV[1])
        return {given_back, unreadable}
        ",
    )
});

pub(super) fn active() -> String {
    key("active")
}

pub(super) fn data() -> String {
    key("data")
}

/// The prefix of the per-job hashes.
pub(super) fn meta() -> String {
    key("meta")
}

pub(super) fn done() -> String {
    key("done")
}

pub(super) fn dead() -> String {
    key("dead")
}

pub(super) fn workers() -> String {
    key("workers")
}

/// The set of jobs that the worker of this name holds.
pub(super) fn inflight(worker: &str) -> String {
    format!("{QUEUE}:inflight:{worker}")
}

/// Where apalis describes the worker of this name.
pub(super) fn worker_metadata(worker: &str) -> String {
    format!("{QUEUE}:workers:metadata:{worker}")
}

fn key(name: &str) -> String {
    format!("{QUEUE}:{name}")
}

#[cfg(test)]
mod tests {
    use apalis::prelude::WorkerContext;
    use apalis_redis::Config;

    use super::*;

    #[test]
    fn our_keys_are_those_of_apalis() {
        let theirs = Config::default().queue(QUEUE);
        let worker = WorkerContext::new("a-worker");
        assert_eq!(active(), theirs.active_jobs_list());
        assert_eq!(data(), theirs.job_data_hash());
        assert_eq!(meta(), theirs.job_meta_hash());
        assert_eq!(done(), theirs.done_jobs_set());
        assert_eq!(dead(), theirs.dead_jobs_set());
        assert_eq!(workers(), theirs.workers_set());
        assert_eq!(inflight("a-worker"), theirs.inflight_set_for(&worker));
        assert_eq!(worker_metadata("a-worker"), theirs.worker_metadata_key(&worker));
    }
}
