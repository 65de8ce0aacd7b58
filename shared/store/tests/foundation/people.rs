//! Registration, passwords, and what admins change of users.

use domain::id::{CredentialId, UserId};
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use store::audit_log::AuditFilter;
use store::oauth::{NewClient, NewGrant, Registration};
use store::testing::{TestStore, now};
use store::users::{BootstrapOptions, Role};
use store::{
    AuditEvent, AuditKind, LimitChange, NewKey, NewSession, NewUser, Store, StoreError, UserChange,
    UserChangeError, UserFilter, UserLimits, UserView,
};
use uuid::Uuid;

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn new_user(email: &str) -> NewUser {
    NewUser {
        email: email.to_owned(),
        password_hash: secret("hash"),
        role: Role::Standard,
        starting_cash: Decimal::from(100_000),
        now: now(),
    }
}

fn bootstrap(hash: Option<&str>) -> BootstrapOptions {
    BootstrapOptions {
        email: "root@example.com".into(),
        password_hash: hash.map(secret),
        starting_cash: Decimal::ONE,
        now: now(),
    }
}

async fn password_of(store: &Store, email: &str) -> Option<String> {
    let login = store.find_login(email).await.unwrap().unwrap();
    login.password_hash.map(|hash| hash.expose_secret().to_owned())
}

async fn begin_session(store: &Store, user: UserId, byte: u8) -> Uuid {
    let new = NewSession {
        user,
        password_hash: None,
        hash: [byte; 32],
        ip: "192.0.2.1".into(),
        user_agent: "test".into(),
        now: now(),
        expires_at: now() + chrono::TimeDelta::hours(1),
    };
    store.create_session(&new).await.unwrap()
}

/// What is put on record of a change that a test makes.
fn nothing(_: &UserView, _: &UserView) -> Vec<AuditEvent> {
    Vec::new()
}

