//! The generator: kept connections, one order in flight on each, requests prepared as bytes.
//!
//! It runs on one thread. A request costs two system calls and no allocation; what it took of a core is reported.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::cpu;
use crate::seed;

/// Digits of the counter in a client order id.
const DIGITS: usize = 10;

/// What bots send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Eight limit buys far below the market that name themselves, and two market buys that do not.
    Bot,
    /// Market buys only, which the paper venue fills at once.
    Market,
}

/// What proves who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The public part.
    pub(crate) id: String,
    /// The secret part.
    pub(crate) secret: String,
}

/// When it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After so long.
    For(Duration),
    /// After so many orders.
    Orders(u64),
}

/// What to send.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Where to.
    pub(crate) address: SocketAddr,
    /// Over how many connections.
    pub(crate) connections: usize,
    /// From which accounts.
    pub(crate) keys: Vec<Key>,
    /// Of what.
    pub(crate) mix: Mix,
    /// How much.
    pub(crate) until: Until,
    /// Orders a second over all connections; none: each connection as fast as it gets answers.
    pub(crate) rate: Option<f64>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// How long each order waited for its answer, in nanoseconds, sorted.
    pub(crate) waits: Vec<u64>,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// What the generator took of one core.
    pub(crate) generator: Duration,
}

impl Outcome {
    /// Orders a second.
    pub(crate) fn rate(&self) -> f64 {
        self.waits.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Carries `plan` out. Every answer must be 200, else this ends the run.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, all(plan))
}

async fn all(plan: &Plan) -> Outcome {
    let mut streams = Vec::new();
    for _ in 0..plan.connections {
        let stream = TcpStream::connect(plan.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    let left = Rc::new(Cell::new(match plan.until {
        Until::For(_) => u64::MAX,
        Until::Orders(count) => count,
    }));
    let me = std::process::id();
    let before = cpu::ran([me]);
    let begun = Instant::now();
    let end = match plan.until {
        Until::For(time) => begun + time,
        Until::Orders(_) => begun + Duration::from_hours(1),
    };
    let tasks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| {
            let caller = Caller::new(plan, number, stream);
            tokio::task::spawn_local(caller.call(begun, end, Rc::clone(&left)))
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.expect("a connection failed"));
    }
    let elapsed = begun.elapsed();
    let generator = cpu::since(&before, &cpu::ran([me]));
    waits.sort_unstable();
    Outcome {
        waits,
        elapsed,
        generator,
    }
}

/// A prepared request.
#[derive(Debug)]
struct Request {
    bytes: Vec<u8>,
    /// Where the counter of the client order id stands.
    counter_at: Option<usize>,
}

struct Caller {
    stream: TcpStream,
    requests: Vec<Request>,
    number: usize,
    /// Between two orders of this connection, where there is a rate.
    pause: Option<Duration>,
    connections: usize,
    answer: Vec<u8>,
}

impl Caller {
    fn new(plan: &Plan, number: usize, stream: TcpStream) -> Self {
        let pause = plan
            .rate
            .map(|rate| Duration::from_secs_f64(plan.connections as f64 / rate));
        Self {
            stream,
            requests: requests(plan, number),
            number,
            pause,
            connections: plan.connections,
            answer: vec![0; 16_384],
        }
    }

    async fn call(mut self, begun: Instant, end: Instant, left: Rc<Cell<u64>>) -> Vec<u64> {
        let mut waits = Vec::with_capacity(65_536);
        let mut count = 0_u32;
        loop {
            let mut since = Instant::now();
            if let Some(pause) = self.pause {
                // Callers start one after the other; a late one waits since the time at which it was due.
                let offset = pause.mul_f64(self.number as f64 / self.connections as f64);
                let due = begun + offset + pause * count;
                tokio::time::sleep_until(due.into()).await;
                since = due;
            }
            if Instant::now() >= end || left.get() == 0 {
                return waits;
            }
            left.set(left.get() - 1);
            self.one(count).await;
            waits.push(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
            count += 1;
        }
    }

    async fn one(&mut self, count: u32) {
        let kinds = self.requests.len();
        let request = &mut self.requests[count as usize % kinds];
        if let Some(at) = request.counter_at {
            write_number(&mut request.bytes[at..at + DIGITS], count);
        }
        self.stream.write_all(&request.bytes).await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.answer[filled..]).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
            if let Some(length) = whole_length(&self.answer[..filled])
                && filled >= length
            {
                break;
            }
        }
        assert!(
            self.answer.starts_with(b"HTTP/1.1 200 "),
            "{}",
            String::from_utf8_lossy(&self.answer[..filled])
        );
    }
}

/// How long the answer is that begins with `bytes`, once its head is there.
fn whole_length(bytes: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let head = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let at = bytes[..head]
        .windows(NAME.len())
        .position(|part| part.eq_ignore_ascii_case(NAME))?;
    let digits = bytes[at + NAME.len()..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    Some(head + 4 + body)
}

fn write_number(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// What the connection `number` sends, over and over. Its orders go to the accounts in turn.
fn requests(plan: &Plan, number: usize) -> Vec<Request> {
    // Each connection has a share of the accounts, or shares one with others.
    let mine: Vec<usize> = (number..plan.keys.len())
        .step_by(plan.connections)
        .chain(std::iter::once(number % plan.keys.len()))
        .collect();
    // As many as the cycles of kinds, symbols and accounts need to mix.
    let count = (mine.len() * 10).max(70);
    (0..count)
        .map(|n| {
            let symbol = seed::SYMBOLS[(n * 7 + number) % seed::SYMBOLS.len()];
            let key = &plan.keys[mine[n % mine.len()]];
            let is_market = plan.mix == Mix::Market || n % 5 == 4;
            prepare(key, number, n, symbol, is_market)
        })
        .collect()
}

fn prepare(key: &Key, number: usize, n: usize, symbol: &str, is_market: bool) -> Request {
    let zeros = "0".repeat(DIGITS);
    let body = if is_market {
        format!(r#"{{"symbol":"{symbol}","qty":"0.1","side":"buy","type":"market","time_in_force":"day"}}"#)
    } else {
        format!(
            r#"{{"symbol":"{symbol}","qty":"1","side":"buy","type":"limit","time_in_force":"day","limit_price":"10.25","client_order_id":"bot-{}-{number}-{n}-{zeros}"}}"#,
            seed::unique()
        )
    };
    let head = format!(
        "POST /v2/orders HTTP/1.1\r\nHost: arbion\r\nContent-Type: application/json\r\nAPCA-API-KEY-ID: {}\r\n\
         APCA-API-SECRET-KEY: {}\r\nContent-Length: {}\r\n\r\n",
        key.id,
        key.secret,
        body.len()
    );
    let counter_at = (!is_market).then(|| head.len() + body.len() - 2 - DIGITS);
    Request {
        bytes: (head + &body).into_bytes(),
        counter_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y\r\n\r\n{}";
        assert_eq!(whole_length(answer), Some(answer.len() + 10));
        assert_eq!(whole_length(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n"), None);
    }

    #[test]
    fn the_counter_stands_inside_the_client_order_id() {
        let mut request = prepare(&seed::key(3), 7, 2, "AAPL", false);
        let at = request.counter_at.unwrap();
        write_number(&mut request.bytes[at..at + DIGITS], 42);
        let text = String::from_utf8(request.bytes).unwrap();
        assert!(text.ends_with("-7-2-0000000042\"}"), "{text}");
    }
}
