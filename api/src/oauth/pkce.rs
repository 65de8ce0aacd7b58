//! Proof Key for Code Exchange (RFC 7636), in its one safe form: S256.

use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use subtle::ConstantTimeEq as _;

/// The one method. `plain` would show the verifier to whoever sees the request (RFC 9700 §2.1.1).
pub const METHOD: &str = "S256";

/// Whether `text` can be a challenge or a verifier: 43 to 128 unreserved characters (RFC 7636 §4.1, §4.2).
pub fn is_well_formed(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Whether `verifier` answers `challenge`.
pub fn answers(verifier: &str, challenge: &str) -> bool {
    if !is_well_formed(verifier) {
        return false;
    }
    let verifier = PkceCodeVerifier::new(verifier.to_owned());
    let expected = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    expected.as_str().as_bytes().ct_eq(challenge.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_challenge_is_answered_by_its_verifier_alone() {
        assert!(answers(VERIFIER, CHALLENGE));
        for verifier in [
            "",
            CHALLENGE,
            &VERIFIER.to_lowercase(),
            &VERIFIER[1..],
            &format!("{VERIFIER}A"),
        ] {
            assert!(!answers(verifier, CHALLENGE), "{verifier}");
        }
        assert!(!answers(VERIFIER, VERIFIER), "the plain method");
        assert!(!answers(VERIFIER, ""));
    }

    #[test]
    fn challenges_and_verifiers_have_their_length_and_their_alphabet() {
        for (text, expected) in [
            ("x".repeat(42), false),
            ("x".repeat(43), true),
            ("-._~".repeat(32), true),
            ("x".repeat(129), false),
            (format!("{}=", "x".repeat(43)), false),
            (format!("{}+/", "x".repeat(43)), false),
            (format!("{} ", "x".repeat(43)), false),
            ("ä".repeat(43), false),
            (String::new(), false),
        ] {
            assert_eq!(is_well_formed(&text), expected, "{text}");
            assert!(expected || !answers(&text, CHALLENGE));
        }
    }
}