store::testing::on_both! {
    async fn whoever_registers_has_an_account_and_logs_in_with_the_email_in_any_case(test: TestStore) {
        let (user, account) = test.register_user(&new_user(" Ada@Example.com")).await.unwrap();
        let view = test.account_view(account).await.unwrap().unwrap();
        assert_eq!((view.user_id, view.role, view.balance.cash), (user, Role::Standard, Decimal::from(100_000)));
        let before = test.statement_count();
        let login = test.find_login("ADA@example.com ").await.unwrap().unwrap();
        assert_eq!(test.statement_count() - before, 1);
        assert_eq!((login.user_id, login.role, login.is_active), (user, Role::Standard, true));
        assert_eq!(login.password_hash.as_ref().unwrap().expose_secret(), "hash");
        assert!(!format!("{login:?}").contains("hash"), "the hash is not printed");
        assert!(test.find_login("ada@example.org").await.unwrap().is_none());
        assert!(test.account_of_user(user, account).await.unwrap());
        let other = test.trader(Role::Standard, Decimal::ONE).await;
        assert!(!test.account_of_user(user, other.account).await.unwrap());
    }

    async fn an_email_is_taken_once_and_the_second_leaves_nothing_behind(test: TestStore) {
        let second = test.second().await;
        let (lower, upper) = (new_user("ada@example.com"), new_user("ADA@example.com"));
        let (one, two) = tokio::join!(test.register_user(&lower), second.register_user(&upper));
        let (made, refused) = if one.is_ok() { (one, two) } else { (two, one) };
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
        let users = test.users_page(&UserFilter::default(), None, 10).await.unwrap();
        assert_eq!(users.len(), 1);
        assert_eq!(test.accounts_of(made.unwrap().0).await.unwrap().len(), 1);
    }

    async fn the_first_start_with_a_password_decides_and_no_later_one(test: TestStore) {
        let owner = test.bootstrap(&bootstrap(None)).await.unwrap();
        assert_eq!(password_of(test, "root@example.com").await, None);
        test.bootstrap(&bootstrap(Some("first"))).await.unwrap();
        test.bootstrap(&bootstrap(Some("second"))).await.unwrap();
        assert_eq!(password_of(test, "root@example.com").await.as_deref(), Some("first"));
        test.set_password(owner.user_id, &secret("first"), &secret("chosen"), None, now()).await.unwrap();
        test.bootstrap(&bootstrap(Some("first"))).await.unwrap();
        assert_eq!(password_of(test, "root@example.com").await.as_deref(), Some("chosen"));
        let printed = format!("{:?}", bootstrap(Some("the hash")));
        assert!(!printed.contains("the hash"), "{printed}");
    }

    async fn a_hash_is_replaced_only_where_it_is_still_the_one(test: TestStore) {
        let (user, _) = test.register_user(&new_user("ada@example.com")).await.unwrap();
        assert!(!test.rehash_password(user, &secret("other"), &secret("new")).await.unwrap());
        assert!(test.rehash_password(user, &secret("hash"), &secret("new")).await.unwrap());
        assert_eq!(password_of(test, "ada@example.com").await.as_deref(), Some("new"));
    }

    async fn an_admin_pages_through_users(test: TestStore) {
        let mut made = Vec::new();
        for (email, role) in [
            ("ada@example.com", Role::Standard),
            ("adam@example.com", Role::Admin),
            ("a_b@example.com", Role::Standard),
            ("eve@example.com", Role::Standard),
        ] {
            made.push(test.create_user(email, role, now()).await.unwrap());
        }
        test.set_user_active(made[3], false, now()).await.unwrap();
        let page = async |filter: UserFilter, after, limit| {
            let before = test.statement_count();
            let page = test.users_page(&filter, after, limit).await.unwrap();
            assert_eq!(test.statement_count() - before, 1);
            page.into_iter().map(|user| user.id).collect::<Vec<_>>()
        };
        let all = UserFilter::default;
        assert_eq!(page(all(), None, 10).await, made);
        assert_eq!(page(all(), None, 3).await, made[..3]);
        assert_eq!(page(all(), Some(made[2]), 3).await, made[3..]);
        assert_eq!(page(all(), Some(made[3]), 3).await, []);
        let prefix = |prefix: &str| UserFilter { email_prefix: Some(prefix.to_owned()), ..all() };
        assert_eq!(page(prefix("ADA"), None, 10).await, made[..2]);
        assert_eq!(page(prefix("a_"), None, 10).await, [made[2]], "an underscore is a letter");
        assert_eq!(page(prefix("%"), None, 10).await, []);
        assert_eq!(page(prefix("\\"), None, 10).await, []);
        assert_eq!(page(UserFilter { role: Some(Role::Admin), ..all() }, None, 10).await, [made[1]]);
        assert_eq!(page(UserFilter { is_active: Some(false), ..all() }, None, 10).await, [made[3]]);
        let both = UserFilter { is_active: Some(true), role: Some(Role::Standard), ..prefix("a") };
        assert_eq!(page(both, None, 10).await, [made[0], made[2]]);
    }

    async fn an_admin_sees_a_user_s_limits_and_never_the_password(test: TestStore) {
        let (user, _) = test.register_user(&new_user("ada@example.com")).await.unwrap();
        let limits = UserLimits { order_notional: Some(Decimal::from(5)), day_notional: None };
        let changed = test.set_user_limits(user, limits).await.unwrap();
        assert_eq!(test.user_view(user).await.unwrap(), Some(changed.clone()));
        assert_eq!((changed.limits, changed.has_password, changed.created_at), (limits, true, now()));
        let own = test.set_user_limits(user, UserLimits::default()).await.unwrap();
        assert_eq!(own.limits, UserLimits::default());
        let nobody = test.set_user_limits(UserId(Uuid::now_v7()), limits).await;
        assert!(matches!(nobody, Err(UserChangeError::Store(StoreError::NotFound { table: "users" }))), "{nobody:?}");
    }

    async fn changes_at_once_of_what_is_not_the_same_keep_each_other(test: TestStore) {
        let other = test.second().await;
        let (user, _) = test.register_user(&new_user("ada@example.com")).await.unwrap();
        let own = |limit| Some(LimitChange::Own(Decimal::from(limit)));
        for round in 1..=20 {
            let order = UserChange { order_notional: own(round), ..UserChange::default() };
            let day = UserChange { day_notional: own(100 + round), ..UserChange::default() };
            let (one, two) = tokio::join!(
                test.change_user(user, &order, None, |_| true, nothing, now()),
                other.change_user(user, &day, None, |_| true, nothing, now()),
            );
            one.unwrap();
            two.unwrap();
            let limits = test.user_view(user).await.unwrap().unwrap().limits;
            let expected = (Some(Decimal::from(round)), Some(Decimal::from(100 + round)));
            assert_eq!((limits.order_notional, limits.day_notional), expected);
        }
    }

    async fn a_change_is_judged_by_the_user_as_it_is_and_a_refused_one_leaves_nothing(test: TestStore) {
        let (user, _) = test.register_user(&new_user("ada@example.com")).await.unwrap();
        begin_session(test, user, 1).await;
        let everything = UserChange {
            role: Some(Role::Admin),
            is_active: Some(false),
            order_notional: Some(LimitChange::Own(Decimal::ONE)),
            day_notional: Some(LimitChange::Own(Decimal::TWO)),
        };
        let tell = |before: &UserView, after: &UserView| {
            let data = serde_json::json!([before.role.as_str(), after.role.as_str()]);
            vec![AuditEvent { data, ..AuditEvent::new(AuditKind::RoleChanged, now()) }]
        };
        let before = test.user(user).await.unwrap();
        let is_admin = |user: &UserView| user.role == Role::Admin;
        let refused = test.change_user(user, &everything, None, is_admin, tell, now()).await;
        assert!(matches!(refused, Err(UserChangeError::NotAllowed)), "{refused:?}");
        assert_eq!(test.user(user).await.unwrap(), before);
        assert!(test.find_session(&[1; 32]).await.unwrap().unwrap().ended_at.is_none());
        let of_kind = AuditFilter { kind: Some(AuditKind::RoleChanged), ..AuditFilter::default() };
        let told = async || test.audit_page(&of_kind, None, 10).await.unwrap().events;
        assert!(told().await.is_empty());

        test.change_user(user, &everything, None, |_| true, tell, now()).await.unwrap();
        let changed = test.change_user(user, &UserChange::default(), None, is_admin, nothing, now()).await.unwrap();
        assert_eq!((changed.role, changed.is_active), (Role::Admin, false));
        let events = told().await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].data, serde_json::json!(["standard", "admin"]));
        // What is not named stays, and a limit of the role is one that is not the user's own.
        let of_role = UserChange { order_notional: Some(LimitChange::OfRole), ..UserChange::default() };
        let changed = test.change_user(user, &of_role, None, |_| true, nothing, now()).await.unwrap();
        assert_eq!((changed.limits.order_notional, changed.limits.day_notional), (None, Some(Decimal::TWO)));
    }

    async fn whoever_was_thrown_out_meanwhile_makes_and_changes_nothing(test: TestStore) {
        let (root, account) = test.register_user(&NewUser { role: Role::Superadmin, ..new_user("root@example.com") }).await.unwrap();
        let (ada, _) = test.register_user(&new_user("ada@example.com")).await.unwrap();
        let change = UserChange { role: Some(Role::Admin), ..UserChange::default() };
        let app = NewClient {
            user: root,
            account,
            name: "Bot".to_owned(),
            is_confidential: true,
            grant_types: Vec::new(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
        };
        let Registration::Registered { client, .. } = test.register_oauth_client(&app, now()).await.unwrap() else { panic!() };
        let consent = NewGrant {
            client: client.id,
            user: root,
            account,
            scopes: Vec::new(),
            redirect_uri: None,
            code_challenge: "c".repeat(43),
        };
        let by = |credential: Uuid| AuditEvent {
            user_id: Some(root),
            credential_id: Some(CredentialId(credential)),
            ..AuditEvent::new(AuditKind::Registered, now())
        };
        // Whether each of these changes succeeds with this credential; the email is a new one each time.
        let tries = async |credential: Uuid, email: &str| {
            let by = by(credential);
            let key = NewKey::new(root, account, "bot", &[], now());
            let actor = Some((root, CredentialId(credential)));
            let changed = match test.change_user(ada, &change, actor, |_| true, nothing, now()).await {
                Err(UserChangeError::Store(error)) => Err(error),
                other => {
                    other.unwrap();
                    Ok(())
                }
            };
            [
                changed,
                test.register_user_on_record(&new_user(email), |_, _| by.clone()).await.map(drop),
                test.create_api_key_on_record(key, by.clone()).await.map(drop),
                test.register_oauth_client_on_record(&app, by.clone(), now()).await.map(drop),
                test.create_oauth_grant_on_record(&consent, &by, now()).await.map(drop),
            ]
        };
        let all = |tried: &[Result<(), StoreError>], ended: bool| {
            tried.iter().all(|one| if ended { matches!(one, Err(StoreError::Ended)) } else { one.is_ok() })
        };
        let session = begin_session(test, root, 1).await;
        let key = test.create_api_key(NewKey::new(root, account, "bot", &[], now())).await.unwrap().credential_id;
        let grant = test.create_oauth_grant(&consent, now()).await.unwrap().grant;
        for (credential, email) in [(session, "1@example.com"), (key.0, "2@example.com"), (grant, "3@example.com")] {
            let tried = tries(credential, email).await;
            assert!(all(&tried, false), "{tried:?}");
        }
        test.end_session(root, session, now()).await.unwrap();
        test.revoke_credential(account, key, now()).await.unwrap();
        test.revoke_oauth_grant(root, None, grant, now()).await.unwrap();
        let theirs = begin_session(test, ada, 2).await;
        for credential in [session, key.0, grant, theirs, Uuid::now_v7()] {
            let tried = tries(credential, "4@example.com").await;
            assert!(all(&tried, true), "{tried:?}");
        }
        // With the user, everything ends.
        let live = begin_session(test, root, 3).await;
        let other = test.create_user("other@example.com", Role::Superadmin, now()).await.unwrap();
        test.set_user_active(root, false, now()).await.unwrap();
        let tried = tries(live, "5@example.com").await;
        assert!(all(&tried, true), "{tried:?}");
        let left = test.users_page(&UserFilter::default(), None, 100).await.unwrap();
        assert_eq!(left.len(), 6, "{other}: three of the tries made a user each");
    }

    async fn nobody_has_an_email_that_no_text_can_hold(test: TestStore) {
        test.register_user(&new_user("ada@example.com")).await.unwrap();
        assert!(test.find_login("ada@example.com\0").await.unwrap().is_none());
        let filter = UserFilter { email_prefix: Some("ada\0".to_owned()), ..UserFilter::default() };
        assert_eq!(test.users_page(&filter, None, 10).await.unwrap(), []);
    }

    async fn a_role_is_changed_and_the_sessions_end(test: TestStore) {
        let user = test.create_user("ada@example.com", Role::Standard, now()).await.unwrap();
        let bystander = test.create_user("eve@example.com", Role::Standard, now()).await.unwrap();
        begin_session(test, user, 1).await;
        begin_session(test, bystander, 2).await;
        let before = test.user(user).await.unwrap().unwrap().risk_version;
        assert_eq!(test.set_role(user, Role::Admin, now()).await.unwrap().role, Role::Admin);
        assert!(test.user(user).await.unwrap().unwrap().risk_version > before);
        assert!(test.find_session(&[1; 32]).await.unwrap().unwrap().ended_at.is_some());
        assert!(test.find_session(&[2; 32]).await.unwrap().unwrap().ended_at.is_none());
    }

    async fn a_deactivated_user_has_no_session_and_gets_none(test: TestStore) {
        let user = test.create_user("ada@example.com", Role::Standard, now()).await.unwrap();
        begin_session(test, user, 1).await;
        let changed = test.set_user_active(user, false, now()).await.unwrap();
        assert!(!changed.is_active);
        test.set_user_active(user, true, now()).await.unwrap();
        let session = test.find_session(&[1; 32]).await.unwrap().unwrap();
        assert_eq!((session.ended_at, session.user_is_active), (Some(now()), true), "it does not come back");
    }

    async fn the_last_active_superadmin_stays(test: TestStore) {
        let first = test.create_user("a@example.com", Role::Superadmin, now()).await.unwrap();
        let second = test.create_user("b@example.com", Role::Superadmin, now()).await.unwrap();
        let admin = test.create_user("c@example.com", Role::Admin, now()).await.unwrap();
        test.set_user_active(second, false, now()).await.unwrap();
        begin_session(test, first, 1).await;
        for refused in [
            test.set_role(first, Role::Admin, now()).await,
            test.set_role(first, Role::Standard, now()).await,
            test.set_user_active(first, false, now()).await,
        ] {
            assert!(matches!(refused, Err(UserChangeError::LastSuperadmin)), "{refused:?}");
        }
        let user = test.user_view(first).await.unwrap().unwrap();
        assert_eq!((user.role, user.is_active), (Role::Superadmin, true));
        assert!(test.find_session(&[1; 32]).await.unwrap().unwrap().ended_at.is_none());
        // What changes nothing about that is not refused.
        test.set_role(first, Role::Superadmin, now()).await.unwrap();
        test.set_user_active(first, true, now()).await.unwrap();
        test.set_role(admin, Role::Standard, now()).await.unwrap();
        test.set_role(second, Role::Standard, now()).await.unwrap();
        test.set_role(admin, Role::Superadmin, now()).await.unwrap();
        test.set_role(first, Role::Admin, now()).await.unwrap();
    }

    async fn of_two_superadmins_who_go_at_once_one_stays(test: TestStore) {
        let other = test.second().await;
        for round in 0..20 {
            let user = async |name| {
                let email = format!("{name}{round}@example.com");
                test.create_user(&email, Role::Superadmin, now()).await.unwrap()
            };
            let (a, b) = (user("a").await, user("b").await);
            let (one, two) = tokio::join!(
                test.set_role(a, Role::Admin, now()),
                other.set_user_active(b, false, now()),
            );
            assert!(one.is_ok() != two.is_ok(), "round {round}: {one:?}, {two:?}");
            let filter = UserFilter { role: Some(Role::Superadmin), is_active: Some(true), email_prefix: None };
            let left = test.users_page(&filter, None, 10).await.unwrap();
            assert_eq!(left.len(), 1, "round {round}");
            // The next round begins with nobody.
            remove_superadmin(test, left[0].id).await;
        }
    }
}

/// Writes what no function of the store does.
async fn remove_superadmin(store: &Store, user: UserId) {
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
    use store::entity::users::{Column, Entity};
    Entity::update_many()
        .col_expr(Column::Role, "admin".into())
        .filter(Column::Id.eq(user.0))
        .exec(store.write())
        .await
        .unwrap();
}
