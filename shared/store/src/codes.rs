//! Random names that people read aloud and type.

use platform::secrets::{new_token, sha256};

/// Letters and digits that cannot be mistaken for each other (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// `length` random characters, five bits each; at most 32 of them.
pub(crate) fn random_code(length: usize) -> String {
    sha256(new_token())
        .iter()
        .take(length)
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_have_their_length_and_differ() {
        let codes: BTreeSet<String> = (0..100).map(|_| random_code(10)).collect();
        assert_eq!(codes.len(), 100);
        for code in codes {
            assert_eq!(code.len(), 10);
            assert!(code.bytes().all(|byte| ALPHABET.contains(&byte)), "{code}");
        }
    }
}
