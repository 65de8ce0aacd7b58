//! Faults of PostgreSQL and Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, DatabaseConnection};

use crate::chance::Chance;
use crate::database::Database;
use crate::lane::Faults;
use crate::support::place::Place;

/// See the module.
pub(crate) struct Stores {
    pub(crate) place: Place,
    pub(crate) database: Database,
}

/// More connections than the server has.
const CONNECTIONS: u32 = 120;

impl Faults for Stores {
    const KINDS: &'static [&'static str] = &[
        "redis: FLUSHALL",
        "redis: FLUSHALL",
        "redis: killed",
        "redis: stands still",
        "redis: memory full",
        "redis: read-only",
        "redis: restored from an old snapshot",
        "postgres: restart -m immediate",
        "postgres: connections terminated",
        "postgres: connections terminated",
        "postgres: sessions stand still",
        "postgres: max_connections reached",
        "postgres: an account locked by a stranger",
    ];
    const PAUSE: (u64, u64) = (200, 600);

    async fn make(&mut self, kind: &'static str, chance: &mut Chance) {
        match kind {
            "redis: FLUSHALL" => drop(self.redis("FLUSHALL")),
            "redis: killed" => {
                self.place.redis.as_mut().unwrap().kill();
                // Most often short, so that there is time for others; sometimes as long as one can wait.
                let longest = if chance.below(8) == 0 { 10_000 } else { 2_500 };
                tokio::time::sleep(chance.millis(500, longest)).await;
                self.place.redis.as_mut().unwrap().revive().await;
            }
            "redis: stands still" => {
                self.place.redis.as_ref().unwrap().signal("STOP");
                let longest = if chance.below(8) == 0 { 10_000 } else { 2_500 };
                tokio::time::sleep(chance.millis(1_500, longest)).await;
                self.place.redis.as_ref().unwrap().signal("CONT");
            }
            "redis: memory full" => {
                self.redis("CONFIG SET maxmemory-policy noeviction");
                self.redis("CONFIG SET maxmemory 1");
                tokio::time::sleep(chance.millis(500, 2_000)).await;
                self.redis("CONFIG SET maxmemory 0");
            }
            "redis: read-only" => {
                self.redis("REPLICAOF 127.0.0.1 1");
                tokio::time::sleep(chance.millis(500, 2_000)).await;
                self.redis("REPLICAOF NO ONE");
            }
            "redis: restored from an old snapshot" => self.restore_redis(chance).await,
            "postgres: restart -m immediate" => {
                let server = self.place.server.as_ref().unwrap();
                tokio::task::block_in_place(|| server.stop());
                tokio::time::sleep(chance.millis(0, 800)).await;
                tokio::task::block_in_place(|| server.resume());
            }
            "postgres: connections terminated" => self.terminate(chance).await,
            "postgres: sessions stand still" => self.stop_sessions(chance).await,
            "postgres: max_connections reached" => {
                let held = self.take_connections().await;
                tokio::time::sleep(chance.millis(500, 1_500)).await;
                for connection in held {
                    // The server may have cut it meanwhile.
                    let _ = connection.close().await;
                }
            }
            "postgres: an account locked by a stranger" => self.lock_account(chance).await,
            _ => panic!("no fault {kind}"),
        }
    }
}

impl Stores {
    /// One command by hand, and the beginning of its answer; empty where there is none.
    fn redis(&self, command: &str) -> String {
        let url = self.place.redis.as_ref().unwrap().url();
        let address = url.trim_start_matches("redis://").to_owned();
        let ask = || {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(format!("{command}\r\n").as_bytes())?;
            let mut answer = [0; 512];
            let length = stream.read(&mut answer)?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer[..length]).into_owned())
        };
        ask().unwrap_or_default()
    }

    /// Saves what Redis holds, lets time go by, and starts it again with that.
    async fn restore_redis(&mut self, chance: &mut Chance) {
        let directory = self.redis("CONFIG GET dir");
        let directory = PathBuf::from(directory.lines().nth(4).unwrap_or_default());
        self.redis("SAVE");
        tokio::time::sleep(chance.millis(500, 1_500)).await;
        let redis = self.place.redis.as_mut().unwrap();
        redis.kill();
        redis.revive().await;
        // Whoever is started after this fault starts empty again.
        let _ = std::fs::remove_file(directory.join("dump.rdb"));
    }

    /// Ten times a second, all connections but our own.
    async fn terminate(&self, chance: &mut Chance) {
        let sql = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        for _ in 0..=chance.below(6) {
            self.database.rows::<1>(sql).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every session but our own says nothing for a while, whatever it has locked.
    async fn stop_sessions(&self, chance: &mut Chance) {
        let sql = "SELECT pid::text FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        let sessions = self.database.rows::<1>(sql).await;
        let send = |signal: &str| {
            for [session] in &sessions {
                // A session may have ended meanwhile.
                let _ = Command::new("sh")
                    .args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, session])
                    .stderr(Stdio::null())
                    .status();
            }
        };
        send("STOP");
        tokio::time::sleep(chance.millis(500, 3_000)).await;
        send("CONT");
    }

    /// Opens connections until the server has no more.
    async fn take_connections(&self) -> Vec<DatabaseConnection> {
        let url = self.place.database_url();
        let (mut held, begun) = (Vec::new(), Instant::now());
        for _ in 0..CONNECTIONS {
            let mut options = ConnectOptions::new(&url);
            options.max_connections(1).min_connections(1).sqlx_logging(false);
            options.connect_timeout(Duration::from_millis(300));
            options.acquire_timeout(Duration::from_millis(300));
            match sea_orm::Database::connect(options).await {
                Ok(connection) => held.push(connection),
                Err(_) => break,
            }
            if begun.elapsed() > Duration::from_secs(5) {
                break;
            }
        }
        held
    }

    /// Holds the row of an account locked for a moment.
    async fn lock_account(&self, chance: &mut Chance) {
        let account = crate::people::account_of(chance.index(4));
        let seconds = 1 + chance.below(2);
        let sql = format!(
            "DO $$ BEGIN PERFORM 1 FROM accounts WHERE id = '{account}' FOR UPDATE; PERFORM pg_sleep({seconds}); END $$"
        );
        // The server may be restarted meanwhile.
        let _ = self.database.change(&sql).await;
    }
}
