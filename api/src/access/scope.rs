//! What a credential may do beyond reading its own account: one closed list.
//!
//! The words without a prefix are Alpaca's (<https://docs.alpaca.markets/docs/using-oauth2-and-trading-api>); the others are
//! Arbion's own.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

macro_rules! scopes {
    ($($variant:ident = $name:literal, $meaning:literal;)+) => {
        /// One thing that a credential may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope {
            $(#[doc = concat!("`", $name, "`: ", $meaning)] $variant),+
        }

        impl Scope {
            /// Every scope, in the order in which they are shown.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// The words of all, in the same order.
            pub const ALL_WORDS: [&'static str; Self::ALL.len()] = [$($name),+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it lets an app do, in plain words, as the rest of "This app will be able to …".
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

scopes! {
    Data = "data", "see the account: its money, positions, orders and history";
    Trading = "trading", "place, change and cancel orders, and close positions, with the account's money";
    AccountWrite = "account:write", "change the settings of the account";
    Triggers = "arbion:triggers", "arm and take back stops, which sell by themselves";
    Risk = "arbion:risk", "change the account's risk limits";
    Webhooks = "arbion:webhooks", "have news of the account sent to addresses that it chooses";
    Keys = "arbion:keys", "make and revoke API keys, apps and connections of the account; keys that it makes stay when it is disconnected";
}

/// A text that names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown scope")]
pub struct UnknownScope;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let known = Self::ALL.iter().find(|scope| scope.as_str() == text);
        known.copied().ok_or(UnknownScope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_back_from_its_word_and_no_other_word_is_one() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        for other in ["", "Trading", "trading ", "account", "arbion:admin", "*"] {
            assert_eq!(other.parse::<Scope>(), Err(UnknownScope), "{other}");
        }
    }
}
