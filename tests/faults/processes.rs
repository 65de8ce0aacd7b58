//! Faults of processes: they die anywhere, stand still longer than their leases, and are started again.

use std::time::Duration;

use crate::chance::Chance;
use crate::database::Database;
use crate::fleet::Fleet;
use crate::lane::Faults;
use crate::support::Role;

/// How long a claim of work lasts, in whole seconds.
pub(crate) const LEASE_SECONDS: u64 = 4;

/// How long a process may run before it comes to its fault point.
const POINT_PATIENCE: Duration = Duration::from_secs(4);

/// The apis and the schedulers.
pub(crate) struct Fronts {
    pub(crate) fleet: Fleet,
    pub(crate) database: Database,
}

impl Faults for Fronts {
    const KINDS: &'static [&'static str] = &[
        "api: kill -9",
        "api: kill -9",
        "scheduler: kill -9",
        "apis and schedulers: all killed at once",
        "api or scheduler: killed while it comes up",
        "api or scheduler: rolling restart",
        "leader: SIGSTOP for two ticks",
        "api: dies between commit and answer",
        "api: dies before commit",
        "scheduler: dies between slot and signal",
    ];
    const PAUSE: (u64, u64) = (100, 400);

    async fn make(&mut self, kind: &'static str, chance: &mut Chance) {
        let fleet = &mut self.fleet;
        match kind {
            "api: kill -9" => kill(fleet, Role::Api, chance),
            "scheduler: kill -9" => kill(fleet, Role::Scheduler, chance),
            "apis and schedulers: all killed at once" => kill_all(fleet),
            "api or scheduler: killed while it comes up" => kill_again(fleet, chance).await,
            "api or scheduler: rolling restart" => fleet.end(chance.index(fleet.members.len())).await,
            "leader: SIGSTOP for two ticks" => {
                if let Some(place) = self.leader().await {
                    stand_still(&self.fleet, place, chance.millis(2_100, 3_500)).await;
                }
            }
            _ => die_at(fleet, kind, chance).await,
        }
        tokio::time::sleep(chance.millis(0, 300)).await;
        self.fleet.revive().await;
    }
}

impl Fronts {
    /// The place of the scheduler that leads.
    async fn leader(&self) -> Option<usize> {
        let holder =
            "SELECT holder FROM leases WHERE holder LIKE 'scheduler-%' AND expires_at > clock_timestamp()";
        let rows = self.database.rows::<1>(holder).await;
        self.fleet.named(&rows.first()?[0])
    }
}

/// The workers.
pub(crate) struct Workers {
    pub(crate) fleet: Fleet,
}

/// Long enough that due work is overdue for the scheduler.
const AWAY: (u64, u64) = (2_500, 3_500);

impl Faults for Workers {
    const KINDS: &'static [&'static str] = &[
        "worker: kill -9",
        "worker: kill -9",
        "workers: all killed at once, away for 3 s",
        "worker: killed while it comes up",
        "worker: rolling restart",
        "worker: SIGSTOP longer than its lease",
        "worker: dies after a claim",
        "worker: dies before the first byte",
        "worker: dies right before the call",
        "worker: dies after the broker's answer",
        "worker: dies before it records",
        "worker: dies after it recorded",
    ];
    const PAUSE: (u64, u64) = (100, 400);

    async fn make(&mut self, kind: &'static str, chance: &mut Chance) {
        let fleet = &mut self.fleet;
        match kind {
            "worker: kill -9" => kill(fleet, Role::Worker, chance),
            "workers: all killed at once, away for 3 s" => {
                kill_all(fleet);
                tokio::time::sleep(chance.millis(AWAY.0, AWAY.1)).await;
            }
            "worker: killed while it comes up" => kill_again(fleet, chance).await,
            "worker: rolling restart" => fleet.end(chance.index(fleet.members.len())).await,
            "worker: SIGSTOP longer than its lease" => {
                let place = chance.index(fleet.members.len());
                let lease = LEASE_SECONDS * 1000;
                stand_still(fleet, place, chance.millis(lease + 200, lease + 1_500)).await;
            }
            _ => die_at(fleet, kind, chance).await,
        }
        tokio::time::sleep(chance.millis(0, 300)).await;
        self.fleet.revive().await;
    }
}

/// Which process dies where.
fn point_of(kind: &str) -> (Role, &'static str) {
    match kind {
        "api: dies between commit and answer" => (Role::Api, "api::after_commit"),
        "api: dies before commit" => (Role::Api, "store::before_commit::accept_orders"),
        "worker: dies after a claim" => (Role::Worker, "worker::after_claim"),
        "worker: dies before the first byte" => (Role::Worker, "worker::after_begin"),
        "worker: dies right before the call" => (Role::Worker, "worker::before_send"),
        "worker: dies after the broker's answer" => (Role::Worker, "worker::after_send"),
        "worker: dies before it records" => (Role::Worker, "store::before_commit::record"),
        "worker: dies after it recorded" => (Role::Worker, "store::after_commit::record"),
        "scheduler: dies between slot and signal" => (Role::Scheduler, "scheduler::between_slot_and_signal"),
        _ => panic!("no fault {kind}"),
    }
}

fn kill(fleet: &mut Fleet, role: Role, chance: &mut Chance) {
    let place = *chance.of(&fleet.of(role));
    fleet.kill(place);
}

pub(crate) fn kill_all(fleet: &mut Fleet) {
    (0..fleet.members.len()).for_each(|place| fleet.kill(place));
}

/// Kills a process, and twice more while it comes up again.
async fn kill_again(fleet: &mut Fleet, chance: &mut Chance) {
    let place = chance.index(fleet.members.len());
    for _ in 0..2 {
        fleet.kill(place);
        fleet.start(place, None);
        tokio::time::sleep(chance.millis(20, 400)).await;
    }
    fleet.kill(place);
}

async fn stand_still(fleet: &Fleet, place: usize, time: Duration) {
    fleet.signal(place, "STOP");
    tokio::time::sleep(time).await;
    fleet.signal(place, "CONT");
}

/// Starts a process again that dies at the point of `kind`; one that never comes there is killed.
async fn die_at(fleet: &mut Fleet, kind: &str, chance: &mut Chance) {
    let (role, point) = point_of(kind);
    let place = *chance.of(&fleet.of(role));
    let skipped = chance.below(4);
    fleet.kill(place);
    fleet.start(place, Some(&format!("{point}={skipped}*off->return")));
    fleet.has_ended(place, POINT_PATIENCE).await;
    fleet.kill(place);
}
