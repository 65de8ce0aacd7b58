//! Browsers in which somebody has logged in before, so that strangers cannot keep them out.
//!
//! Wrong passwords are limited for each account, whoever sends them. A browser that has been let in once carries a cookie
//! that says so, for that account, under a MAC; its attempts count on their own (the device cookies of OWASP's
//! *Authentication Cheat Sheet*). The cookie is no credential: with it the password is asked for all the same.

use platform::secrets::new_token;
use poem::http::HeaderMap;

use super::csrf::{Bound, Csrf};
use super::session::Cookies;

/// A new cookie's value for a browser that has just been let in to `account`.
pub(crate) fn made_for(account: &str, csrf: &Csrf) -> String {
    let id = new_token();
    let proof = csrf.token(Bound::Device { account, id: &id });
    format!("{id}.{proof}")
}

/// The id of a browser that has been let in to `account` before.
pub(crate) fn known_to(account: &str, headers: &HeaderMap, cookies: &Cookies, csrf: &Csrf) -> Option<String> {
    let value = cookies.read_device(headers)?;
    let (id, proof) = value.split_once('.')?;
    csrf.is_right(Bound::Device { account, id }, proof)
        .then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use platform::Config;
    use poem::http::header::COOKIE;

    use super::*;

    #[test]
    fn a_browser_is_known_to_the_account_that_it_was_let_in_to_and_to_no_other() {
        let csrf = Csrf::new("a secret of more than thirty-two characters".into());
        let cookies = Cookies::of(&Config::from_lookup(|_| None).unwrap().access, false);
        let value = made_for("anna@example.com", &csrf);
        let known = |account: &str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, format!("arbion-device={value}").parse().unwrap());
            known_to(account, &headers, &cookies, &csrf)
        };
        let id = value.split_once('.').unwrap().0;
        assert_eq!(known("anna@example.com", &value).as_deref(), Some(id));
        assert_eq!(known("ben@example.com", &value), None);
        for wrong in ["x", "x.y", &value[1..], &format!("{value}A"), id] {
            assert_eq!(known("anna@example.com", wrong), None, "{wrong}");
        }
    }
}
