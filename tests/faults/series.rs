//! A series: a clean stretch, faults in all lanes for some time, a stretch to recover, and then the checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::caller::{Caller, Shared};
use crate::chance::Chance;
use crate::checks;
use crate::database::Database;
use crate::lane::{Lane, Tallies};
use crate::load;
use crate::people::Kind;
use crate::processes::{Fronts, Workers, kill_all};
use crate::report::Report;
use crate::requests::Requests;
use crate::stores::Stores;
use crate::support::{Role, eventually};
use crate::venue::Venue;
use crate::world::World;

/// Who trades: six clients at the paper venue or the broker, and two accounts of one user with a limit.
const PEOPLE: [Kind; 8] = [
    trader("paper"),
    trader("scripted"),
    trader("paper"),
    trader("scripted"),
    trader("paper"),
    trader("scripted"),
    Kind {
        broker: "paper",
        role: "standard",
        is_sibling: false,
    },
    Kind {
        broker: "paper",
        role: "standard",
        is_sibling: true,
    },
];

/// The first account whose user has a limit; the next one is the same user's.
pub(crate) const LIMITED: usize = 6;

const fn trader(broker: &'static str) -> Kind {
    Kind {
        broker,
        role: "superadmin",
        is_sibling: false,
    }
}

/// A series that lasts so long is a long one: it has the time to compare rates closely.
const LONG: Duration = Duration::from_mins(5);

/// Two stretches without faults are compared: how long they are in a short series, and how many percent of the first rate
/// the second one must be.
const SHORT_STRETCH: (Duration, u64) = (Duration::from_secs(10), 80);

/// The same in a long one.
const LONG_STRETCH: (Duration, u64) = (Duration::from_mins(1), 95);

/// How long faults are made in one go.
const ROUND: Duration = Duration::from_secs(12);

/// How long it may take after a round until every order is as it should be.
pub(crate) const RECOVERY_MAX: Duration = Duration::from_secs(30);

/// After the start, and after the last fault, before the rate is measured.
const SETTLE: Duration = Duration::from_secs(5);

/// Runs a series of faults for so long, and answers what came of it.
pub(crate) async fn run(seed: u64, faults: Duration) -> Report {
    let (stretch, rate_min) = if faults < LONG {
        SHORT_STRETCH
    } else {
        LONG_STRETCH
    };
    let world = World::start([2, 3, 2], &PEOPLE).await;
    let stop = Arc::new(AtomicBool::new(false));
    let loads = start_load(&world, seed, &stop);
    tokio::time::sleep(SETTLE).await;
    let clean = measure(&world, stretch).await;
    let tallies = Tallies::default();
    let begun = Instant::now();
    let (mut world, recoveries) = make_faults(world, &tallies, seed, begun + faults).await;
    let lasted = begun.elapsed();
    let_work_wait(&mut world).await;
    tokio::time::sleep(SETTLE).await;
    let recovered = measure(&world, stretch).await;
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        load.await.unwrap();
    }
    let drained_in = drain(&world).await;
    let found = checks::all(&world).await;
    Report {
        seed,
        lasted,
        tallies: tallies.all(),
        recoveries,
        stretch,
        rate_min,
        clean,
        recovered,
        drained_in,
        found,
    }
}

fn start_load(world: &World, seed: u64, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let traders = 0..LIMITED;
    traders
        .map(|person| {
            let chance = Chance::new(seed, 100 + u64::try_from(person).unwrap());
            tokio::spawn(load::work(world.caller(person), chance, Arc::clone(stop)))
        })
        .collect()
}

/// Nobody works until the scheduler has noticed: among many faults at once, a worker is mostly faster than that.
async fn let_work_wait(world: &mut World) {
    let seen = |world: &World| world.fronts.logs(Role::Scheduler).matches("re-drove").count();
    let before = seen(world);
    kill_all(&mut world.workers);
    eventually("the scheduler sends signals again", async || {
        (seen(world) > before).then_some(())
    })
    .await;
    world.workers.revive().await;
}

/// How many orders are acknowledged in a stretch without faults.
async fn measure(world: &World, stretch: Duration) -> u64 {
    let count = || u64::try_from(world.shared.lock().acknowledged_at.len()).unwrap();
    let before = count();
    tokio::time::sleep(stretch).await;
    count() - before
}

/// Rounds of faults in all lanes at the same time, until the time is over; answers how long each took to heal.
async fn make_faults(world: World, tallies: &Tallies, seed: u64, until: Instant) -> (World, Vec<Duration>) {
    let callers: Vec<Caller> = (0..LIMITED).map(|person| world.caller(person)).collect();
    let limited = [world.caller(LIMITED), world.caller(LIMITED + 1)];
    let chance = |stream| Chance::new(seed, stream);
    let database = world.database.clone();
    let fronts = Fronts {
        fleet: world.fronts,
        database: database.clone(),
    };
    let stores = Stores {
        place: world.place,
        database: database.clone(),
    };
    let venue = Venue {
        broker: world.broker,
        callers: callers.iter().skip(1).step_by(2).cloned().collect(),
    };
    let requests = Requests {
        callers,
        limited,
        database: database.clone(),
        limited_user: LIMITED,
    };
    let mut fronts = Lane::new(fronts, chance(1), tallies);
    let mut workers = Lane::new(Workers { fleet: world.workers }, chance(2), tallies);
    let mut stores = Lane::new(stores, chance(3), tallies);
    let mut venue = Lane::new(venue, chance(4), tallies);
    let mut requests = Lane::new(requests, chance(5), tallies);
    let mut recoveries = Vec::new();
    while Instant::now() < until {
        let end = Instant::now() + ROUND;
        tokio::join!(
            fronts.round(end),
            workers.round(end),
            stores.round(end),
            venue.round(end),
            requests.round(end),
        );
        // A process may have ended because its database was away.
        fronts.faults.fleet.revive().await;
        workers.faults.fleet.revive().await;
        recoveries.push(heal(&database, &world.shared).await);
    }
    let world = World {
        fronts: fronts.faults.fleet,
        workers: workers.faults.fleet,
        broker: venue.faults.broker,
        place: stores.faults.place,
        database,
        people: world.people,
        shared: world.shared,
    };
    (world, recoveries)
}

/// Waits until every order that was placed before now is filled, ended or at rest, with nothing left to do for it.
async fn heal(database: &Database, shared: &Shared) -> Duration {
    let begun = Instant::now();
    let [now] = &database.rows::<1>("SELECT clock_timestamp()::text").await[0];
    let unwell = format!(
        "submitted_at <= '{now}' AND (EXISTS (SELECT 1 FROM order_work w WHERE w.order_id = orders.id)
         OR (closed_at IS NULL AND kind = 'market'))"
    );
    while database.count("orders", &unwell).await > 0 {
        if begun.elapsed() > RECOVERY_MAX * 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = begun.elapsed();
    if took > RECOVERY_MAX {
        shared.wrong(format!("a round took {took:?} to heal"));
    }
    took
}

/// Ends what rests, and waits until every order is at its end and no work is left. Answers how long that took.
async fn drain(world: &World) -> Option<Duration> {
    let begun = Instant::now();
    for person in 0..world.people.len() {
        let caller = world.caller(person);
        caller
            .settled(0, "DELETE", "/v2/orders", None, &Value::Null)
            .await;
    }
    while begun.elapsed() < checks::DRAINED_WITHIN {
        let work = world.database.count("order_work", "true").await;
        let open = world.database.count("orders", "closed_at IS NULL").await;
        if work + open == 0 {
            return Some(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}
