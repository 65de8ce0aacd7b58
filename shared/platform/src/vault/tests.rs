//! Keys and secrets of these tests are used nowhere else.

use std::collections::BTreeSet;

use super::*;

const OLD: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const NEW: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SALT: &str = "a salt for tests only";
const SECRET: &str = "APCA key id PK123 and its secret: naïve 🗝";

fn vault(keys: &[&str]) -> Vault {
    salted(keys, SALT)
}

fn salted(keys: &[&str], salt: &str) -> Vault {
    let secrets = LocalSecrets {
        encryption_key: SecretString::from(keys.join(",")),
        encryption_salt: SecretString::from(salt),
        session_secret: SecretString::from("unused"),
        created: false,
    };
    Vault::of(&secrets).unwrap()
}

fn secret() -> SecretString {
    SecretString::from(SECRET)
}

fn opened(vault: &Vault, owner: Uuid, sealed: &Sealed) -> Result<String, VaultError> {
    vault
        .open(owner, sealed)
        .map(|secret| secret.expose_secret().to_owned())
}

fn with_token(sealed: &Sealed, token: impl Into<String>) -> Sealed {
    Sealed::from_kept(token.into(), sealed.key_fingerprint().to_owned())
}

#[test]
fn what_was_sealed_opens_for_its_owner_and_for_nobody_else() {
    let (vault, owner) = (vault(&[OLD]), Uuid::from_u128(1));
    for text in [SECRET, "", "x", "\0\n", &"long ".repeat(2000)] {
        let sealed = vault.seal(owner, &SecretString::from(text));
        assert_eq!(opened(&vault, owner, &sealed).as_deref(), Ok(text));
        for other in [Uuid::nil(), Uuid::from_u128(2), Uuid::max()] {
            assert_eq!(opened(&vault, other, &sealed), Err(VaultError::OtherOwner));
        }
    }
}

#[test]
fn every_listed_key_opens_and_the_first_one_seals() {
    let owner = Uuid::from_u128(7);
    let (old, both, new) = (vault(&[OLD]), vault(&[NEW, OLD]), vault(&[NEW]));
    let by_old = old.seal(owner, &secret());
    assert_eq!(opened(&both, owner, &by_old).as_deref(), Ok(SECRET));
    assert_eq!(opened(&new, owner, &by_old), Err(VaultError::Unopened));
    assert_eq!(by_old.key_fingerprint(), old.key_fingerprint());
    assert_ne!(by_old.key_fingerprint(), both.key_fingerprint());

    let by_new = both.seal(owner, &secret());
    assert_eq!(opened(&new, owner, &by_new).as_deref(), Ok(SECRET));
    assert_eq!(opened(&old, owner, &by_new), Err(VaultError::Unopened));
    assert_eq!(by_new.key_fingerprint(), both.key_fingerprint());
    assert_eq!(by_new.key_fingerprint(), new.key_fingerprint());
}

#[test]
fn another_salt_makes_other_keys() {
    let owner = Uuid::from_u128(7);
    let sealed = vault(&[OLD]).seal(owner, &secret());
    let other = salted(&[OLD], "another salt for tests");
    assert_eq!(opened(&other, owner, &sealed), Err(VaultError::Unopened));
    assert_ne!(sealed.key_fingerprint(), other.key_fingerprint());
}

#[test]
fn a_key_is_the_same_with_and_without_its_padding_and_the_space_around_it() {
    let owner = Uuid::from_u128(7);
    let sealed = vault(&[OLD]).seal(owner, &secret());
    for key in [
        OLD.trim_end_matches('='),
        " cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4= ",
    ] {
        let vault = vault(&[NEW, key]);
        assert_eq!(opened(&vault, owner, &sealed).as_deref(), Ok(SECRET), "{key}");
    }
}

