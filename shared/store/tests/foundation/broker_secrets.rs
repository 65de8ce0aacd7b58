//! What broker connections log in with: sealed for their connection, and sealed anew when the key changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use domain::id::ConnectionId;
use platform::secrets::LocalSecrets;
use platform::vault::{Sealed, VaultError};
use platform::{ManualClock, Vault};
use rust_decimal::Decimal;
use sea_orm::{ActiveValue, ConnectionTrait, EntityTrait};
use secrecy::{ExposeSecret as _, SecretString};
use store::audit_log::AuditFilter;
use store::broker_secrets::{BrokerSecrets, BrokerSecretsError, Resealed, Rotation};
use store::entity::{broker_connections, broker_secrets};
use store::money::Money;
use store::testing::{TestStore, now};
use store::users::Role;
use store::{AuditEvent, AuditKind, Store, StoreError};
use uuid::Uuid;

const A: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const B: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const C: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

fn vault(keys: &str) -> Vault {
    let secrets = LocalSecrets {
        encryption_key: SecretString::from(keys),
        encryption_salt: SecretString::from("a salt for tests only"),
        session_secret: SecretString::from("unused"),
        created: false,
    };
    Vault::of(&secrets).unwrap()
}

fn secrets(store: &Store, keys: &str) -> BrokerSecrets {
    BrokerSecrets::new(store.clone(), vault(keys))
}

async fn rotate(secrets: &BrokerSecrets) -> Rotation {
    secrets.rotate(&ManualClock::new(now())).await.unwrap()
}

/// Somebody changes a secret.
fn by() -> AuditEvent {
    AuditEvent::new(AuditKind::BrokerSecretChanged, now())
}

async fn put(secrets: &BrokerSecrets, connection: ConnectionId, text: &str) {
    secrets
        .put(connection, &SecretString::from(text), &by())
        .await
        .unwrap();
}

async fn get(secrets: &BrokerSecrets, connection: ConnectionId) -> Result<Option<String>, VaultError> {
    let found = secrets.get(connection).await;
    found
        .map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        .map_err(|error| of_the_vault(&error, connection).unwrap())
}

/// The vault's own error, where it is of `connection`.
fn of_the_vault(error: &BrokerSecretsError, connection: ConnectionId) -> Option<VaultError> {
    match error {
        BrokerSecretsError::Vault {
            connection: of,
            source,
        } if *of == connection => Some(*source),
        BrokerSecretsError::Vault { .. } | BrokerSecretsError::Store { .. } => None,
    }
}

/// So many connections of one user.
async fn connections(test: &TestStore, count: usize) -> Vec<ConnectionId> {
    let user = test.trader(Role::Admin, Decimal::ONE).await.user;
    let row = || broker_connections::ActiveModel {
        id: ActiveValue::Set(Uuid::now_v7()),
        user_id: ActiveValue::Set(user.0),
        broker: ActiveValue::Set("alpaca".to_owned()),
        mode: ActiveValue::Set("live".to_owned()),
        starting_cash: ActiveValue::Set(Money::ZERO),
        created_at: ActiveValue::Set(now()),
    };
    let rows: Vec<_> = (0..count).map(|_| row()).collect();
    let ids = rows
        .iter()
        .map(|row| ConnectionId(*row.id.try_as_ref().unwrap()))
        .collect();
    broker_connections::Entity::insert_many(rows)
        .exec_without_returning(test.write())
        .await
        .unwrap();
    ids
}

async fn change(test: &TestStore, sql: &str) -> Result<u64, sea_orm::DbErr> {
    Ok(test.write().execute_unprepared(sql).await?.rows_affected())
}

async fn count_by(test: &TestStore, keys: &str) -> u64 {
    let vault = vault(keys);
    let counted = test.count_broker_secrets_sealed_by(vault.key_fingerprint());
    counted.await.unwrap()
}

