//! Users, accounts and keys, made by SQL: one of each for every client.

use std::fmt::Write as _;

use crate::support::Client;

/// The secret of every key.
const SECRET: &str = "the-secret-of-all-keys-of-the-fault-trials-0001";

/// Somebody with an account of their own.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) number: usize,
    /// One client for each api.
    pub(crate) clients: Vec<Client>,
}

/// What a person's account is at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) broker: &'static str,
    pub(crate) role: &'static str,
    /// Whose user the account belongs to: its own, or that of the person before.
    pub(crate) is_sibling: bool,
}

/// Places of ids.
fn id(kind: u8, number: usize) -> String {
    format!("00000000-0000-7000-800{kind}-{number:012}")
}

/// The id of a person's account.
pub(crate) fn account_of(person: usize) -> String {
    id(3, person)
}

/// The id of a person's user, who is not somebody's sibling.
pub(crate) fn user_of(person: usize) -> String {
    id(1, person)
}

/// The SQL that makes people of these kinds.
pub(crate) fn sql(kinds: &[Kind]) -> String {
    let mut sql = String::new();
    for (number, kind) in kinds.iter().enumerate() {
        let owner = if kind.is_sibling { number - 1 } else { number };
        let (user, connection, account, key) = (id(1, owner), id(2, number), id(3, number), id(4, number));
        let (broker, role) = (kind.broker, kind.role);
        if !kind.is_sibling {
            write!(
                sql,
                "INSERT INTO users (id, email, role, is_active, created_at) \
                 VALUES ('{user}', 'bot{number}@localhost', '{role}', true, now());"
            )
            .unwrap();
        }
        write!(
            sql,
            "INSERT INTO broker_connections (id, user_id, broker, mode, starting_cash, created_at) \
               VALUES ('{connection}', '{user}', '{broker}', 'paper', 9000000000, now());
             INSERT INTO accounts (id, account_number, user_id, broker_connection_id, mode, created_at) \
               VALUES ('{account}', 'PA{number:010}', '{user}', '{connection}', 'paper', now());
             INSERT INTO balances (account_id, currency, amount) VALUES ('{account}', 'USD', 9000000000);
             INSERT INTO credentials (id, user_id, account_id, kind, key_id, hash, name, scopes, created_at) \
               VALUES ('{key}', '{user}', '{account}', 'api_key', 'PKFAULT{number:013}', \
                       sha256('{SECRET}'::bytea), 'faults', 'trading data arbion:triggers', now());"
        )
        .unwrap();
    }
    sql
}

impl Person {
    /// The person `number`, who knows these apis.
    pub(crate) fn new(number: usize, apis: &[String]) -> Self {
        let headers = format!("APCA-API-KEY-ID: PKFAULT{number:013}\nAPCA-API-SECRET-KEY: {SECRET}");
        let clients = apis.iter().map(|api| Client::new(api, &headers)).collect();
        Self { number, clients }
    }
}
