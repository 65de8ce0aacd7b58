//! An installation under test: the processes of a set-up around one place.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::client::Client;
use super::environment::program;
use super::place::{Parts, Place, SetUp};
use super::process::Process;
use super::redis::free_port;
use super::wait::eventually;

/// What a process does. All in one process does all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Api,
    Worker,
    Scheduler,
}

/// Short leases and frequent sweeps, so that a test sees what otherwise takes a minute; no slippage and no fees, so that
/// its numbers can be checked by hand.
const QUICK: [(&str, &str); 16] = [
    ("MARKET_HOURS", "ignore"),
    ("SWEEP_INTERVAL_SECONDS", "1"),
    ("LEASE_SECONDS", "4"),
    ("BROKER_TIMEOUT_MS", "2000"),
    ("PAPER_SLIPPAGE_BPS", "0"),
    ("PAPER_FEE_BPS", "0"),
    ("DATABASE_MAX_CONNECTIONS", "6"),
    ("LOG_FORMAT", "human"),
    ("RUST_LOG", "info"),
    // Tests ask as fast as they can; those of the limits set their own.
    ("RATE_LIMIT_ANONYMOUS_PER_HOUR", "1000000000"),
    ("RATE_LIMIT_ANONYMOUS_PER_DAY", "1000000000"),
    ("RATE_LIMIT_LOGIN_PER_MINUTE", "1000000000"),
    ("RATE_LIMIT_REGISTRATION_PER_HOUR", "1000000000"),
    ("RATE_LIMIT_TOKEN_PER_MINUTE", "1000000000"),
    ("RATE_LIMIT_CREDENTIAL_PER_MINUTE", "1000000000"),
    ("RATE_LIMIT_BURST_PER_SECOND", "1000000000"),
];

/// How an installation is to be started.
#[derive(Debug)]
pub(crate) struct Plan {
    set_up: SetUp,
    parts: Parts,
    counts: [usize; 3],
    variables: BTreeMap<String, String>,
    fault: Option<(Role, String)>,
}

#[derive(Debug)]
struct Member {
    role: Role,
    program: &'static str,
    port: u16,
    fault: Option<String>,
    process: Option<Process>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Site {
    // Dropped before the place in which they live.
    members: Vec<Member>,
    pub(crate) place: Place,
    variables: BTreeMap<String, String>,
    key_file: String,
}

impl Plan {
    /// Sets a variable of all processes.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Without a Redis.
    pub(crate) fn without_redis(mut self) -> Self {
        self.parts.without_redis = true;
        self
    }

    /// With a PostgreSQL server of its own.
    pub(crate) fn with_own_server(mut self) -> Self {
        self.parts.own_server = true;
        self
    }

    /// As many api, worker and scheduler processes, where they are processes.
    pub(crate) fn processes(mut self, apis: usize, workers: usize, schedulers: usize) -> Self {
        self.counts = [apis, workers, schedulers];
        self
    }

    /// Switches fault points on in the first process of `role`, until it is started again.
    pub(crate) fn fault(mut self, role: Role, points: &str) -> Self {
        self.fault = Some((role, points.to_owned()));
        self
    }

    /// Starts everything, and waits until the API is ready.
    pub(crate) async fn start(self) -> Site {
        let place = Place::create(self.set_up, self.parts).await;
        let mut members = self.members();
        if let Some((role, points)) = &self.fault {
            let wanted = members
                .iter_mut()
                .find(|member| self.set_up == SetUp::Sqlite || member.role == *role);
            wanted.unwrap().fault = Some(points.clone());
        }
        let mut site = Site {
            members,
            place,
            variables: self.variables,
            key_file: String::new(),
        };
        if self.set_up == SetUp::Postgres {
            // It migrates, and makes the account and its key.
            site.run("arbion", &["api-key"]);
        }
        site.start_missing().await;
        site
    }

