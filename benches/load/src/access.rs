//! What authentication and the policy limit cost: the api's CPU for a read behind a key, with limits counted in Redis,
//! against the smallest answer that needs neither.
//!
//! `GET /v2/clock` reads no database; `GET /health/live` is the same way through the same layers without a credential
//! and without a budget. So their difference is an upper bound: it also holds what the clock itself takes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::acceptance::Api;
use crate::load::Key;
use crate::report::{median, table};
use crate::servers::Redis;
use crate::{Bench, cpu, seed};

/// The database of a run.
const RUN: &str = "bench_access";

/// Connections, each with one request in flight.
const CONNECTIONS: usize = 16;

/// The longest answer that is read.
const ANSWER_BYTES: usize = 16 * 1024;

/// The api's CPU in microseconds a request: without, with.
#[derive(Debug, Clone, Copy)]
struct Cost {
    without: f64,
    with: f64,
}

/// Both in turn, on one warm process.
pub(crate) fn measure(bench: &Bench) {
    let template = seed::database(bench, 1);
    let runs: Vec<Cost> = (0..bench.runs).map(|_| run(bench, &template)).collect();
    let of = |value: fn(&Cost) -> f64| format!("{:.0}", median(runs.iter().map(value)));
    table(
        &format!("CPU of the api a request, µs, medians of {} runs", bench.runs),
        &[
            "without",
            "with a key and the limit in Redis",
            "difference",
            "goal",
        ],
        &[vec![
            of(|cost| cost.without),
            of(|cost| cost.with),
            of(|cost| cost.with - cost.without),
            "< 150".to_owned(),
        ]],
    );
    bench.postgres.remove(RUN);
}

fn run(bench: &Bench, template: &str) -> Cost {
    bench.postgres.copy(template, RUN);
    let redis = Redis::start();
    let api = Api::start(bench, RUN, Some(&redis));
    let key = seed::keys(1).remove(0);
    let without = "GET /health/live HTTP/1.1\r\nHost: arbion\r\n\r\n".to_owned();
    let Key { id, secret } = key;
    let with = format!(
        "GET /v2/clock HTTP/1.1\r\nHost: arbion\r\nAPCA-API-KEY-ID: {id}\r\nAPCA-API-SECRET-KEY: {secret}\r\n\r\n"
    );
    // Warm: connections, caches, the script in Redis.
    for request in [&without, &with] {
        cost(&api, request, Duration::from_secs(1));
    }
    Cost {
        without: cost(&api, &without, bench.measured_for),
        with: cost(&api, &with, bench.measured_for),
    }
}

/// Microseconds of CPU of the api for each `request`.
fn cost(api: &Api, request: &str, time: Duration) -> f64 {
    let before = cpu::ran([api.process.id()]);
    let end = Instant::now() + time;
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (address, request) = (api.address, request.to_owned());
            std::thread::spawn(move || call(address, request.as_bytes(), end))
        })
        .collect();
    let answered: u64 = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
    let ran = cpu::since(&before, &cpu::ran([api.process.id()]));
    ran.as_secs_f64() * 1e6 / answered as f64
}

/// Sends the request again and again until `end`; answers how often. Every answer must be 200.
fn call(address: SocketAddr, request: &[u8], end: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answered = 0;
    let mut buffer = vec![0; ANSWER_BYTES];
    while Instant::now() < end {
        stream.write_all(request).unwrap();
        let read = stream.read(&mut buffer).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answered += 1;
    }
    answered
}
