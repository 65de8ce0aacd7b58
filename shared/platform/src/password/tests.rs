use std::sync::mpsc::Sender;

use secrecy::SecretString;
use tokio::task::JoinHandle;

use super::*;

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

const PASSWORD: &str = "a sentence that nobody guesses";

#[tokio::test]
async fn a_password_is_verified_by_its_hash_and_no_other_is() {
    let passwords = Passwords::new(2);
    let hash = passwords.hash(&secret(PASSWORD)).await.unwrap();
    let again = passwords.hash(&secret(PASSWORD)).await.unwrap();
    assert!(
        hash.expose_secret()
            .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
    );
    assert_ne!(
        hash.expose_secret(),
        again.expose_secret(),
        "each has a salt of its own"
    );
    assert!(!hash.expose_secret().contains(PASSWORD) && !format!("{hash:?}").contains("argon2"));
    assert_eq!(passwords.verify(&secret(PASSWORD), Some(&hash)).await, Ok(true));
    for other in [
        "",
        "A sentence that nobody guesses",
        "a sentence that nobody guesses ",
    ] {
        assert_eq!(
            passwords.verify(&secret(other), Some(&hash)).await,
            Ok(false),
            "{other}"
        );
    }
    assert_eq!(
        passwords
            .verify(&secret(PASSWORD), Some(&secret("no hash")))
            .await,
        Ok(false)
    );
    assert_eq!(passwords.verify(&secret(PASSWORD), None).await, Ok(false));
}

#[test]
fn what_nobody_has_costs_as_much_as_what_somebody_has() {
    let cost = |hash: &SecretString| {
        let hash = PasswordHash::new(hash.expose_secret()).unwrap();
        let length = hash.hash.map(|output| output.len());
        let salt = hash.salt.map(|salt| salt.len());
        (
            hash.algorithm,
            hash.version,
            hash.params.to_string(),
            length,
            salt,
        )
    };
    let real = hash(&secret(PASSWORD)).unwrap();
    assert_eq!(cost(&nobody()), cost(&real));
    assert_ne!(nobody().expose_secret(), nobody().expose_secret());
    assert!(!needs_rehash(&nobody()));
}

#[test]
fn an_unknown_user_and_an_impossible_password_cost_as_much_as_a_wrong_one() {
    let cost = |hash: &SecretString| {
        let hash = PasswordHash::new(hash.expose_secret()).unwrap();
        (hash.algorithm, hash.params.to_string())
    };
    let real = hash(&secret(PASSWORD)).unwrap();
    let long = secret(&PASSWORD.repeat(20));
    for (name, password, stored) in [
        ("wrong", &secret("wrong"), Some(&real)),
        ("unknown", &secret("wrong"), None),
        ("too long", &long, Some(&real)),
        ("too long and unknown", &long, None),
    ] {
        let (hashed, with) = compared(password, stored);
        assert_eq!(cost(&with), cost(&real), "{name}");
        assert!(hashed.expose_secret().len() <= CHARACTERS_MAX, "{name}");
        let begun = std::time::Instant::now();
        assert!(!verify(password, stored), "{name}");
        // Nobody fills 19 MiB twice in less; an answer without that work takes microseconds.
        assert!(begun.elapsed() > std::time::Duration::from_millis(2), "{name}");
    }
}

#[test]
fn one_letter_that_is_written_in_two_ways_is_one_letter() {
    let composed = "caf\u{e9} on the corner";
    let decomposed = "cafe\u{301} on the corner";
    assert!(verify(
        &secret(decomposed),
        Some(&hash(&secret(composed)).unwrap())
    ));
    let wide = "\u{ff50}assword of the house";
    assert!(verify(
        &secret(wide),
        Some(&hash(&secret("password of the house")).unwrap())
    ));
    assert!(!verify(
        &secret("cafe on the corner"),
        Some(&hash(&secret(composed)).unwrap())
    ));
}

#[test]
fn a_hash_of_another_cost_is_to_be_replaced() {
    let current = hash(&secret(PASSWORD)).unwrap();
    assert!(!needs_rehash(&current));
    let text = current.expose_secret();
    for (from, to) in [
        ("m=19456", "m=12288"),
        ("t=2", "t=3"),
        ("p=1", "p=2"),
        ("argon2id", "argon2i"),
        ("v=19", "v=16"),
    ] {
        assert!(text.contains(from));
        assert!(needs_rehash(&secret(&text.replace(from, to))), "{to}");
    }
    assert!(needs_rehash(&secret("")));
}

