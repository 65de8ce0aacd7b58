//! What an answer proves.
//!
//! | came back | a submission is |
//! |---|---|
//! | no connection | not sent |
//! | 429 | not sent, with the pause that is asked for |
//! | 200, 201, 202 with the order | acknowledged, or refused where the order says so |
//! | 4xx with one of the broker's words of refusal | refused |
//! | anything else: no answer in time, a cut one, 5xx, a bare 4xx, a body that is no order | unknown |
//!
//! A status alone refuses nothing: a proxy answers 400 and 404, too, and the order may be behind it.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Reply;
use super::wire::{self, Unreadable};
use crate::Outcome;

/// The broker's words that an order is not wanted and was not taken.
const REFUSALS: [&str; 3] = ["refused", "insufficient_funds", "malformed"];

/// The broker's words that a cancel or a replace is not granted.
const DENIALS: [&str; 3] = ["refused", "not_open", "unknown_order"];

/// The broker's word that it has no such order.
const UNKNOWN_ORDER: &str = "unknown_order";

/// The longest piece of an unreadable body in a reason, in characters.
const SHOWN: usize = 60;

/// How the broker says no.
#[derive(Debug, Deserialize)]
struct Word {
    code: String,
    #[serde(default)]
    message: String,
}

/// What a submission came to.
pub(super) fn of_submission(reply: &Reply) -> Outcome {
    judge(reply, &[200, 201], &REFUSALS, acknowledged)
}

/// What a cancel or a replace came to.
pub(super) fn of_request(reply: &Reply) -> Outcome {
    let asked = |_: &[u8]| {
        Ok(Outcome::Acknowledged {
            broker_order_id: None,
            is_working: true,
        })
    };
    judge(reply, &[202], &DENIALS, asked)
}

fn judge(
    reply: &Reply,
    success: &[u16],
    no: &[&str],
    yes: impl FnOnce(&[u8]) -> Result<Outcome, Unreadable>,
) -> Outcome {
    let (status, retry_after, body) = match reply {
        Reply::Unreachable(reason) => {
            return Outcome::NotSent {
                reason: reason.clone(),
                retry_after: None,
            };
        }
        Reply::Lost(reason) => {
            return Outcome::Unknown {
                reason: reason.clone(),
            };
        }
        Reply::Answer {
            status,
            retry_after,
            body,
        } => (*status, *retry_after, body),
    };
    if status == 429 {
        return Outcome::NotSent {
            reason: "the broker asks us to wait (429)".to_owned(),
            retry_after,
        };
    }
    if success.contains(&status) {
        return yes(body).unwrap_or_else(|_| Outcome::Unknown {
            reason: unreadable(status, body),
        });
    }
    match word(body).filter(|word| (400..500).contains(&status) && no.contains(&word.code.as_str())) {
        Some(word) => Outcome::Refused {
            reason: format!("{}: {}", word.code, word.message),
        },
        None => Outcome::Unknown {
            reason: unreadable(status, body),
        },
    }
}

fn acknowledged(body: &[u8]) -> Result<Outcome, Unreadable> {
    let order: wire::Order = wire::parsed(body)?;
    let found = order.found();
    Ok(match found.refused {
        Some(reason) => Outcome::Refused { reason },
        None => Outcome::Acknowledged {
            broker_order_id: Some(found.broker_order_id),
            is_working: found.is_working,
        },
    })
}

/// What was asked for, or why it did not come.
pub(super) fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, String> {
    match reply {
        Reply::Unreachable(reason) | Reply::Lost(reason) => Err(reason.clone()),
        Reply::Answer {
            status: 200, body, ..
        } => wire::parsed(body).map_err(|_| unreadable(200, body)),
        Reply::Answer { status, body, .. } => Err(unreadable(*status, body)),
    }
}

/// Whether the broker itself says that it has no such order; a bare 404 does not.
pub(super) fn is_unknown_order(reply: &Reply) -> bool {
    match reply {
        Reply::Answer {
            status: 404, body, ..
        } => word(body).is_some_and(|word| word.code == UNKNOWN_ORDER),
        Reply::Answer { .. } | Reply::Unreachable(_) | Reply::Lost(_) => false,
    }
}

fn word(body: &[u8]) -> Option<Word> {
    wire::parsed(body).ok()
}

fn unreadable(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let shown: String = text.chars().take(SHOWN).collect();
    format!("an answer that proves nothing: {status} {shown:?}")
}
