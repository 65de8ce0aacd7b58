//! Sessions of people.

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::UserId;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use store::sessions::SESSIONS_MAX;
use store::testing::{TestStore, now};
use store::users::Role;
use store::{NewSession, NewUser, Renewal, Store, StoreError};
use uuid::Uuid;

const IDLE: TimeDelta = TimeDelta::minutes(30);

fn later(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

fn new_session(user: UserId, byte: u8) -> NewSession {
    NewSession {
        user,
        password_hash: None,
        hash: [byte; 32],
        ip: "192.0.2.1".into(),
        user_agent: "Firefox".into(),
        now: now(),
        expires_at: later(7_200),
    }
}

fn renewal(byte: u8, is_authenticated: bool) -> Renewal {
    Renewal {
        hash: [byte; 32],
        is_authenticated,
        now: later(60),
        expires_at: None,
    }
}

async fn person(store: &Store, email: &str) -> UserId {
    let new = NewUser {
        email: email.to_owned(),
        password_hash: SecretString::from("hash"),
        role: Role::Admin,
        starting_cash: Decimal::ONE,
        now: now(),
    };
    store.register_user(&new).await.unwrap().0
}

async fn has_ended(store: &Store, byte: u8) -> bool {
    store
        .find_session(&[byte; 32])
        .await
        .unwrap()
        .unwrap()
        .ended_at
        .is_some()
}

store::testing::on_both! {
    async fn a_session_is_found_with_everything_that_it_stands_for(test: TestStore) {
        let user = person(test, "Ada@example.com").await;
        let oldest = test.accounts_of(user).await.unwrap()[0].id;
        test.create_account(user, Decimal::ONE, later(-60)).await.unwrap();
        let older = test.accounts_of(user).await.unwrap()[0].id;
        assert_ne!(older, oldest);
        let id = test.create_session(&new_session(user, 1)).await.unwrap();
        let before = test.statement_count();
        let found = test.find_session(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(test.statement_count() - before, 1);
        assert_eq!((found.session_id, found.user_id, found.email.as_str()), (id, user, "ada@example.com"));
        assert_eq!((found.role, found.user_is_active), (Role::Admin, true));
        assert_eq!(found.account_id.map(|account| account.0), Some(older));
        assert_eq!((found.authenticated_at, found.last_seen_at, found.expires_at), (now(), now(), later(7_200)));
        assert_eq!(test.find_session(&[2; 32]).await.unwrap(), None);
        let nobody = test.create_user("none@example.com", Role::Standard, now()).await.unwrap();
        test.create_session(&new_session(nobody, 3)).await.unwrap();
        assert_eq!(test.find_session(&[3; 32]).await.unwrap().unwrap().account_id, None);
    }

    async fn a_session_ends_by_rest_by_age_by_hand_and_with_its_user(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let id = test.create_session(&new_session(user, 1)).await.unwrap();
        let found = async || test.find_session(&[1; 32]).await.unwrap().unwrap();
        assert!(found().await.is_valid_at(later(1_799), IDLE));
        assert!(!found().await.is_valid_at(later(1_800), IDLE), "it has rested for too long");
        assert!(found().await.is_valid_at(later(7_199), TimeDelta::days(1)));
        assert!(!found().await.is_valid_at(later(7_200), TimeDelta::days(1)), "it is too old");
        let stranger = person(test, "eve@example.com").await;
        let foreign = test.end_session(stranger, id, later(1)).await;
        assert!(matches!(foreign, Err(StoreError::NotFound { table: "sessions" })), "{foreign:?}");
        assert!(found().await.is_valid_at(later(2), IDLE));
        test.end_session(user, id, later(2)).await.unwrap();
        test.end_session(user, id, later(9)).await.unwrap();
        assert_eq!(found().await.ended_at, Some(later(2)), "the first time counts");
        assert!(!found().await.is_valid_at(later(2), IDLE));
        assert!(!test.touch_session(id, later(500)).await.unwrap(), "and it is not seen any more");
    }

    async fn use_is_noted_once_a_minute(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let id = test.create_session(&new_session(user, 1)).await.unwrap();
        assert!(!test.touch_session(id, later(60)).await.unwrap());
        assert!(test.touch_session(id, later(61)).await.unwrap());
        assert!(!test.touch_session(id, later(62)).await.unwrap());
        assert!(!test.touch_session(Uuid::now_v7(), later(900)).await.unwrap());
        let found = test.find_session(&[1; 32]).await.unwrap().unwrap();
        assert!(found.is_valid_at(later(61 + 1_799), IDLE));
    }

    async fn a_person_lists_and_ends_their_sessions_and_nobody_else_s(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let stranger = person(test, "eve@example.com").await;
        let mut made = Vec::new();
        for byte in 1..=4 {
            let new = NewSession { now: later(byte.into()), ..new_session(user, byte) };
            made.push(test.create_session(&new).await.unwrap());
        }
        test.create_session(&new_session(stranger, 9)).await.unwrap();
        let listed = async |seconds| {
            let sessions = test.sessions_of(user, later(seconds), TimeDelta::days(1)).await.unwrap();
            sessions.iter().map(|session| session.id).collect::<Vec<_>>()
        };
        assert_eq!(listed(5).await, [made[3], made[2], made[1], made[0]]);
        assert!(listed(7_200).await.is_empty());
        test.end_session(user, made[3], later(5)).await.unwrap();
        assert_eq!(test.end_sessions(user, Some(made[1]), later(6)).await.unwrap(), 2);
        assert_eq!(listed(7).await, [made[1]]);
        assert_eq!(test.end_sessions(user, None, later(7)).await.unwrap(), 1);
        assert!(!has_ended(test, 9).await);
        let view = test.sessions_of(stranger, later(1), IDLE).await.unwrap().remove(0);
        assert_eq!((view.ip.as_str(), view.user_agent.as_str()), ("192.0.2.1", "Firefox"));
    }

    async fn a_new_password_ends_all_sessions_but_the_one_that_set_it(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let mine = test.create_session(&new_session(user, 1)).await.unwrap();
        test.create_session(&new_session(user, 2)).await.unwrap();
        let [hash, new] = ["hash", "new"].map(SecretString::from);
        assert_eq!(test.set_password(user, &hash, &new, Some(mine), later(1)).await.unwrap(), 1);
        assert!(!has_ended(test, 1).await && has_ended(test, 2).await);
        assert_eq!(test.set_password(user, &new, &new, None, later(2)).await.unwrap(), 1);
        assert!(has_ended(test, 1).await);
        let nobody = test.set_password(UserId(Uuid::now_v7()), &hash, &new, None, now()).await;
        assert!(matches!(nobody, Err(StoreError::NotFound { table: "users" })), "{nobody:?}");
    }

    async fn a_session_that_has_rested_too_long_is_not_listed(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let id = test.create_session(&new_session(user, 1)).await.unwrap();
        let count = async |seconds| test.sessions_of(user, later(seconds), IDLE).await.unwrap().len();
        assert_eq!((count(1_799).await, count(1_800).await), (1, 0));
        assert!(test.touch_session(id, later(61)).await.unwrap());
        assert_eq!((count(1_860).await, count(1_861).await), (1, 0), "as it lets nobody in");
    }

    async fn of_two_who_change_a_password_at_once_one_wins(test: TestStore) {
        let other = test.second().await;
        let user = person(test, "ada@example.com").await;
        let mut present = SecretString::from("hash");
        for round in 0..20 {
            let [a, b] = ["a", "b"].map(|who| SecretString::from(format!("{who}{round}")));
            let (one, two) = tokio::join!(
                test.set_password(user, &present, &a, None, later(1)),
                other.set_password(user, &present, &b, None, later(1)),
            );
            let (winner, refused) = if one.is_ok() { (a, two) } else { (b, one) };
            assert!(matches!(refused, Err(StoreError::Stale { what: "the password" })), "round {round}: {refused:?}");
            let login = test.find_login("ada@example.com").await.unwrap().unwrap();
            assert_eq!(login.password_hash.as_ref().unwrap().expose_secret(), winner.expose_secret());
            present = winner;
        }
    }

    async fn a_session_that_has_ended_changes_no_password(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let stranger = person(test, "eve@example.com").await;
        let [hash, new] = ["hash", "new"].map(SecretString::from);
        let mine = test.create_session(&new_session(user, 1)).await.unwrap();
        test.create_session(&new_session(user, 2)).await.unwrap();
        let theirs = test.create_session(&new_session(stranger, 3)).await.unwrap();
        test.end_session(user, mine, later(1)).await.unwrap();
        for keep in [mine, theirs, Uuid::now_v7()] {
            let refused = test.set_password(user, &hash, &new, Some(keep), later(2)).await;
            assert!(matches!(refused, Err(StoreError::Stale { what: "the password" })), "{refused:?}");
        }
        let login = test.find_login("ada@example.com").await.unwrap().unwrap();
        assert_eq!(login.password_hash.as_ref().unwrap().expose_secret(), "hash");
        assert!(!has_ended(test, 2).await, "and nobody is thrown out");
    }

    async fn a_login_that_is_overtaken_by_a_new_password_or_a_deactivation_begins_nothing(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let with = |hash: &str, byte| NewSession {
            password_hash: Some(SecretString::from(hash)),
            ..new_session(user, byte)
        };
        test.create_session(&with("hash", 1)).await.unwrap();
        test.set_password(user, &SecretString::from("hash"), &SecretString::from("new"), None, later(1)).await.unwrap();
        let late = test.create_session(&with("hash", 2)).await;
        assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
        test.create_session(&with("new", 3)).await.unwrap();
        test.set_user_active(user, false, later(2)).await.unwrap();
        let late = test.create_session(&with("new", 4)).await;
        assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
        assert_eq!(test.find_session(&[4; 32]).await.unwrap(), None);
    }

    async fn a_renewed_session_is_another_one(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let stranger = person(test, "eve@example.com").await;
        let old = test.create_session(&new_session(user, 1)).await.unwrap();
        let foreign = test.renew_session(stranger, old, &renewal(9, true)).await;
        assert!(matches!(foreign, Err(StoreError::NotFound { table: "sessions" })), "{foreign:?}");
        let new = test.renew_session(user, old, &renewal(2, false)).await.unwrap();
        assert_ne!(old, new);
        assert!(has_ended(test, 1).await);
        let found = test.find_session(&[2; 32]).await.unwrap().unwrap();
        assert_eq!((found.session_id, found.user_id), (new, user));
        assert_eq!((found.authenticated_at, found.last_seen_at), (now(), later(60)));
        assert_eq!(found.expires_at, later(7_200), "renewing does not make it younger");
        let again = test.renew_session(user, old, &renewal(3, false)).await;
        assert!(matches!(again, Err(StoreError::NotFound { table: "sessions" })), "{again:?}");
        let fresh = Renewal { expires_at: Some(later(9_000)), ..renewal(4, true) };
        test.renew_session(user, new, &fresh).await.unwrap();
        let found = test.find_session(&[4; 32]).await.unwrap().unwrap();
        assert_eq!((found.authenticated_at, found.expires_at), (later(60), later(9_000)));
    }

    async fn a_session_that_is_renewed_while_all_are_ended_does_not_outlive_them(test: TestStore) {
        let other = test.second().await;
        let user = person(test, "ada@example.com").await;
        for round in 0..30_u8 {
            let old = test.create_session(&new_session(user, round)).await.unwrap();
            let hash = SecretString::from("hash");
            let renewal = renewal(100 + round, true);
            let (_, ended) = tokio::join!(
                test.renew_session(user, old, &renewal),
                async {
                    if round % 2 == 0 {
                        other.set_password(user, &hash, &hash, None, later(61)).await
                    } else {
                        other.end_sessions(user, None, later(61)).await
                    }
                },
            );
            assert!(ended.unwrap() <= 1);
            assert_eq!(test.sessions_of(user, later(62), IDLE).await.unwrap(), [], "round {round}");
        }
    }

    async fn what_is_long_over_is_removed_some_at_a_time(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let count = usize::try_from(SESSIONS_MAX).unwrap() + 3;
        for number in 0..count {
            let mut new = new_session(user, 0);
            new.hash[..8].copy_from_slice(&number.to_be_bytes());
            new.expires_at = later(i64::try_from(number).unwrap() + 1);
            test.create_session(&new).await.unwrap();
        }
        test.create_session(&new_session(user, 255)).await.unwrap();
        assert_eq!(test.prune_sessions(later(1)).await.unwrap(), 0);
        assert_eq!(test.prune_sessions(later(2)).await.unwrap(), 1);
        assert_eq!(test.prune_sessions(later(7_000)).await.unwrap(), SESSIONS_MAX);
        assert_eq!(test.prune_sessions(later(7_000)).await.unwrap(), 2);
        assert!(test.find_session(&[255; 32]).await.unwrap().is_some());
    }

    async fn a_program_s_own_words_are_cut(test: TestStore) {
        let user = person(test, "ada@example.com").await;
        let new = NewSession { user_agent: "é".repeat(10_000), ..new_session(user, 1) };
        test.create_session(&new).await.unwrap();
        let view = test.sessions_of(user, now(), IDLE).await.unwrap().remove(0);
        assert_eq!(view.user_agent.chars().count(), 256);
    }
}
