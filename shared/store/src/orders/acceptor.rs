//! Accepting by a short way where that is safe, and under locks where it is not.
//!
//! 1. A batch is decided on state that is remembered from the batches before, and written all at once if no version has
//!    moved ([`super::express`]). Nothing is remembered of what the database did not confirm.
//! 2. A refusal is never given on remembered state: another process may have freed what it lacks. All orders of a user
//!    who would be refused one are decided again under locks, in their order.
//! 3. So is whoever is not remembered, whose version has moved, or whose names may be taken. The locked path is also how
//!    users and accounts come to be remembered.
//! 4. A batch that the database will not have is halved until the order is found that spoils it.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use domain::account::Balance;
use domain::id::{AccountId, AssetId, ClientOrderId, UserId};
use domain::position::Position;
use tokio::sync::Mutex;

use super::accept::{AcceptContext, AcceptRequest, Accepted, Refusal, decide};
use super::express::Approved;
use super::taken::Taken;
use crate::Store;
use crate::book::{position_of, positions_among};
use crate::error::StoreError;
use crate::ledger::{AccountState, Ledger, Tracked, UserState};

/// The answer to one request of a batch.
pub type Answer = Result<Result<Accepted, Refusal>, StoreError>;

/// Accepts batches of orders; one for each process, as what it remembers moves with each batch.
#[derive(Debug)]
pub struct Acceptor {
    store: Store,
    held: Mutex<Held>,
}

/// What is remembered between batches.
#[derive(Debug, Default)]
struct Held {
    trading_date: NaiveDate,
    users: HashMap<UserId, UserState>,
    accounts: HashMap<AccountId, HeldAccount>,
    /// Names that were taken lately: a repeated one would fail a whole batch.
    names: HashSet<(AccountId, String)>,
}

/// What is remembered of an account. Its positions were read at its version or later: whatever takes units away since then
/// has moved the version on.
#[derive(Debug)]
struct HeldAccount {
    state: AccountState,
    balance: Balance,
    positions: HashMap<AssetId, Position>,
}

/// When more accounts or names than this are remembered, they are forgotten: they come back by one locked batch each.
const HELD_MAX: usize = 100_000;

/// The orders of one user in a batch, with their places in it.
struct OfUser<'a> {
    places: Vec<usize>,
    requests: Vec<&'a AcceptRequest>,
}

