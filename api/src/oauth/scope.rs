//! Scopes as OAuth writes them: a list of words. What each is stands in [`Scope`].
//!
//! Reading is implied for every credential, so `data` is what somebody asks for who asks for nothing.

use crate::access::{Scope, UnknownScope};

/// Reads scopes with single spaces between them (RFC 6749 §3.3): each once, in the order in which they are shown. No
/// scopes at all are `data`.
pub fn parse(text: &str) -> Result<Vec<Scope>, UnknownScope> {
    if text.is_empty() {
        return Ok(vec![Scope::Data]);
    }
    let mut scopes = text.split(' ').map(str::parse).collect::<Result<Vec<_>, _>>()?;
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

/// Whether each of `asked` may be had by who may have at most `most`. What every credential may do anyway, it may.
pub fn are_within(asked: &[Scope], most: &[String]) -> bool {
    asked
        .iter()
        .all(|scope| *scope == Scope::Data || most.iter().any(|one| one == scope.as_str()))
}

/// The names of `scopes`, as the store keeps them.
pub fn names(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_once_each_and_in_one_order() {
        use Scope::{AccountWrite, Data, Keys, Trading};
        for (text, expected) in [
            ("", Ok(vec![Data])),
            ("data", Ok(vec![Data])),
            ("trading data", Ok(vec![Data, Trading])),
            ("account:write trading trading", Ok(vec![Trading, AccountWrite])),
            ("arbion:keys", Ok(vec![Keys])),
            ("trading  data", Err(UnknownScope)),
            (" trading", Err(UnknownScope)),
            ("trading\tdata", Err(UnknownScope)),
            ("Trading", Err(UnknownScope)),
            ("trading,data", Err(UnknownScope)),
            ("admin", Err(UnknownScope)),
            ("arbion:*", Err(UnknownScope)),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nobody_gets_more_than_was_registered() {
        let registered = ["trading".to_owned()];
        for (asked, expected) in [
            ("", true),
            ("data", true),
            ("trading data", true),
            ("trading arbion:keys", false),
            ("account:write", false),
        ] {
            assert_eq!(
                are_within(&parse(asked).unwrap(), &registered),
                expected,
                "{asked}"
            );
        }
    }

    #[test]
    fn the_list_is_the_contract_s() {
        let mut listed = names(&Scope::ALL);
        listed.sort_unstable();
        let expected = "account:write arbion:keys arbion:risk arbion:triggers arbion:webhooks data trading";
        assert_eq!(listed.join(" "), expected);
        for scope in Scope::ALL {
            assert!(scope.meaning().len() > 20, "{scope}");
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
    }
}
