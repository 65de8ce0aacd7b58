//! The processes of the installation, each of which may die, stand still and start again by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::Role;
use crate::support::environment::program;
use crate::support::process::Process;
use crate::support::redis::free_port;

/// How long a process may take to be ready, whatever else is down meanwhile.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// One process, or the place of one.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) port: u16,
    log: PathBuf,
    process: Option<Process>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
    environment: BTreeMap<String, String>,
    directory: PathBuf,
    /// Fault points of every process that is started without others.
    points: Option<String>,
}

impl Fleet {
    /// Places for so many api, worker and scheduler processes.
    pub(crate) fn new(counts: [usize; 3], environment: BTreeMap<String, String>, directory: PathBuf) -> Self {
        let roles = [Role::Api, Role::Worker, Role::Scheduler].into_iter().zip(counts);
        let members = roles.flat_map(|(role, count)| (0..count).map(move |number| (role, number)));
        let members = members
            .map(|(role, number)| Member {
                role,
                port: free_port(),
                log: directory.join(format!("{role:?}-{number}.log")),
                process: None,
            })
            .collect();
        Self {
            members,
            environment,
            directory,
            points: None,
        }
    }

    /// Starts all processes again, with these fault points or with none.
    pub(crate) async fn replant(&mut self, points: Option<&str>) {
        self.points = points.map(str::to_owned);
        (0..self.members.len()).for_each(|place| self.kill(place));
        self.revive().await;
    }

    /// Where the apis listen.
    pub(crate) fn apis(&self) -> Vec<String> {
        let apis = self.members.iter().filter(|member| member.role == Role::Api);
        apis.map(|api| format!("http://127.0.0.1:{}", api.port)).collect()
    }

    /// The places of the members of `role`.
    pub(crate) fn of(&self, role: Role) -> Vec<usize> {
        let places = 0..self.members.len();
        places.filter(|place| self.members[*place].role == role).collect()
    }

    /// Starts the member in `place` with these fault points switched on, and does not wait.
    pub(crate) fn start(&mut self, place: usize, points: Option<&str>) {
        let member = &mut self.members[place];
        let mut environment = self.environment.clone();
        environment.insert("PORT".to_owned(), member.port.to_string());
        if let Some(points) = points.map(str::to_owned).or_else(|| self.points.clone()) {
            environment.insert("FAILPOINTS".to_owned(), points);
        }
        let name = match member.role {
            Role::Api => "arbion-api",
            Role::Worker => "arbion-worker",
            Role::Scheduler => "arbion-scheduler",
        };
        let process = Process::start(
            &program(name),
            &[],
            &environment,
            &self.directory,
            member.log.clone(),
        );
        member.process = Some(process);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, place: usize) {
        self.members[place].process = None;
    }

    /// Asks it to end as an operator does, and waits for that.
    pub(crate) async fn end(&mut self, place: usize) {
        if let Some(process) = &mut self.members[place].process {
            process.signal("TERM");
            let _ = process.ended(Duration::from_secs(20)).await;
        }
        self.members[place].process = None;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, place: usize, signal: &str) {
        self.members[place].process.as_ref().unwrap().signal(signal);
    }

    /// Waits until it has ended by itself, as long as `patience`; whether it did.
    pub(crate) async fn has_ended(&mut self, place: usize, patience: Duration) -> bool {
        let begun = std::time::Instant::now();
        loop {
            let process = self.members[place].process.as_mut().unwrap();
            if process.end().is_some() {
                return true;
            }
            if begun.elapsed() >= patience {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts everything that does not run, until it is ready. A process that ends because its database is away is
    /// started again, as whoever supervises it would.
    pub(crate) async fn revive(&mut self) {
        let begun = std::time::Instant::now();
        loop {
            let mut is_whole = true;
            for place in 0..self.members.len() {
                let is_running = {
                    let process = self.members[place].process.as_mut();
                    process.is_some_and(|process| process.end().is_none())
                };
                if !is_running {
                    self.start(place, None);
                }
                is_whole &= is_running;
                if self.members[place].role == Role::Api {
                    let url = format!("http://127.0.0.1:{}/health/live", self.members[place].port);
                    is_whole &= reqwest::get(&url).await.is_ok();
                }
            }
            if is_whole {
                return;
            }
            assert!(
                begun.elapsed() < START_PATIENCE,
                "the processes do not come up again"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything that these processes have written in all their lives.
    pub(crate) fn logs(&self, role: Role) -> String {
        let members = self.members.iter().filter(|member| member.role == role);
        let logs = members.map(|member| std::fs::read(&member.log).unwrap_or_default());
        logs.map(|log| String::from_utf8_lossy(&log).into_owned())
            .collect()
    }

    /// The place of the scheduler whose name has been seen as the holder of a lease.
    pub(crate) fn named(&self, holder: &str) -> Option<usize> {
        self.of(Role::Scheduler).into_iter().find(|place| {
            let log = std::fs::read(&self.members[*place].log).unwrap_or_default();
            String::from_utf8_lossy(&log).contains(holder)
        })
    }
}