impl Acceptor {
    /// Accepts into `store`.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            held: Mutex::new(Held::default()),
        }
    }

    /// Decides `requests`, those of each user in their order, and stores what is approved; one answer for each.
    pub async fn accept(&self, requests: &[AcceptRequest], context: &AcceptContext<'_>) -> Vec<Answer> {
        let mut held = self.held.lock().await;
        let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
        let (locked, is_lost) = self.express(&mut held, requests, context, &mut answers).await;
        // Halves wait on a stack, the earlier one on top.
        let mut parts = vec![locked];
        while let Some(mut places) = parts.pop() {
            if places.is_empty() {
                continue;
            }
            let part: Vec<&AcceptRequest> = places.iter().filter_map(|place| requests.get(*place)).collect();
            match self.store.accept_under_locks(&part, context, is_lost).await {
                Ok((accepted, ledger)) => {
                    held.reload(&ledger, &part);
                    give(&mut answers, &places, accepted.into_iter().map(Ok));
                }
                Err(error) => {
                    held.forget(&part);
                    if places.len() > 1 && is_of_one(&error) {
                        let later = places.split_off(places.len() / 2);
                        parts.push(later);
                        parts.push(places);
                    } else {
                        give(&mut answers, &places, part.iter().map(|_| Err(error.clone())));
                    }
                }
            }
        }
        let nothing = || Err(StoreError::NotFound { table: "answer" });
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(nothing))
            .collect()
    }

    /// Tries the short way. Answers the places of those that have to take the other one, in their order, and
    /// whether the answer to the writing was lost: then it is found out, and fenced off, under the locks.
    async fn express(
        &self,
        held: &mut Held,
        requests: &[AcceptRequest],
        context: &AcceptContext<'_>,
        answers: &mut [Option<Answer>],
    ) -> (Vec<usize>, bool) {
        held.roll(domain::calendar::trading_date(context.now));
        let mut locked = Vec::new();
        let mut known: BTreeMap<UserId, OfUser<'_>> = BTreeMap::new();
        for (place, request) in requests.iter().enumerate() {
            let of_user = known.entry(request.order.user_id).or_insert_with(|| OfUser {
                places: Vec::new(),
                requests: Vec::new(),
            });
            of_user.places.push(place);
            of_user.requests.push(request);
        }
        known.retain(|_, of_user| {
            let is_known = of_user.requests.iter().all(|request| held.knows(request));
            if !is_known {
                locked.append(&mut of_user.places);
            }
            is_known
        });
        if held.load_positions(&self.store, &known).await.is_err() {
            locked.extend(known.into_values().flat_map(|of_user| of_user.places));
            locked.sort_unstable();
            return (locked, false);
        }
        let (mut before, mut after) = (Ledger::new(context.now), Ledger::new(context.now));
        let (mut places, mut decided, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
        for (user, of_user) in known {
            let start = held.ledger(user, &of_user.requests, context);
            let mut ledger = start.clone();
            let answers = decide(&mut ledger, &of_user.requests, Taken::default(), context);
            if answers
                .iter()
                .any(|answer| !matches!(answer, Ok(accepted) if accepted.replay.is_none()))
            {
                locked.extend(of_user.places);
                continue;
            }
            before.absorb(start);
            after.absorb(ledger);
            places.extend(of_user.places);
            decided.extend(of_user.requests);
            accepted.extend(answers);
        }
        let mut is_lost = false;
        if !decided.is_empty() {
            let approved = Approved {
                before: &before,
                after: &after,
                requests: &decided,
                answers: &accepted,
                context,
            };
            match self.store.write_accepted(approved).await {
                Ok(true) => {
                    held.move_on(&after, &decided);
                    give(answers, &places, accepted.into_iter().map(Ok));
                }
                // Nothing was done, and the other way would wait as long once more.
                Err(error) if error.is_unavailable() => {
                    give(answers, &places, decided.iter().map(|_| Err(error.clone())));
                }
                other => {
                    is_lost = matches!(other, Err(StoreError::CommitUnknown(_)));
                    held.forget(&decided);
                    locked.extend(places);
                }
            }
        }
        locked.sort_unstable();
        (locked, is_lost)
    }
}

fn give(answers: &mut [Option<Answer>], places: &[usize], given: impl Iterator<Item = Answer>) {
    for (place, answer) in places.iter().zip(given) {
        if let Some(slot) = answers.get_mut(*place) {
            *slot = Some(answer);
        }
    }
}

/// Whether an error may be the fault of one order of a batch, and not of the database or the way to it.
const fn is_of_one(error: &StoreError) -> bool {
    match error {
        StoreError::NotFound { .. }
        | StoreError::Conflict { .. }
        | StoreError::Stale { .. }
        | StoreError::Inconsistent { .. }
        | StoreError::Database(_) => true,
        StoreError::Unavailable(_)
        | StoreError::CommitUnknown(_)
        | StoreError::Ended
        | StoreError::Url { .. } => false,
    }
}

impl Held {
    /// What was filled yesterday counts no more today.
    fn roll(&mut self, today: NaiveDate) {
        if self.names.len() > HELD_MAX {
            self.names.clear();
        }
        if self.trading_date != today || self.accounts.len() > HELD_MAX {
            self.trading_date = today;
            self.users.clear();
            self.accounts.clear();
        }
    }

    fn knows(&self, request: &AcceptRequest) -> bool {
        let order = &request.order;
        self.users.contains_key(&order.user_id)
            && self.accounts.contains_key(&order.account_id)
            && !names_of(request).any(|name| self.names.contains(&name))
    }

