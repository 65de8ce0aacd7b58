//! API keys.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::id::CredentialId;
use futures::future::join_all;
use platform::secrets::sha256;
use rust_decimal::Decimal;
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, PaginatorTrait, Set};
use store::audit_log::AuditFilter;
use store::entity::credentials;
use store::testing::{TestStore, now};
use store::users::Role;
use store::{AuditEvent, AuditKind, KEYS_MAX, NewKey, StoreError};
use uuid::Uuid;

store::testing::on_both! {
    async fn a_key_is_found_with_everything_that_it_stands_for(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let key = test.create_api_key(NewKey::new(trader.user, trader.account, "bot", &["trading", "data"], now())).await.unwrap();
        assert_eq!((key.key_id.len(), &key.key_id[..2], key.secret.len()), (20, "PK", 43));
        let before = test.statement_count();
        let found = test.find_credential(&key.key_id).await.unwrap().unwrap();
        assert_eq!(test.statement_count() - before, 1);
        assert_eq!(found.credential_id, key.credential_id);
        assert_eq!((found.user_id, found.account_id, found.role), (trader.user, trader.account, Role::Admin));
        assert_eq!(found.hash, sha256(&key.secret));
        assert_eq!(found.scopes, ["trading", "data"]);
        assert!(found.is_valid_at(now()));
        assert_eq!(test.find_credential("PKNOBODY").await.unwrap(), None);
    }

    async fn the_secret_is_nowhere_but_in_the_answer(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let key = test.create_api_key(NewKey::new(trader.user, trader.account, "bot", &[], now())).await.unwrap();
        let row = credentials::Entity::find().one(test.read()).await.unwrap().unwrap();
        let kept = format!("{row:?}");
        assert!(!kept.contains(&key.secret) && !format!("{key:?}").contains(&key.secret));
        assert_eq!(row.hash.len(), 32);
    }

    async fn keys_and_secrets_never_repeat(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            let key = test.create_api_key(NewKey::new(trader.user, trader.account, "bot", &[], now())).await.unwrap();
            assert!(seen.insert(key.key_id) && seen.insert(key.secret));
        }
        assert_eq!(credentials::Entity::find().count(test.read()).await.unwrap(), 20);
    }

    async fn an_account_has_no_more_live_keys_than_it_may_however_many_are_made_at_once(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let new = || NewKey::new(trader.user, trader.account, "bot", &[], now());
        let expired = NewKey { expires_at: Some(now()), ..new() };
        test.create_api_key(expired).await.unwrap();
        let revoked = test.create_api_key(new()).await.unwrap();
        test.revoke_credential(trader.account, revoked.credential_id, now()).await.unwrap();
        for _ in 0..KEYS_MAX - 2 {
            test.create_api_key(new()).await.unwrap();
        }
        let stores = [test.second().await, test.second().await];
        let event = || AuditEvent::new(AuditKind::ApiKeyCreated, now());
        let made = join_all((0..8).map(|one| stores[one % 2].create_api_key_on_record(new(), event()))).await;
        let made: Vec<_> = made.into_iter().filter_map(Result::unwrap).map(|key| Some(key.key_id)).collect();
        assert_eq!(made.len(), 2);
        let page = test.audit_page(&AuditFilter::default(), None, 10).await.unwrap();
        let told: BTreeSet<_> = page.events.into_iter().map(|event| event.subject).collect();
        assert_eq!(told, made.into_iter().collect(), "each that was made is on record, and no other");
        let live = test.live_api_keys_of_user(trader.user, now(), KEYS_MAX).await.unwrap();
        assert_eq!(live.len(), 200);
        assert!(live.iter().all(|key| key.id != revoked.credential_id), "neither revoked nor expired");
        // Another account has its own.
        let other = test.trader(Role::Admin, Decimal::ONE).await;
        test.create_api_key(NewKey::new(other.user, other.account, "bot", &[], now())).await.unwrap();
    }

    async fn nobody_gets_a_key_for_another_s_account(test: TestStore) {
        let mine = test.trader(Role::Admin, Decimal::ONE).await;
        let theirs = test.trader(Role::Admin, Decimal::ONE).await;
        let key = test.create_api_key(NewKey::new(mine.user, theirs.account, "bot", &[], now())).await;
        assert!(matches!(key, Err(StoreError::NotFound { table: "accounts" })), "{key:?}");
    }

    async fn a_key_ends_when_it_is_revoked_when_it_expires_and_with_its_user(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let other = test.trader(Role::Admin, Decimal::ONE).await;
        let key = test.create_api_key(NewKey::new(trader.user, trader.account, "bot", &[], now())).await.unwrap();
        let id = key.credential_id;
        let foreign = test.revoke_credential(other.account, id, now()).await;
        assert!(matches!(foreign, Err(StoreError::NotFound { .. })), "{foreign:?}");
        let is_valid = async |seconds| {
            let found = test.find_credential(&key.key_id).await.unwrap().unwrap();
            found.is_valid_at(now() + TimeDelta::seconds(seconds))
        };
        assert!(is_valid(0).await);

        let row = credentials::Entity::find_by_id(id.0).one(test.read()).await.unwrap().unwrap();
        let mut row = row.into_active_model();
        row.expires_at = Set(Some(now() + TimeDelta::seconds(10)));
        row.update(test.write()).await.unwrap();
        assert!(is_valid(9).await);
        assert!(!is_valid(10).await);

        test.set_user_active(trader.user, false, now()).await.unwrap();
        assert!(!is_valid(0).await);
        test.set_user_active(trader.user, true, now()).await.unwrap();
        assert!(is_valid(0).await);

        test.revoke_credential(trader.account, id, now()).await.unwrap();
        test.revoke_credential(trader.account, id, now() + TimeDelta::seconds(5)).await.unwrap();
        assert!(!is_valid(0).await);
        let found = test.find_credential(&key.key_id).await.unwrap().unwrap();
        assert_eq!(found.revoked_at, Some(now()));
    }

    async fn a_key_is_taken_until_its_end_and_from_its_networks(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let end = now() + TimeDelta::seconds(10);
        let new = NewKey {
            expires_at: Some(end),
            allowed_ips: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            ..NewKey::new(trader.user, trader.account, "bot", &["data"], now())
        };
        let key = test.create_api_key(new.clone()).await.unwrap();
        let found = test.find_credential(&key.key_id).await.unwrap().unwrap();
        assert_eq!((found.expires_at, &found.allowed_ips), (Some(end), &new.allowed_ips));
        assert!(found.is_valid_at(now()) && !found.is_valid_at(end));
        for (client, expected) in [
            ("192.0.2.9", true),
            ("::ffff:192.0.2.9", true),
            ("192.0.3.1", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(found.is_allowed_from(client.parse().unwrap()), expected, "{client}");
        }
        let open = test.create_api_key(NewKey::new(trader.user, trader.account, "bot", &[], now())).await.unwrap();
        let open = test.find_credential(&open.key_id).await.unwrap().unwrap();
        assert!(open.is_allowed_from("192.0.3.1".parse().unwrap()));
    }

    async fn a_list_of_networks_that_cannot_be_read_lets_nobody_in(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let key = test.create_api_key(NewKey::new(trader.user, trader.account, "bot", &[], now())).await.unwrap();
        let row = credentials::Entity::find().one(test.read()).await.unwrap().unwrap();
        let mut row = row.into_active_model();
        row.allowed_ips = Set("everywhere".into());
        row.update(test.write()).await.unwrap();
        let found = test.find_credential(&key.key_id).await;
        assert!(matches!(found, Err(StoreError::Inconsistent { table: "credentials", .. })), "{found:?}");
    }

    async fn a_user_lists_and_revokes_the_keys_of_all_their_accounts_and_no_others(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let second = test.create_account(trader.user, Decimal::ONE, now()).await.unwrap().account;
        let other = test.trader(Role::Admin, Decimal::ONE).await;
        let mut made = Vec::new();
        for (user, account) in [
            (trader.user, trader.account),
            (trader.user, second),
            (other.user, other.account),
            (trader.user, trader.account),
        ] {
            let key = test.create_api_key(NewKey::new(user, account, "bot", &["data"], now())).await.unwrap();
            made.push(key.credential_id);
        }
        let page = async |before, limit| {
            let count = test.statement_count();
            let page = test.api_keys_of_user(trader.user, before, limit).await.unwrap();
            assert_eq!(test.statement_count() - count, 1);
            page.into_iter().map(|key| key.id).collect::<Vec<_>>()
        };
        assert_eq!(page(None, 10).await, [made[3], made[1], made[0]]);
        assert_eq!(page(None, 2).await, [made[3], made[1]]);
        assert_eq!(page(Some(made[1]), 2).await, [made[0]]);
        let foreign = test.revoke_api_key(trader.user, made[2], now()).await;
        assert!(matches!(foreign, Err(StoreError::NotFound { table: "credentials" })), "{foreign:?}");
        test.revoke_api_key(trader.user, made[1], now()).await.unwrap();
        test.revoke_api_key(trader.user, made[1], now() + TimeDelta::seconds(5)).await.unwrap();
        let keys = test.api_keys_of_user(trader.user, None, 10).await.unwrap();
        assert_eq!((keys[1].account_id, keys[1].revoked_at, keys[0].revoked_at), (second, Some(now()), None));
        assert_eq!((keys[1].name.as_str(), keys[1].scopes.as_slice()), ("bot", ["data".to_owned()].as_slice()));
    }

    async fn use_is_noted_once_a_minute(test: TestStore) {
        let trader = test.trader(Role::Admin, Decimal::ONE).await;
        let key = test.create_api_key(NewKey::new(trader.user, trader.account, "bot", &[], now())).await.unwrap();
        let touch = async |seconds| {
            test.touch_credential(key.credential_id, now() + TimeDelta::seconds(seconds)).await.unwrap()
        };
        assert!(touch(0).await);
        assert!(!touch(1).await);
        assert!(!touch(60).await);
        assert!(touch(61).await);
        assert!(!test.touch_credential(CredentialId(Uuid::now_v7()), now()).await.unwrap());
    }
}