    fn members(&self) -> Vec<Member> {
        let member = |role, program| Member {
            role,
            program,
            port: free_port(),
            fault: None,
            process: None,
        };
        if self.set_up == SetUp::Sqlite {
            return vec![member(Role::Api, "arbion")];
        }
        let roles = [
            (Role::Api, "arbion-api"),
            (Role::Worker, "arbion-worker"),
            (Role::Scheduler, "arbion-scheduler"),
        ];
        let counted = roles.into_iter().zip(self.counts);
        counted
            .flat_map(|((role, program), count)| (0..count).map(move |_| member(role, program)))
            .collect()
    }
}

impl Site {
    /// A plan for `set_up`: one process of each role, nothing unusual.
    pub(crate) fn plan(set_up: SetUp) -> Plan {
        let variables = QUICK.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Plan {
            set_up,
            parts: Parts::default(),
            counts: [1; 3],
            variables: variables.into(),
            fault: None,
        }
    }

    /// An installation without anything unusual.
    pub(crate) async fn start(set_up: SetUp) -> Self {
        Self::plan(set_up).start().await
    }

    /// A client of the first API.
    pub(crate) fn client(&self) -> Client {
        self.clients().swap_remove(0)
    }

    /// A client of each API.
    pub(crate) fn clients(&self) -> Vec<Client> {
        let apis = self.members.iter().filter(|member| member.role == Role::Api);
        apis.map(|api| Client::new(&format!("http://127.0.0.1:{}", api.port), &self.key_file))
            .collect()
    }

    /// The processes that do the work of `role`, those that are dead left out.
    pub(crate) fn processes(&mut self, role: Role) -> Vec<&mut Process> {
        let set_up = self.place.set_up;
        let members = self
            .members
            .iter_mut()
            .filter(|member| set_up == SetUp::Sqlite || member.role == role);
        members.filter_map(|member| member.process.as_mut()).collect()
    }

    /// `kill -9` of every process of `role`.
    pub(crate) fn kill(&mut self, role: Role) {
        let set_up = self.place.set_up;
        for member in &mut self.members {
            if set_up == SetUp::Sqlite || member.role == role {
                // Its end is part of its drop.
                member.process = None;
            }
        }
    }

    /// Starts every process that is dead, without fault points, and waits until the API is ready.
    pub(crate) async fn revive(&mut self) {
        for member in &mut self.members {
            if member
                .process
                .as_mut()
                .is_some_and(|process| process.end().is_some())
            {
                member.process = None;
            }
            if member.process.is_none() {
                member.fault = None;
            }
        }
        self.start_missing().await;
    }

    async fn start_missing(&mut self) {
        let environment = self.environment();
        for (number, member) in self.members.iter_mut().enumerate() {
            if member.process.is_none() {
                let mut environment = environment.clone();
                environment.insert("PORT".to_owned(), member.port.to_string());
                environment.extend(
                    member
                        .fault
                        .iter()
                        .map(|fault| ("FAILPOINTS".to_owned(), fault.clone())),
                );
                let directory = self.place.path();
                let log = directory.join(format!("{number}-{}.log", member.program));
                member.process = Some(Process::start(
                    &program(member.program),
                    &[],
                    &environment,
                    directory,
                    log,
                ));
            }
        }
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&mut self) {
        let key_file = self.place.data_dir().join("api-key.headers");
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            let process = member.process.as_mut().unwrap();
            match member.role {
                Role::Api => {
                    let url = format!("http://127.0.0.1:{}/health/ready", member.port);
                    eventually("the API is ready", async || {
                        let end = process.end();
                        assert!(end.is_none(), "{} ended ({end:?})", member.program);
                        reqwest::get(&url)
                            .await
                            .ok()
                            .filter(|answer| answer.status() == 200)
                    })
                    .await;
                }
                Role::Worker => drop(process.says("the worker is ready").await),
                Role::Scheduler => drop(process.says("the scheduler is ready").await),
            }
        }
        self.key_file = std::fs::read_to_string(key_file).unwrap();
    }

    /// The variables of every process.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.place.environment();
        environment.extend(self.variables.clone());
        environment
    }

    /// Runs a subcommand to its end, and answers what it printed.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = Command::new(program(name))
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .current_dir(self.place.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{name} {arguments:?}: {out}{err}");
        out
    }
}
