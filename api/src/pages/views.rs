//! What each page shows. The templates stand in `api/templates`.

use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Destination;

/// Whoever is logged in, as the top of a page shows it.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The CSRF token of the session.
    pub csrf_token: &'a str,
}

/// The start.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct Home<'a> {
    /// Whoever is logged in.
    pub person: Option<Person<'a>>,
    /// Whether everyone may make an account.
    pub is_registration_open: bool,
}

/// The form that logs in.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct Login<'a> {
    /// What was typed before, or nothing.
    pub email: &'a str,
    /// Where to go afterwards: see [`local_path`](super::local_path).
    pub next: Option<&'a str>,
    /// Why it did not work. It must not tell whether the address is known.
    pub error: Option<&'a str>,
    /// The token of the pre-session.
    pub csrf_token: &'a str,
    /// Whether everyone may make an account.
    pub is_registration_open: bool,
}

/// The form that makes an account.
#[derive(Debug, Template)]
#[template(path = "register.html")]
pub struct Register<'a> {
    /// What was typed before, or nothing.
    pub email: &'a str,
    /// Where to go afterwards: see [`local_path`](super::local_path).
    pub next: Option<&'a str>,
    /// Why it did not work.
    pub fault: Option<Fault<'a>>,
    /// The token of the pre-session.
    pub csrf_token: &'a str,
}

/// What is wrong with a form.
#[derive(Debug, Clone, Copy)]
pub struct Fault<'a> {
    /// Where; `None` for the form as a whole.
    pub field: Option<Field>,
    /// A sentence that says what to do.
    pub text: &'a str,
}

/// A field of [`Register`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `email`
    Email,
    /// `password`
    Password,
}

impl Register<'_> {
    fn is_wrong(&self, field: Field) -> bool {
        self.fault.is_some_and(|fault| fault.field == Some(field))
    }
}

/// Whether an account trades with real money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountMode {
    /// Real prices, simulated money.
    Paper,
    /// Real money.
    Live,
}

impl AccountMode {
    /// The mode that the store calls so. What is not known as play money is shown as real.
    pub fn of(word: &str) -> Self {
        if word == "paper" { Self::Paper } else { Self::Live }
    }

    const fn is_live(self) -> bool {
        match self {
            Self::Paper => false,
            Self::Live => true,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Paper => "Paper",
            Self::Live => "Live",
        }
    }
}

/// An account that an app may be connected to.
#[derive(Debug, Clone, Copy)]
pub struct AccountChoice<'a> {
    /// Its id, the value of `account_id`.
    pub id: Uuid,
    /// The number by which its owner knows it.
    pub number: &'a str,
    /// Whether its money is real.
    pub mode: AccountMode,
}

/// The question whether an app may act for the person.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct Consent<'a> {
    /// The app's name, as whoever registered it wrote it.
    pub app: &'a str,
    /// The e-mail address of whoever registered it.
    pub registered_by: &'a str,
    /// Where the answer is sent on to.
    pub destination: &'a Destination,
    /// The e-mail address of whoever is asked.
    pub email: &'a str,
    /// The accounts of theirs; at least one.
    pub accounts: &'a [AccountChoice<'a>],
    /// What the app may do, each as the rest of "It will be able to …".
    pub scopes: &'a [&'a str],
    /// The authorization request, name and value, as hidden fields.
    pub fields: &'a [(&'a str, &'a str)],
    /// The CSRF token of the session.
    pub csrf_token: &'a str,
}

impl Consent<'_> {
    /// Real money is never the choice of a page: only a paper account is chosen beforehand.
    fn is_preselected(&self, account: &AccountChoice<'_>) -> bool {
        let first_paper = self.accounts.iter().find(|account| !account.mode.is_live());
        first_paper.is_some_and(|paper| paper.id == account.id)
    }
}

/// Everything that acts for the person.
#[derive(Debug, Template)]
#[template(path = "access.html")]
pub struct Access<'a> {
    /// Whose.
    pub person: Person<'a>,
    /// What was just ended, as a sentence.
    pub done: Option<&'a str>,
    /// Apps that the person said yes to.
    pub apps: &'a [ConnectedApp<'a>],
    /// Where the person is logged in.
    pub sessions: &'a [Session<'a>],
    /// The person's API keys.
    pub keys: &'a [Key<'a>],
}

/// An app that the person said yes to.
#[derive(Debug, Clone, Copy)]
pub struct ConnectedApp<'a> {
    /// The grant's id.
    pub id: Uuid,
    /// The app's name.
    pub name: &'a str,
    /// The account's number.
    pub account: &'a str,
    /// Whether its money is real.
    pub mode: AccountMode,
    /// What it may do, in the words of the consent page.
    pub scopes: &'a [&'a str],
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When it last did.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A session of the person.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// The session's id.
    pub id: Uuid,
    /// The browser, as it names itself.
    pub agent: &'a str,
    /// The address it came from.
    pub address: &'a str,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When it last asked for something.
    pub last_seen_at: DateTime<Utc>,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

/// An API key of the person.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The credential's id.
    pub id: Uuid,
    /// The name that the person gave it.
    pub name: &'a str,
    /// The public half.
    pub key_id: &'a str,
    /// The account's number.
    pub account: &'a str,
    /// What it may do.
    pub scopes: &'a [&'a str],
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A page that could not be shown, or a form that could not be taken.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct Failure<'a> {
    /// What happened, in a few words.
    pub heading: &'a str,
    /// What it means, and what to do.
    pub sentence: &'a str,
    /// The id under which the log knows the request.
    pub request_id: &'a str,
}