#[test]
fn a_hash_of_an_older_cost_still_verifies() {
    let params = Params::new(12_288, 3, 1, None).unwrap();
    let old = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let old = secret(&old.hash_password(PASSWORD.as_bytes()).unwrap().to_string());
    assert!(verify(&secret(PASSWORD), Some(&old)));
    assert!(!verify(&secret("wrong"), Some(&old)));
}

/// Work that has begun, and is done when something is sent.
async fn held(passwords: &Passwords) -> (Sender<()>, JoinHandle<Result<bool, PasswordError>>) {
    let (release, held) = std::sync::mpsc::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let passwords = passwords.clone();
    let work = move || {
        let _ = begun.send(());
        held.recv().is_ok()
    };
    let running = tokio::spawn(async move { passwords.run(work).await });
    has_begun.await.unwrap();
    (release, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_wait_and_the_next_is_told() {
    let passwords = Passwords::new(1);
    let (release, running) = held(&passwords).await;
    let waiting: Vec<_> = (0..WAITING_FOR_EACH)
        .map(|_| {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.run(|| true).await })
        })
        .collect();
    while passwords.admitted.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(passwords.running.available_permits(), 0);
    assert_eq!(
        passwords.verify(&secret(PASSWORD), None).await,
        Err(PasswordError::Busy)
    );
    release.send(()).unwrap();
    assert_eq!(running.await.unwrap(), Ok(true));
    for one in waiting {
        assert_eq!(one.await.unwrap(), Ok(true));
    }
    assert_eq!(passwords.run(|| true).await, Ok(true), "and there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hangs_up_keeps_the_place_until_the_thread_is_done() {
    let passwords = Passwords::new(1);
    let (release, task) = held(&passwords).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(passwords.running.available_permits(), 0);
    release.send(()).unwrap();
    assert_eq!(passwords.run(|| true).await, Ok(true));
}

#[test]
fn the_policy_is_length_and_not_being_common() {
    let email = "alice.liddell@example.com";
    let long = "Four score and seven years ago our fathers brought forth. ".repeat(5);
    let longest: String = long.chars().take(CHARACTERS_MAX).collect();
    let table: &[(&str, Result<(), WeakPassword>)] = &[
        ("", Err(WeakPassword::TooShort)),
        ("Zr4!kq9#Lm2", Err(WeakPassword::TooShort)),
        ("Zr4!kq9#Lm2x", Ok(())),
        ("correct horse battery staple", Ok(())),
        ("zwölf Boxkämpfer jagen", Ok(())),
        ("犬が西向きゃ尾は東と言うが", Ok(())),
        (&longest, Ok(())),
        (&long, Err(WeakPassword::TooLong)),
        ("password1234", Err(WeakPassword::TooCommon)),
        ("123456789012", Err(WeakPassword::TooCommon)),
        ("qwertyuiop12", Err(WeakPassword::TooCommon)),
        ("aaaaaaaaaaaa", Err(WeakPassword::TooCommon)),
        ("abcabcabcabc", Err(WeakPassword::TooCommon)),
        ("            ", Err(WeakPassword::TooCommon)),
        ("alice.liddell1", Err(WeakPassword::TooCommon)),
        ("alice.liddell@example.com", Err(WeakPassword::IsEmail)),
        (" Alice.Liddell@Example.COM ", Err(WeakPassword::IsEmail)),
    ];
    for (password, expected) in table {
        assert_eq!(check(&secret(password), email), *expected, "{password:?}");
    }
}

#[test]
fn length_is_counted_in_characters_as_they_are_hashed() {
    // Eleven letters in two parts each are eleven letters.
    let decomposed = "e\u{301}o\u{302}u\u{308}".repeat(4);
    let eleven: String = decomposed.chars().take(22).collect();
    assert_eq!(
        check(&secret(&eleven), "a@example.com"),
        Err(WeakPassword::TooShort)
    );
}

#[tokio::test]
async fn a_weak_password_is_not_hashed() {
    let passwords = Passwords::default();
    let weak = passwords.choose(&secret("password1234"), "a@example.com").await;
    assert_eq!(weak.unwrap_err(), ChoiceError::Weak(WeakPassword::TooCommon));
    let strong = passwords
        .choose(&secret(PASSWORD), "a@example.com")
        .await
        .unwrap();
    assert_eq!(passwords.verify(&secret(PASSWORD), Some(&strong)).await, Ok(true));
}
