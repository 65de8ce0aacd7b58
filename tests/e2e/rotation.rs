//! The encryption key is changed beside running servers, and may be changed in pieces.

use std::process::{Command, Output, Stdio};

use domain::id::ConnectionId;
use platform::Vault;
use platform::secrets::LocalSecrets;
use sea_orm::{ActiveValue, EntityTrait};
use secrecy::{ExposeSecret as _, SecretString};
use store::entity::broker_connections;
use store::money::Money;
use store::{AuditEvent, AuditKind, BrokerSecrets, Store, StoreOptions};

use crate::support::books::Book;
use crate::support::client::market_order;
use crate::support::{SetUp, Site, environment, on_both};

const A: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const B: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const LOST: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
const SALT: &str = "a salt for tests only";

/// More than two batches.
const COUNT: usize = 250;

fn vault(key: &str) -> Vault {
    let secrets = LocalSecrets {
        encryption_key: SecretString::from(key),
        encryption_salt: SecretString::from(SALT),
        session_secret: SecretString::from("unused"),
        created: false,
    };
    Vault::of(&secrets).unwrap()
}

/// An installation whose servers use the key A, and its database.
async fn installation(set_up: SetUp) -> (Site, Store) {
    let plan = Site::plan(set_up).set("ENCRYPTION_KEY", A);
    let site = plan.set("ENCRYPTION_SALT", SALT).start().await;
    let options = StoreOptions::new(site.place.database_url());
    let store = Store::connect(&options).await.unwrap();
    (site, store)
}

/// So many connections, each with its number as its secret, by `key`.
async fn connections(store: &Store, count: usize, key: &str) -> Vec<ConnectionId> {
    let first = broker_connections::Entity::find()
        .one(store.read())
        .await
        .unwrap();
    let first = first.unwrap();
    let row = || broker_connections::ActiveModel {
        id: ActiveValue::Set(uuid::Uuid::now_v7()),
        user_id: ActiveValue::Set(first.user_id),
        broker: ActiveValue::Set("alpaca".to_owned()),
        mode: ActiveValue::Set("live".to_owned()),
        starting_cash: ActiveValue::Set(Money::ZERO),
        created_at: ActiveValue::Set(first.created_at),
    };
    let rows: Vec<_> = (0..count).map(|_| row()).collect();
    let ids = rows.iter().map(|row| ConnectionId(*row.id.try_as_ref().unwrap()));
    let ids: Vec<_> = ids.collect();
    broker_connections::Entity::insert_many(rows)
        .exec_without_returning(store.write())
        .await
        .unwrap();
    let secrets = BrokerSecrets::new(store.clone(), vault(key));
    let by = AuditEvent::new(AuditKind::BrokerSecretChanged, first.created_at);
    for (number, id) in ids.iter().enumerate() {
        let secret = SecretString::from(number.to_string());
        secrets.put(*id, &secret, &by).await.unwrap();
    }
    ids
}

/// Runs `arbion rotate-keys` beside the servers, with `keys` and, for a trial, a fault point.
fn rotate(site: &Site, keys: &str, fault: Option<&str>) -> Output {
    let mut command = Command::new(environment::program("arbion"));
    command
        .arg("rotate-keys")
        .env_clear()
        .envs(site.environment())
        .env("ENCRYPTION_KEY", keys)
        .envs(fault.map(|point| ("FAILPOINTS", point)));
    let command = command.current_dir(site.place.path()).stdin(Stdio::null());
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

async fn sealed_by(site: &Site, key: &str) -> u64 {
    let condition = format!("key_fingerprint = '{}'", vault(key).key_fingerprint());
    let book = Book::open(&site.place).await;
    book.count("broker_secrets", &condition).await
}

async fn all_open(store: &Store, key: &str, ids: &[ConnectionId]) {
    let secrets = BrokerSecrets::new(store.clone(), vault(key));
    for (number, id) in ids.iter().enumerate() {
        let secret = secrets.get(*id).await.unwrap().unwrap();
        assert_eq!(secret.expose_secret(), number.to_string());
    }
}

on_both! {
    async fn a_rotation_that_is_killed_goes_on_where_it_was_and_the_old_key_can_go(set_up: SetUp) {
        let (site, store) = installation(set_up).await;
        let ids = connections(&store, COUNT, A).await;
        let keys = format!("{B},{A}");

        let killed = rotate(&site, &keys, Some("store::after_commit::replace_broker_secrets=return"));
        assert_eq!(killed.status.code(), None, "{}", printed(&killed));
        assert_eq!((sealed_by(&site, A).await, sealed_by(&site, B).await), (150, 100));

        let goes_on = rotate(&site, &keys, None);
        assert!(goes_on.status.success(), "{}", printed(&goes_on));
        assert_eq!(String::from_utf8_lossy(&goes_on.stdout), "re-encrypted 150, already current 100\n");
        assert_eq!((sealed_by(&site, A).await, sealed_by(&site, B).await), (0, 250));

        let alone = rotate(&site, B, None);
        assert!(alone.status.success(), "{}", printed(&alone));
        assert_eq!(String::from_utf8_lossy(&alone.stdout), "re-encrypted 0, already current 250\n");
        all_open(&store, B, &ids).await;

        let client = site.client();
        let order = client.place(&market_order("buy", "AAPL", "1")).await;
        client.order_in(&order, &["filled"]).await;
    }

    async fn a_rotation_names_what_no_key_opens_and_fails(set_up: SetUp) {
        let (site, store) = installation(set_up).await;
        let ids = connections(&store, 5, A).await;
        let [lost] = connections(&store, 1, LOST).await.try_into().unwrap();
        let rotated = rotate(&site, &format!("{B},{A}"), None);
        assert_eq!(rotated.status.code(), Some(1), "{}", printed(&rotated));
        let told = printed(&rotated);
        assert!(told.contains("re-encrypted 5, already current 0"), "{told}");
        assert!(told.contains(&lost.to_string()) && told.contains("no encryption key opens it"), "{told}");
        for id in &ids {
            assert!(!told.contains(&id.to_string()), "{told}");
        }
        for key in [A, B, LOST] {
            assert!(!told.contains(key), "{told}");
        }
        all_open(&store, B, &ids).await;
        all_open(&store, LOST, &[lost]).await;
    }
}