store::testing::on_both! {
    async fn a_secret_is_put_found_replaced_and_forgotten(test: TestStore) {
        let [mine, other] = connections(test, 2).await.try_into().unwrap();
        let secrets = secrets(test, A);
        assert_eq!(get(&secrets, mine).await, Ok(None));
        put(&secrets, mine, "first").await;
        put(&secrets, other, "other").await;
        assert_eq!(get(&secrets, mine).await, Ok(Some("first".to_owned())));
        put(&secrets, mine, "second").await;
        assert_eq!(get(&secrets, mine).await, Ok(Some("second".to_owned())));
        assert!(secrets.delete(mine, &by()).await.unwrap());
        assert!(!secrets.delete(mine, &by()).await.unwrap());
        assert_eq!(get(&secrets, mine).await, Ok(None));
        assert_eq!(get(&secrets, other).await, Ok(Some("other".to_owned())));
    }

    async fn nothing_is_kept_for_a_connection_that_is_not_there(test: TestStore) {
        let put = secrets(test, A).put(ConnectionId(Uuid::now_v7()), &SecretString::from("x"), &by()).await;
        let error = put.unwrap_err();
        assert!(
            matches!(
                error,
                BrokerSecretsError::Store { source: StoreError::NotFound { table: "broker_connections" }, .. }
            ),
            "{error:?}"
        );
    }

    async fn the_database_has_no_plain_text_and_takes_none(test: TestStore) {
        let [connection] = connections(test, 1).await.try_into().unwrap();
        put(&secrets(test, A), connection, "secret word").await;
        let row = broker_secrets::Entity::find().one(test.read()).await.unwrap().unwrap();
        assert!(!format!("{row:?}").contains("secret"), "{row:?}");
        let plain = Sealed::from_kept("secret word".to_owned(), row.key_fingerprint);
        let refused = test.put_broker_secret(connection, &plain, &by()).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    }

    async fn a_secret_that_was_moved_to_another_connection_does_not_open(test: TestStore) {
        let [mine, other] = connections(test, 2).await.try_into().unwrap();
        let secrets = secrets(test, A);
        put(&secrets, mine, "mine").await;
        let sealed = test.broker_secret(mine).await.unwrap().unwrap();
        test.put_broker_secret(other, &sealed, &by()).await.unwrap();
        assert_eq!(get(&secrets, other).await, Err(VaultError::OtherOwner));
        assert_eq!(get(&secrets, mine).await, Ok(Some("mine".to_owned())));
    }

    async fn a_rotation_seals_everything_by_the_newest_key_and_the_old_one_can_go(test: TestStore) {
        let all = connections(test, 250).await;
        let old = secrets(test, A);
        for (number, connection) in all.iter().enumerate() {
            put(&old, *connection, &number.to_string()).await;
        }
        let current = all[7];
        put(&secrets(test, &format!("{B},{A}")), current, "7").await;

        let expected = Rotation { already_current: 1, resealed: 249, ..Rotation::default() };
        let rotated = rotate(&secrets(test, &format!("{B},{A}"))).await;
        assert!(rotated.is_complete());
        assert_eq!(rotated, expected);
        assert_eq!((count_by(test, A).await, count_by(test, B).await), (0, 250));

        let new = secrets(test, B);
        for (number, connection) in all.iter().enumerate() {
            assert_eq!(get(&new, *connection).await, Ok(Some(number.to_string())));
        }
        assert_eq!(get(&old, all[0]).await, Err(VaultError::Unopened));
        let again = rotate(&secrets(test, &format!("{B},{A}"))).await;
        assert_eq!(again, Rotation { already_current: 250, ..Rotation::default() });
    }

    async fn several_old_keys_on_both_sides_of_the_newest_one_are_all_replaced(test: TestStore) {
        for newest in [A, B, C] {
            let all = connections(test, 9).await;
            for (number, connection) in all.iter().enumerate() {
                put(&secrets(test, [A, B, C][number % 3]), *connection, &number.to_string()).await;
            }
            let others = [A, B, C].into_iter().filter(|key| *key != newest).collect::<Vec<_>>().join(",");
            let before = count_by(test, newest).await;
            let rotated = rotate(&secrets(test, &format!("{newest},{others}"))).await;
            let total = broker_secrets::Entity::find().all(test.read()).await.unwrap().len();
            assert_eq!(rotated.already_current, before);
            assert_eq!(usize::try_from(rotated.already_current + rotated.resealed).unwrap(), total);
            assert!(rotated.is_complete(), "{rotated:?}");
            let only = secrets(test, newest);
            for (number, connection) in all.iter().enumerate() {
                assert_eq!(get(&only, *connection).await, Ok(Some(number.to_string())));
            }
        }
    }

    async fn pages_of_what_others_have_sealed_hold_each_once_and_nothing_current(test: TestStore) {
        let all = connections(test, 30).await;
        for (number, connection) in all.iter().enumerate() {
            put(&secrets(test, [A, B, C][number % 3]), *connection, "x").await;
        }
        for (at, key) in [A, B, C].into_iter().enumerate() {
            let vault = vault(key);
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = test.broker_secrets_sealed_by_another(vault.key_fingerprint(), after.as_ref(), 7).await.unwrap();
                assert!(page.len() <= 7);
                let Some(last) = page.last() else { break };
                after = Some(last.clone());
                seen.extend(page.iter().map(|kept| kept.connection));
            }
            let expected = all.iter().enumerate().filter(|(number, _)| number % 3 != at).map(|(_, id)| *id);
            assert_eq!(seen.len(), 20);
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected.collect());
        }
    }

    async fn a_rotation_names_what_no_key_opens_and_rotates_the_rest(test: TestStore) {
        let all = connections(test, 230).await;
        for (number, connection) in all.iter().enumerate() {
            // By a key that is lost, in each batch and at its ends.
            let key = if number % 50 == 0 { C } else { A };
            put(&secrets(test, key), *connection, "x").await;
        }
        let moved = test.broker_secret(all[1]).await.unwrap().unwrap();
        test.put_broker_secret(all[2], &moved, &by()).await.unwrap();

        let rotated = rotate(&secrets(test, &format!("{B},{A}"))).await;
        assert_eq!((rotated.resealed, rotated.is_complete(), rotated.is_outpaced), (224, false, false));
        let expected: BTreeSet<_> = [0, 50, 100, 150, 200].map(|number| all[number]).into_iter().collect();
        let lost = |wanted| rotated.unopened.iter().filter(move |(_, error)| *error == wanted).map(|(id, _)| *id);
        assert_eq!(lost(VaultError::Unopened).collect::<BTreeSet<_>>(), expected);
        assert_eq!(lost(VaultError::OtherOwner).collect::<Vec<_>>(), [all[2]]);
        // They stay as they are: the key may be found again.
        assert_eq!(get(&secrets(test, C), all[50]).await, Ok(Some("x".to_owned())));
    }

    async fn whoever_puts_a_secret_while_it_is_rotated_wins(test: TestStore) {
        let [put_meanwhile, deleted, untouched] = connections(test, 3).await.try_into().unwrap();
        let (old, both) = (secrets(test, A), vault(&format!("{B},{A}")));
        let mut resealed = Vec::new();
        for connection in [put_meanwhile, deleted, untouched] {
            put(&old, connection, "before").await;
            let before = test.broker_secret(connection).await.unwrap().unwrap();
            let after = both.seal(connection.0, &SecretString::from("before"));
            resealed.push(Resealed { connection, before, after });
        }
        put(&old, put_meanwhile, "meanwhile").await;
        old.delete(deleted, &by()).await.unwrap();

        let later = now() + TimeDelta::seconds(5);
        assert_eq!(test.replace_broker_secrets(&resealed, later).await.unwrap(), 1);
        assert_eq!(get(&old, put_meanwhile).await, Ok(Some("meanwhile".to_owned())));
        assert_eq!(get(&old, deleted).await, Ok(None));
        let row = broker_secrets::Entity::find_by_id(untouched.0).one(test.read()).await.unwrap().unwrap();
        assert_eq!((row.updated_at, row.key_fingerprint.as_str()), (later, both.key_fingerprint()));
        assert_eq!(test.replace_broker_secrets(&resealed, later).await.unwrap(), 0);
    }

    async fn each_change_of_a_secret_is_on_record_and_never_the_secret(test: TestStore) {
        let [mine] = connections(test, 1).await.try_into().unwrap();
        let nobody = ConnectionId(Uuid::now_v7());
        let old = secrets(test, A);
        put(&old, mine, "hunter2").await;
        assert!(old.put(nobody, &SecretString::from("hunter2"), &by()).await.is_err());
        rotate(&secrets(test, &format!("{B},{A}"))).await;
        rotate(&secrets(test, &format!("{B},{A}"))).await;
        old.delete(mine, &by()).await.unwrap();
        old.delete(mine, &by()).await.unwrap();
        let page = test.audit_page(&AuditFilter::default(), None, 10).await.unwrap();
        let events: Vec<_> = page.events.iter().rev().map(|event| {
            (event.kind.as_str(), event.subject.clone(), serde_json::to_string(&event.data).unwrap())
        }).collect();
        let changed = |what: &str| ("broker_secret_changed", Some(mine.to_string()), format!(r#"{{"change":"{what}"}}"#));
        let rotated = ("keys_rotated", None, r#"{"secrets":1}"#.to_owned());
        assert_eq!(events, [changed("stored"), rotated, changed("removed")]);
    }

    async fn rotations_and_writers_at_once_lose_no_secret(test: TestStore) {
        let all = connections(test, 120).await;
        let (old, both) = (secrets(test, A), secrets(test, &format!("{B},{A}")));
        for connection in &all {
            put(&old, *connection, "0").await;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = [&old, &both].into_iter().enumerate().map(|(writer, secrets)| {
            // Each connection has one writer, which knows what it put there last.
            let mine: Vec<_> = all.iter().copied().skip(writer).step_by(2).collect();
            let (secrets, is_over) = (secrets.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut round = 0;
                while !is_over.load(Ordering::Relaxed) || round == 0 {
                    round += 1;
                    for connection in &mine {
                        put(&secrets, *connection, &round.to_string()).await;
                    }
                }
                (mine, round)
            })
        }).collect();
        let rotate_all = || async {
            for _ in 0..3 {
                rotate(&both).await;
            }
        };
        tokio::join!(rotate_all(), rotate_all());
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            let (mine, round) = writer.await.unwrap();
            for connection in mine {
                assert_eq!(get(&both, connection).await, Ok(Some(round.to_string())));
            }
        }
        assert!(rotate(&both).await.is_complete());
        assert_eq!(count_by(test, A).await, 0);
    }

    async fn a_key_that_goes_on_sealing_is_reported(test: TestStore) {
        let [connection] = connections(test, 1).await.try_into().unwrap();
        put(&secrets(test, A), connection, "x").await;
        // Whatever is rotated is at once as it was: somebody's newest key is the old one.
        let fingerprint = vault(A).key_fingerprint().to_owned();
        let back = if test.backend() == sea_orm::DbBackend::Postgres {
            format!(
                "CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN NEW.key_fingerprint := ''{fingerprint}''; RETURN NEW; END';
                 CREATE TRIGGER back BEFORE UPDATE ON broker_secrets FOR EACH ROW EXECUTE FUNCTION back();"
            )
        } else {
            format!(
                "CREATE TRIGGER back AFTER UPDATE ON broker_secrets WHEN NEW.key_fingerprint <> '{fingerprint}'
                 BEGIN UPDATE broker_secrets SET key_fingerprint = '{fingerprint}'; END;"
            )
        };
        change(test, &back).await.unwrap();
        let rotated = rotate(&secrets(test, &format!("{B},{A}"))).await;
        assert!(rotated.is_outpaced && !rotated.is_complete(), "{rotated:?}");
        assert_eq!(rotated.unopened, []);
    }
}