    /// Reads the positions that are not remembered yet. Without a lock: see [`HeldAccount`].
    async fn load_positions(
        &mut self,
        store: &Store,
        known: &BTreeMap<UserId, OfUser<'_>>,
    ) -> Result<(), StoreError> {
        let requests = known.values().flat_map(|of_user| &of_user.requests);
        let missing: HashSet<(AccountId, AssetId)> = requests
            .map(|request| (request.order.account_id, request.order.instrument.id))
            .filter(|(account, asset)| {
                let account = self.accounts.get(account);
                account.is_some_and(|account| !account.positions.contains_key(asset))
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let keys = missing.iter().map(|(account, asset)| (account.0, asset.0));
        let rows = positions_among(store.read(), keys).await?;
        let none = missing
            .into_iter()
            .map(|(account, asset)| (account, asset, Position::default()));
        let some = rows.iter().map(|row| {
            let (account, asset) = (AccountId(row.account_id), AssetId(row.asset_id));
            (account, asset, position_of(row))
        });
        for (account, asset, position) in none.chain(some) {
            if let Some(account) = self.accounts.get_mut(&account) {
                account.positions.insert(asset, position);
            }
        }
        Ok(())
    }

    /// What is remembered of a user, for these orders. Events are numbered from one: the database adds what there is.
    fn ledger(&self, user: UserId, requests: &[&AcceptRequest], context: &AcceptContext<'_>) -> Ledger {
        let mut ledger = Ledger::new(context.now);
        if let Some(state) = self.users.get(&user) {
            ledger.users.insert(user, Tracked::loaded(state.clone()));
        }
        for request in requests {
            let (id, asset) = (request.order.account_id, request.order.instrument.id);
            let Some(account) = self.accounts.get(&id) else {
                continue;
            };
            let state = AccountState {
                last_event_seq: 0,
                ..account.state.clone()
            };
            ledger.accounts.insert(id, Tracked::loaded(state));
            ledger.balances.insert(id, Tracked::loaded(account.balance));
            if let Some(position) = account.positions.get(&asset) {
                ledger.positions.insert((id, asset), Tracked::loaded(*position));
            }
        }
        ledger
    }

    /// Remembers a ledger that was read under locks, as the database has kept it. Whatever else was remembered of its
    /// accounts is older than their versions now, and is forgotten.
    fn reload(&mut self, ledger: &Ledger, requests: &[&AcceptRequest]) {
        self.roll(ledger.trading_date);
        for (id, account) in &ledger.accounts {
            let fresh = HeldAccount {
                state: account.get().clone(),
                balance: Balance::default(),
                positions: HashMap::new(),
            };
            self.accounts.insert(*id, fresh);
        }
        self.move_on(ledger, requests);
    }

    /// Remembers what a ledger that began with what is remembered has come to.
    fn move_on(&mut self, ledger: &Ledger, requests: &[&AcceptRequest]) {
        let users = ledger.users.iter();
        self.users
            .extend(users.map(|(id, user)| (*id, user.get().clone())));
        for (id, after) in &ledger.accounts {
            if let Some(account) = self.accounts.get_mut(id) {
                account.state = after.get().clone();
                account.balance = ledger.balance(*id);
            }
        }
        for ((id, asset), position) in &ledger.positions {
            if let Some(account) = self.accounts.get_mut(id) {
                account.positions.insert(*asset, *position.get());
            }
        }
        self.names
            .extend(requests.iter().flat_map(|request| names_of(request)));
    }

    /// Forgets whoever these orders are of.
    fn forget(&mut self, requests: &[&AcceptRequest]) {
        for request in requests {
            self.users.remove(&request.order.user_id);
            self.accounts.remove(&request.order.account_id);
        }
    }
}

/// What a request takes for itself: a client order id of the caller's choice, and an idempotency key, which stands behind
/// a letter that no client order id begins with.
fn names_of(request: &AcceptRequest) -> impl Iterator<Item = (AccountId, String)> {
    let order = &request.order;
    let account = order.account_id;
    let chosen = (order.client_order_id != ClientOrderId::from(order.id))
        .then(|| order.client_order_id.as_str().to_owned());
    let key = request.idempotency.as_ref().map(|key| format!("\n{}", key.key));
    chosen.into_iter().chain(key).map(move |name| (account, name))
}