#[test]
fn no_changed_text_opens() {
    let (vault, owner) = (vault(&[NEW, OLD]), Uuid::from_u128(7));
    let sealed = vault.seal(owner, &secret());
    let token = sealed.token();
    for at in 0..token.len() {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        assert_eq!(
            opened(&vault, owner, &with_token(&sealed, changed)),
            Err(VaultError::Unopened),
            "{at}"
        );
    }
    for text in [
        "",
        "gAAAAA",
        SECRET,
        &token[..token.len() - 4],
        &format!("{token}AAAA"),
    ] {
        assert_eq!(
            opened(&vault, owner, &with_token(&sealed, text)),
            Err(VaultError::Unopened),
            "{text}"
        );
    }
}

#[test]
fn the_same_secret_never_gives_the_same_text() {
    let (vault, owner) = (vault(&[OLD]), Uuid::from_u128(7));
    let tokens: BTreeSet<String> = (0..100)
        .map(|_| vault.seal(owner, &secret()).token().to_owned())
        .collect();
    assert_eq!(tokens.len(), 100);
}

#[test]
fn the_time_at_which_it_was_sealed_is_not_told_and_does_not_matter() {
    let (vault, owner) = (vault(&[OLD]), Uuid::from_u128(7));
    let sealed = vault.seal(owner, &secret());
    // The version, and eight bytes of time.
    assert!(sealed.token().starts_with("gAAAAAAAAAAA"), "{}", sealed.token());
    let plain = [owner.as_bytes().as_slice(), SECRET.as_bytes()].concat();
    let from_the_future = vault.newest.fernet.encrypt_at_time(&plain, 32_503_680_000);
    let sealed = with_token(&sealed, from_the_future);
    assert_eq!(opened(&vault, owner, &sealed).as_deref(), Ok(SECRET));
}

/// Keys, format and binding are a promise to whoever upgrades: a change of any of them fails here.
#[test]
fn what_an_earlier_release_sealed_still_opens() {
    let sealed = Sealed::from_kept(KEPT.to_owned(), KEPT_FINGERPRINT.to_owned());
    let vault = vault(&[OLD]);
    assert_eq!(opened(&vault, Uuid::from_u128(7), &sealed).as_deref(), Ok(SECRET));
    assert_eq!(vault.key_fingerprint(), KEPT_FINGERPRINT);
}

/// Made with another implementation of HKDF and Fernet, with the bytes 0 to 15 as initialisation vector.
const KEPT: &str = "gAAAAAAAAAAAAAECAwQFBgcICQoLDA0OD7Gn3VZKh0cwHjRQLrkDoekBuQcjWKL_NQrlAi4Cv32_4oiIlYLR1rpIginkFh4H0pI1jQj3-pjdgwHSZaTR887SXJpDE29Vfda8S2V3M356jolW7X8p967eIVK6wniALA==";
const KEPT_FINGERPRINT: &str = "6b35965bceba6240";

#[test]
fn nothing_that_is_printed_tells_a_secret_or_a_key() {
    let (vault, owner) = (vault(&[NEW, OLD]), Uuid::from_u128(7));
    let sealed = vault.seal(owner, &secret());
    let errors = [VaultError::NoKey, VaultError::Unopened, VaultError::OtherOwner];
    let mut printed = vec![
        format!("{vault:?}"),
        format!("{vault:#?}"),
        format!("{sealed:?}"),
        format!("{:?}", vault.open(owner, &sealed)),
        format!("{:?}", vault.open(Uuid::nil(), &sealed)),
    ];
    printed.extend(errors.iter().map(|error| format!("{error} {error:?}")));
    let key = &vault.newest.fingerprint;
    assert!(printed[0].contains(key) && printed[2].contains(key));
    for text in printed {
        for hidden in [
            SECRET,
            "PK123",
            OLD,
            NEW,
            &OLD[..20],
            &NEW[..20],
            SALT,
            sealed.token(),
        ] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
}

#[test]
fn a_fingerprint_is_of_the_derived_key_and_differs_for_each() {
    let fingerprints = [
        vault(&[OLD]).key_fingerprint().to_owned(),
        vault(&[NEW]).key_fingerprint().to_owned(),
        salted(&[OLD], "another salt for tests")
            .key_fingerprint()
            .to_owned(),
    ];
    assert_eq!(BTreeSet::from(fingerprints.clone()).len(), 3);
    for text in fingerprints {
        assert_eq!(text.len(), 16);
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    }
}
