//! Every test has a data directory of its own.

use std::collections::BTreeSet;
use std::sync::Barrier;

use secrecy::ExposeSecret as _;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn exposed(secrets: &LocalSecrets) -> [String; 3] {
    [
        &secrets.encryption_key,
        &secrets.encryption_salt,
        &secrets.session_secret,
    ]
    .map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn the_first_start_creates_three_secrets_that_only_the_owner_can_read() {
    let parent = tempfile::tempdir().unwrap();
    let data_dir = parent.path().join("data");
    let secrets = LocalSecrets::load_or_create(&data_dir).unwrap();
    assert!(secrets.created);
    assert_eq!(
        (mode(&data_dir), mode(&data_dir.join(SECRETS_FILE))),
        (0o700, 0o600)
    );
    let texts = exposed(&secrets);
    assert_eq!(BTreeSet::from(texts.clone()).len(), 3);
    for text in &texts {
        assert_eq!(URL_SAFE.decode(text).unwrap().len(), 32);
    }
    assert_eq!(
        fs::read_dir(&data_dir).unwrap().count(),
        1,
        "no draft stays behind"
    );

    let again = LocalSecrets::load_or_create(&data_dir).unwrap();
    assert!(!again.created);
    assert_eq!(exposed(&again), texts);
    assert!(!format!("{again:?}").contains(&texts[0]));
}

#[test]
fn concurrent_first_starts_make_one_set_and_all_use_it() {
    for _ in 0..20 {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = parent.path().join("data");
        let barrier = Barrier::new(8);
        let start = || {
            barrier.wait();
            LocalSecrets::load_or_create(&data_dir).unwrap()
        };
        let all: Vec<LocalSecrets> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all.iter().filter(|secrets| secrets.created).count(), 1);
        assert_eq!(all.iter().map(exposed).collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1);
    }
}

#[test]
fn the_created_key_is_one_that_the_configuration_accepts() {
    let directory = tempfile::tempdir().unwrap();
    LocalSecrets::load_or_create(directory.path()).unwrap();
    let text = fs::read_to_string(directory.path().join(SECRETS_FILE)).unwrap();
    let config = Config::from_lookup(|name| {
        let own = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| *key == name);
        own.map(|(_, value)| value.to_owned())
            .or((name == "ARBION_ENV").then(|| "production".into()))
    });
    assert!(config.is_ok(), "{config:?}");
}

#[test]
fn given_secrets_win_and_only_the_missing_ones_come_from_the_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let config = |names: &'static [&'static str]| {
        let dir = data_dir.to_str().unwrap().to_owned();
        Config::from_lookup(move |name| match name {
            "ARBION_DATA_DIR" => Some(dir.clone()),
            _ => names
                .contains(&name)
                .then(|| "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=".to_owned()),
        })
        .unwrap()
    };
    let all_given = LocalSecrets::of(&config(&NAMES)).unwrap();
    assert!(
        !all_given.created && !data_dir.exists(),
        "nothing is created when nothing is missing"
    );

    let salt_given = LocalSecrets::of(&config(&["ENCRYPTION_SALT"])).unwrap();
    let [key, salt, session] = exposed(&salt_given);
    let [file_key, file_salt, file_session] = exposed(&LocalSecrets::load_or_create(&data_dir).unwrap());
    assert!(salt_given.created);
    assert_eq!((key, session), (file_key, file_session));
    assert_eq!(salt, "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
    assert_ne!(salt, file_salt);
}

#[test]
fn an_incomplete_file_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(SECRETS_FILE);
    let text = "ENCRYPTION_KEY=abc\nENCRYPTION_SALT=\nSESSION_SECRET=abc\n";
    write_private(&path, text.as_bytes()).unwrap();
    let error = LocalSecrets::load_or_create(directory.path()).unwrap_err();
    assert!(
        matches!(
            error,
            SecretsError::Incomplete {
                name: "ENCRYPTION_SALT",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_file_may_list_several_keys_and_each_of_them_must_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(SECRETS_FILE);
    let (old, new) = (
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    );
    let load = |keys: &str| {
        let text = format!("ENCRYPTION_KEY={keys}\nENCRYPTION_SALT=abc\nSESSION_SECRET=abc\n");
        write_private(&path, text.as_bytes()).unwrap();
        LocalSecrets::load_or_create(directory.path())
    };
    assert_eq!(load(&format!("{new},{old}")).unwrap().derive("any").len(), 2);
    for (keys, expected) in [
        (format!("{new},"), Fault::NotAFernetKey),
        (format!("{new},hunter2"), Fault::NotAFernetKey),
        (format!("{new},{new}"), Fault::RepeatedKey),
    ] {
        let error = load(&keys).unwrap_err();
        assert!(
            matches!(&error, SecretsError::Unusable { fault, .. } if *fault == expected),
            "{error:?}"
        );
        let text = crate::exit::in_one_line(&error);
        assert!(
            text.contains("ENCRYPTION_KEY") && text.contains(path.to_str().unwrap()),
            "{text}"
        );
        assert!(!text.contains(new) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_file_that_others_could_read_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(SECRETS_FILE);
    LocalSecrets::load_or_create(directory.path()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    LocalSecrets::load_or_create(directory.path()).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = LocalSecrets::load_or_create(&file.path().join("data")).unwrap_err();
    assert!(
        error.to_string().contains(file.path().to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn a_private_file_is_replaced_as_a_whole_and_stays_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("superadmin.key");
    fs::write(&path, "old").unwrap();
    write_private(&path, b"new").unwrap();
    assert_eq!(
        (fs::read_to_string(&path).unwrap().as_str(), mode(&path)),
        ("new", 0o600)
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn tokens_are_256_bits_of_url_safe_text_and_differ() {
    let tokens: BTreeSet<String> = (0..1000).map(|_| new_token()).collect();
    assert_eq!(tokens.len(), 1000);
    for token in tokens {
        assert_eq!(token.len(), 43);
        assert_eq!(URL_SAFE_NO_PAD.decode(token).unwrap().len(), 32);
    }
}

#[test]
fn sha256_gives_the_published_digest() {
    // FIPS 180-2, appendix B.1.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let byte = |at: usize| u8::from_str_radix(&digest[at..at + 2], 16).unwrap();
    assert_eq!(
        sha256("abc").to_vec(),
        (0..64).step_by(2).map(byte).collect::<Vec<_>>()
    );
}
