//! An installation with everything around it: two apis, three workers, two schedulers, a PostgreSQL and a Redis of its
//! own, a broker, and people whose accounts are at that broker or at the paper venue.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::caller::{Caller, Shared};
use crate::database::Database;
use crate::fleet::Fleet;
use crate::people::{self, Kind, Person};
use crate::processes::LEASE_SECONDS;
use crate::support::SetUp;
use crate::support::broker::TestBroker;
use crate::support::environment::program;
use crate::support::place::{Parts, Place};

/// The largest value of the orders that a standard user has open or has filled on a day.
pub(crate) const DAY_LIMIT: u64 = 10_000;

/// See the module.
pub(crate) struct World {
    // Dropped before the place in which they live.
    pub(crate) fronts: Fleet,
    pub(crate) workers: Fleet,
    pub(crate) broker: TestBroker,
    pub(crate) place: Place,
    pub(crate) database: Database,
    pub(crate) people: Vec<Person>,
    pub(crate) shared: Shared,
}

impl World {
    /// Starts everything: so many api, worker and scheduler processes, and people of these kinds.
    pub(crate) async fn start(counts: [usize; 3], kinds: &[Kind]) -> Self {
        let parts = Parts {
            own_server: true,
            ..Parts::default()
        };
        let place = Place::create(SetUp::Postgres, parts).await;
        let broker = TestBroker::start().await;
        let mut environment = place.environment();
        environment.extend(variables());
        environment.insert("SCRIPTED_BROKER_URL".to_owned(), broker.url());
        let migrated = Command::new(program("arbion"))
            .arg("api-key")
            .env_clear()
            .envs(&environment)
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        assert!(migrated.unwrap().success(), "cannot make the first account");
        let database = Database::open(&place.database_url()).await;
        database.change(&people::sql(kinds)).await.unwrap();
        let [apis, workers, schedulers] = counts;
        let fleet = |counts| Fleet::new(counts, environment.clone(), place.path().to_owned());
        let (mut fronts, mut workers) = (fleet([apis, 0, schedulers]), fleet([0, workers, 0]));
        fronts.revive().await;
        workers.revive().await;
        let apis = fronts.apis();
        let people = (0..kinds.len())
            .map(|number| Person::new(number, &apis))
            .collect();
        Self {
            fronts,
            workers,
            broker,
            place,
            database,
            people,
            shared: Shared::new(),
        }
    }

    /// A person who calls.
    pub(crate) fn caller(&self, person: usize) -> Caller {
        Caller {
            person: self.people[person].clone(),
            shared: self.shared.clone(),
        }
    }
}

/// Short leases and frequent sweeps, so that minutes hold what otherwise takes hours.
fn variables() -> BTreeMap<String, String> {
    let lease = LEASE_SECONDS.to_string();
    let day_limit = DAY_LIMIT.to_string();
    let set = [
        ("MARKET_HOURS", "ignore"),
        ("SWEEP_INTERVAL_SECONDS", "1"),
        ("LEASE_SECONDS", &lease),
        ("BROKER_TIMEOUT_MS", "1000"),
        ("PAPER_SLIPPAGE_BPS", "0"),
        ("DATABASE_MAX_CONNECTIONS", "6"),
        ("LOG_FORMAT", "human"),
        ("RUST_LOG", "info"),
        // Only the checks that an order must pass are tested here, at any speed.
        ("RATE_LIMIT_ANONYMOUS_PER_HOUR", "1000000000"),
        ("RATE_LIMIT_ANONYMOUS_PER_DAY", "1000000000"),
        ("RATE_LIMIT_CREDENTIAL_PER_MINUTE", "1000000000"),
        ("RATE_LIMIT_BURST_PER_SECOND", "1000000000"),
        ("RISK_STANDARD_ORDER_NOTIONAL", &day_limit),
        ("RISK_STANDARD_DAY_NOTIONAL", &day_limit),
        ("RISK_SUPERADMIN_ORDER_NOTIONAL", "100000000"),
        ("RISK_SUPERADMIN_DAY_NOTIONAL", "100000000000"),
    ];
    set.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}
