//! The authorization server's rows: each code and refresh token works once, and a family ends as one.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AccountId, CredentialId};
use futures::future::join_all;
use platform::secrets::sha256;
use rust_decimal::Decimal;
use sea_orm::EntityTrait;
use store::audit_log::AuditFilter;
use store::entity::{oauth_clients, oauth_codes, oauth_grants, oauth_tokens};
use store::oauth::Rotation;
use store::oauth::{
    ACCESS_TOKEN_LIFETIME, CLIENTS_MAX, CODE_LIFETIME, NewClient, NewCode, NewGrant, OAuthClient,
    REFRESH_TOKEN_LIFETIME, Registration, TokenKind, TokenRevocation,
};
use store::testing::{TestStore, Trader, now};
use store::users::Role;
use store::{AuditEvent, AuditKind, Issued, Redemption, StoreError};
use uuid::Uuid;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://bot.example.org/callback";

fn later(by: TimeDelta) -> DateTime<Utc> {
    now() + by
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn new_client(owner: Trader, is_confidential: bool) -> NewClient {
    NewClient {
        user: owner.user,
        account: owner.account,
        name: "Bot".to_owned(),
        is_confidential,
        grant_types: texts(&["authorization_code", "client_credentials"]),
        redirect_uris: texts(&[CALLBACK]),
        scopes: texts(&["trading", "data"]),
    }
}

async fn register(test: &TestStore, owner: Trader) -> OAuthClient {
    match test
        .register_oauth_client(&new_client(owner, true), now())
        .await
        .unwrap()
    {
        Registration::Registered { client, .. } => *client,
        Registration::TooMany => panic!("too many"),
    }
}

/// An app, the person who lets it act, and the code of that.
struct Agreed {
    client: OAuthClient,
    person: Trader,
    code: NewCode,
}

impl Agreed {
    async fn on(test: &TestStore) -> Self {
        let owner = test.trader(Role::Standard, Decimal::ONE).await;
        let person = test.trader(Role::Standard, Decimal::ONE).await;
        let client = register(test, owner).await;
        let code = agree(test, &client, person).await;
        Self { client, person, code }
    }

    async fn redeem(&self, test: &TestStore) -> Issued {
        redeemed(redeem(test, &self.code).await)
    }
}

async fn agree(test: &TestStore, client: &OAuthClient, person: Trader) -> NewCode {
    let new = NewGrant {
        client: client.id,
        user: person.user,
        account: person.account,
        scopes: texts(&["trading", "data"]),
        redirect_uri: Some(CALLBACK.to_owned()),
        code_challenge: CHALLENGE.to_owned(),
    };
    test.create_oauth_grant(&new, now()).await.unwrap()
}

async fn redeem(test: &TestStore, code: &NewCode) -> Redemption {
    test.redeem_oauth_code(sha256(&code.code), |_| true, now())
        .await
        .unwrap()
}

fn redeemed(redemption: Redemption) -> Issued {
    match redemption {
        Redemption::Redeemed(issued) => issued,
        other => panic!("{other:?}"),
    }
}

async fn rotate(test: &TestStore, client: &OAuthClient, token: &str) -> Rotation {
    test.rotate_oauth_token(sha256(token), client.id, None, now())
        .await
        .unwrap()
}

fn rotated(rotation: Rotation) -> Issued {
    match rotation {
        Rotation::Rotated(issued) => issued,
        other => panic!("{other:?}"),
    }
}

fn refresh_of(issued: &Issued) -> String {
    issued.refresh_token.clone().unwrap()
}

async fn lets_in(test: &TestStore, issued: &Issued, at: DateTime<Utc>) -> bool {
    let found = test
        .find_access_token(sha256(&issued.access_token))
        .await
        .unwrap();
    found.is_some_and(|found| found.is_valid_at(at))
}

store::testing::on_both! {
    async fn a_client_is_found_with_everything_that_was_registered(test: TestStore) {
        let owner = test.trader(Role::Standard, Decimal::ONE).await;
        let registration = test.register_oauth_client(&new_client(owner, true), now()).await.unwrap();
        let shown = format!("{registration:?}");
        let Registration::Registered { client, secret } = registration else { panic!("too many") };
        let secret = secret.unwrap();
        assert!(!shown.contains(&secret));
        assert_eq!(client.hash, Some(sha256(&secret)));
        assert_eq!((client.owner, client.account, client.is_live), (owner.user, owner.account, true));
        assert_eq!(client.redirect_uris, [CALLBACK]);
        assert_eq!(client.scopes, ["trading", "data"]);
        assert_eq!(client.grant_types, ["authorization_code", "client_credentials"]);
        assert!(client.owner_email.ends_with("@example.com") && !client.is_public());
        let before = test.statement_count();
        assert_eq!(test.oauth_client(&client.client_id).await.unwrap().as_ref(), Some(&*client));
        assert_eq!(test.statement_count() - before, 1);
        assert_eq!(test.oauth_client("app_nobody").await.unwrap(), None);
        let public = test.register_oauth_client(&new_client(owner, false), now()).await.unwrap();
        let Registration::Registered { client: public, secret } = public else { panic!("too many") };
        assert_eq!((secret, public.hash, public.is_public()), (None, None, true));
        let row = oauth_clients::Entity::find().all(test.read()).await.unwrap();
        assert_eq!(row.len(), 2);
    }

    async fn clients_are_listed_and_taken_back_by_their_owner_alone(test: TestStore) {
        let owner = test.trader(Role::Standard, Decimal::ONE).await;
        let other = test.trader(Role::Standard, Decimal::ONE).await;
        let foreign = NewClient { account: other.account, ..new_client(owner, true) };
        let foreign = test.register_oauth_client(&foreign, now()).await;
        assert!(matches!(foreign, Err(StoreError::NotFound { table: "accounts" })), "{foreign:?}");
        let client = register(test, owner).await;
        let id = client.client_id.as_str();
        let list = async |who: Trader, account: Option<AccountId>| {
            test.oauth_clients_of(who.user, account).await.unwrap().len()
        };
        assert_eq!(list(owner, None).await, 1);
        assert_eq!(list(owner, Some(owner.account)).await, 1);
        assert_eq!(list(owner, Some(other.account)).await, 0);
        assert_eq!(list(other, None).await, 0);
        for (who, account) in [(other, None), (owner, Some(other.account))] {
            let refused = test.revoke_oauth_client(who.user, account, id, now()).await;
            assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
        }
        test.revoke_oauth_client(owner.user, Some(owner.account), id, now()).await.unwrap();
        test.revoke_oauth_client(owner.user, None, id, later(TimeDelta::hours(1))).await.unwrap();
        assert_eq!(list(owner, None).await, 0);
        assert!(!test.oauth_client(id).await.unwrap().unwrap().is_live);
        let row = oauth_clients::Entity::find().one(test.read()).await.unwrap().unwrap();
        assert_eq!(row.revoked_at, Some(now()));
    }

    async fn nobody_registers_clients_without_end(test: TestStore) {
        let owner = test.trader(Role::Standard, Decimal::ONE).await;
        for _ in 0..CLIENTS_MAX {
            register(test, owner).await;
        }
        let more = test.register_oauth_client(&new_client(owner, true), now()).await.unwrap();
        assert!(matches!(more, Registration::TooMany), "{more:?}");
        let one = test.oauth_clients_of(owner.user, None).await.unwrap().remove(0);
        test.revoke_oauth_client(owner.user, None, &one.client_id, now()).await.unwrap();
        register(test, owner).await;
    }

    async fn clients_are_counted_by_person_whichever_account_is_named(test: TestStore) {
        let owner = test.trader(Role::Standard, Decimal::ONE).await;
        let account = test.create_account(owner.user, Decimal::ONE, now()).await.unwrap().account;
        for _ in 0..CLIENTS_MAX - 1 {
            register(test, owner).await;
        }
        let stores = [test.second().await, test.second().await];
        let clients = [new_client(owner, true), NewClient { account, ..new_client(owner, true) }];
        let event = || AuditEvent {
            user_id: Some(owner.user),
            ..AuditEvent::new(AuditKind::OauthClientRegistered, now())
        };
        let tries = (0..8).map(|one| stores[one % 2].register_oauth_client_on_record(&clients[one % 2], event(), now()));
        let made: Vec<_> = join_all(tries).await.into_iter().filter_map(|made| match made.unwrap() {
            Registration::Registered { client, .. } => Some(Some(client.client_id.clone())),
            Registration::TooMany => None,
        }).collect();
        let theirs = AuditFilter { user: Some(owner.user), ..AuditFilter::default() };
        let page = test.audit_page(&theirs, None, 10).await.unwrap();
        let told: Vec<_> = page.events.into_iter().map(|event| event.subject).collect();
        assert_eq!((made.len(), told), (1, made), "the one that was made is on record, and no other");
    }

    async fn a_code_gives_a_pair_that_acts_for_the_person_who_agreed(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let issued = agreed.redeem(test).await;
        assert_eq!((issued.user, issued.account), (agreed.person.user, agreed.person.account));
        assert_eq!(issued.scopes, ["trading", "data"]);
        let before = test.statement_count();
        let found = test.find_access_token(sha256(&issued.access_token)).await.unwrap().unwrap();
        assert_eq!(test.statement_count() - before, 1);
        assert_eq!(found.credential_id, CredentialId(agreed.code.grant));
        assert_eq!((found.user_id, found.account_id), (agreed.person.user, agreed.person.account));
        assert_eq!((found.hash, found.role), (sha256(&issued.access_token), Role::Standard));
        assert_eq!(found.scopes, ["trading", "data"]);
        assert!(lets_in(test, &issued, later(ACCESS_TOKEN_LIFETIME - TimeDelta::microseconds(1))).await);
        assert!(!lets_in(test, &issued, later(ACCESS_TOKEN_LIFETIME)).await);
        let refresh = refresh_of(&issued);
        assert_eq!(test.find_access_token(sha256(&refresh)).await.unwrap(), None, "a refresh token lets nobody in");
    }

    async fn nothing_secret_is_kept(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let issued = agreed.redeem(test).await;
        let codes = oauth_codes::Entity::find().all(test.read()).await.unwrap();
        let tokens = oauth_tokens::Entity::find().all(test.read()).await.unwrap();
        let kept = format!("{codes:?} {tokens:?} {:?} {:?}", agreed.code, issued);
        for secret in [&agreed.code.code, &issued.access_token, &refresh_of(&issued)] {
            assert_eq!(secret.len(), 43);
            assert!(!kept.contains(secret.as_str()));
        }
    }

    async fn a_code_that_comes_again_ends_everything_that_it_gave(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let issued = agreed.redeem(test).await;
        let next = rotated(rotate(test, &agreed.client, &refresh_of(&issued)).await);
        let grant = agreed.code.grant;
        assert_eq!(redeem(test, &agreed.code).await, Redemption::Replayed { grant });
        assert!(!lets_in(test, &issued, now()).await && !lets_in(test, &next, now()).await);
        assert_eq!(rotate(test, &agreed.client, &refresh_of(&next)).await, Rotation::Ended);
    }

    async fn of_many_who_bring_one_code_at_once_one_gets_tokens_and_the_family_ends(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let hash = sha256(&agreed.code.code);
        let others = [test.second().await, test.second().await];
        let tries = (0..16).map(|one| {
            let store = others[one % 2].clone();
            tokio::spawn(async move { store.redeem_oauth_code(hash, |_| true, now()).await.unwrap() })
        });
        let results: Vec<_> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        let (winners, losers): (Vec<_>, Vec<_>) =
            results.into_iter().partition(|result| matches!(result, Redemption::Redeemed(_)));
        assert_eq!((winners.len(), losers.len()), (1, 15));
        let grant = agreed.code.grant;
        assert!(losers.iter().all(|loser| *loser == Redemption::Replayed { grant }), "{losers:?}");
        assert_eq!(oauth_tokens::Entity::find().all(test.read()).await.unwrap().len(), 2);
        for winner in winners {
            assert!(!lets_in(test, &redeemed(winner), now()).await);
        }
    }

    async fn a_code_is_used_up_by_whoever_does_not_fit(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let (hash, grant) = (sha256(&agreed.code.code), agreed.code.grant);
        let seen = Arc::new(std::sync::Mutex::new(None));
        let note = Arc::clone(&seen);
        let judge = move |facts: &store::oauth::CodeFacts| {
            *note.lock().unwrap() = Some(facts.clone());
            false
        };
        let misused = test.redeem_oauth_code(hash, judge, now()).await.unwrap();
        assert_eq!(misused, Redemption::Misused { grant });
        let facts = seen.lock().unwrap().clone().unwrap();
        assert_eq!(facts.client, agreed.client.id);
        assert_eq!((facts.redirect_uri.as_deref(), facts.code_challenge.as_str()), (Some(CALLBACK), CHALLENGE));
        assert_eq!(redeem(test, &agreed.code).await, Redemption::Replayed { grant });
        assert!(oauth_tokens::Entity::find().all(test.read()).await.unwrap().is_empty());
    }

    async fn a_code_is_good_for_a_minute_and_only_while_its_person_is_active(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let hash = sha256(&agreed.code.code);
        let redeem_at = async |at| test.redeem_oauth_code(hash, |_| true, at).await.unwrap();
        assert_eq!(redeem_at(later(CODE_LIFETIME)).await, Redemption::Expired);
        assert!(matches!(redeem_at(later(CODE_LIFETIME - TimeDelta::seconds(1))).await, Redemption::Redeemed(_)));
        assert_eq!(test.redeem_oauth_code([7; 32], |_| true, now()).await.unwrap(), Redemption::NotFound);
        let code = agree(test, &agreed.client, agreed.person).await;
        test.set_user_active(agreed.person.user, false, now()).await.unwrap();
        assert_eq!(redeem(test, &code).await, Redemption::Ended);
    }

    async fn a_refresh_token_gives_its_successor_and_narrower_tokens_on_request(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let first = agreed.redeem(test).await;
        let hash = sha256(refresh_of(&first));
        let rotate_for = async |scopes: &[&str]| {
            let scopes = texts(scopes);
            test.rotate_oauth_token(hash, agreed.client.id, Some(&scopes), now()).await.unwrap()
        };
        assert_eq!(rotate_for(&["data", "arbion:keys"]).await, Rotation::TooWide);
        let second = rotated(rotate_for(&["data"]).await);
        assert_eq!(second.scopes, ["data"]);
        let found = test.find_access_token(sha256(&second.access_token)).await.unwrap().unwrap();
        assert_eq!(found.scopes, ["data"]);
        assert_eq!(found.credential_id, CredentialId(first.grant), "one credential for a whole family");
        let third = rotated(rotate(test, &agreed.client, &refresh_of(&second)).await);
        assert_eq!(third.scopes, ["trading", "data"], "the refresh token keeps all that was granted");
        assert!(lets_in(test, &first, now()).await && lets_in(test, &third, now()).await);
    }

    async fn a_refresh_token_that_comes_again_ends_its_family(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let first = agreed.redeem(test).await;
        let second = rotated(rotate(test, &agreed.client, &refresh_of(&first)).await);
        let grant = first.grant;
        assert_eq!(rotate(test, &agreed.client, &refresh_of(&first)).await, Rotation::Reused { grant });
        assert!(!lets_in(test, &first, now()).await && !lets_in(test, &second, now()).await);
        assert_eq!(rotate(test, &agreed.client, &refresh_of(&second)).await, Rotation::Ended);
        let another = agree(test, &agreed.client, agreed.person).await;
        assert!(lets_in(test, &redeemed(redeem(test, &another).await), now()).await, "other families live on");
    }

    async fn of_many_who_bring_one_refresh_token_at_once_one_gets_tokens_and_the_family_ends(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let first = agreed.redeem(test).await;
        let (hash, client) = (sha256(refresh_of(&first)), agreed.client.id);
        let others = [test.second().await, test.second().await];
        let tries = (0..16).map(|one| {
            let store = others[one % 2].clone();
            tokio::spawn(async move { store.rotate_oauth_token(hash, client, None, now()).await.unwrap() })
        });
        let results: Vec<_> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        let (winners, losers): (Vec<_>, Vec<_>) =
            results.into_iter().partition(|result| matches!(result, Rotation::Rotated(_)));
        assert_eq!((winners.len(), losers.len()), (1, 15));
        let grant = first.grant;
        assert!(losers.iter().all(|loser| *loser == Rotation::Reused { grant }), "{losers:?}");
        for winner in winners {
            assert!(!lets_in(test, &rotated(winner), now()).await);
        }
    }

    async fn a_refresh_token_belongs_to_its_client_and_its_time(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let stranger = register(test, agreed.person).await;
        let first = agreed.redeem(test).await;
        let refresh = refresh_of(&first);
        assert_eq!(rotate(test, &stranger, &refresh).await, Rotation::OtherClient);
        assert_eq!(rotate(test, &agreed.client, &first.access_token).await, Rotation::NotFound);
        assert_eq!(rotate(test, &agreed.client, "nothing").await, Rotation::NotFound);
        let at = async |at| {
            test.rotate_oauth_token(sha256(&refresh), agreed.client.id, None, at).await.unwrap()
        };
        assert_eq!(at(later(REFRESH_TOKEN_LIFETIME)).await, Rotation::Expired);
        assert!(matches!(at(later(REFRESH_TOKEN_LIFETIME - TimeDelta::seconds(1))).await, Rotation::Rotated(_)));
    }

    async fn tokens_end_with_their_person_their_client_and_its_owner(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let issued = agreed.redeem(test).await;
        assert!(lets_in(test, &issued, now()).await);
        for user in [agreed.person.user, agreed.client.owner] {
            test.set_user_active(user, false, now()).await.unwrap();
            assert!(!lets_in(test, &issued, now()).await);
            assert_eq!(rotate(test, &agreed.client, &refresh_of(&issued)).await, Rotation::Ended);
            test.set_user_active(user, true, now()).await.unwrap();
            assert!(lets_in(test, &issued, now()).await);
        }
        let id = &agreed.client.client_id;
        test.revoke_oauth_client(agreed.client.owner, None, id, now()).await.unwrap();
        assert!(!lets_in(test, &issued, now()).await);
        assert_eq!(rotate(test, &agreed.client, &refresh_of(&issued)).await, Rotation::Ended);
    }

    async fn a_client_acts_for_its_owner_in_one_family(test: TestStore) {
        let owner = test.trader(Role::Admin, Decimal::ONE).await;
        let client = register(test, owner).await;
        let scopes = texts(&["data"]);
        let tries = (0..8).map(|_| test.issue_own_token(client.id, &scopes, now()));
        let issued: Vec<Issued> =
            join_all(tries).await.into_iter().map(|issued| issued.unwrap().unwrap()).collect();
        for one in &issued {
            assert_eq!((one.user, one.account, &one.refresh_token), (owner.user, owner.account, &None));
            assert_eq!((one.grant, one.scopes.as_slice()), (issued[0].grant, scopes.as_slice()));
            assert!(lets_in(test, one, now()).await);
        }
        assert_eq!(test.oauth_grants_of(owner.user, None, None, 10, now()).await.unwrap(), [], "not a connected app");
        test.revoke_oauth_client(owner.user, None, &client.client_id, now()).await.unwrap();
        assert!(!lets_in(test, &issued[0], now()).await);
        assert_eq!(test.issue_own_token(client.id, &scopes, now()).await.unwrap(), None);
    }

    async fn a_client_revokes_its_own_tokens_and_no_others(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let stranger = register(test, agreed.person).await;
        let issued = agreed.redeem(test).await;
        let revoke = async |token: &str, client: Uuid| {
            test.revoke_oauth_token(sha256(token), client, now()).await.unwrap()
        };
        let refresh = refresh_of(&issued);
        assert_eq!(revoke(&issued.access_token, stranger.id).await, TokenRevocation::OtherClient);
        assert_eq!(revoke("nothing", agreed.client.id).await, TokenRevocation::NotFound);
        assert!(lets_in(test, &issued, now()).await);
        assert_eq!(revoke(&issued.access_token, agreed.client.id).await, TokenRevocation::Token);
        assert!(!lets_in(test, &issued, now()).await);
        let next = rotated(rotate(test, &agreed.client, &refresh).await);
        assert!(lets_in(test, &next, now()).await, "an access token ends alone");
        let family = TokenRevocation::Family { grant: issued.grant };
        assert_eq!(revoke(&refresh_of(&next), agreed.client.id).await, family);
        assert!(!lets_in(test, &next, now()).await);
    }

    async fn everything_about_a_token_is_told(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let issued = agreed.redeem(test).await;
        let facts = async |token: &str| test.oauth_token(sha256(token)).await.unwrap();
        let access = facts(&issued.access_token).await.unwrap();
        assert_eq!((access.kind, access.client, access.grant), (TokenKind::Access, agreed.client.id, issued.grant));
        assert_eq!((access.created_at, access.expires_at), (now(), later(ACCESS_TOKEN_LIFETIME)));
        assert_eq!((access.user, access.account), (agreed.person.user, agreed.person.account));
        assert!(access.is_valid_at(now()) && !access.is_valid_at(access.expires_at));
        let refresh = facts(&refresh_of(&issued)).await.unwrap();
        assert_eq!((refresh.kind, refresh.is_whole), (TokenKind::Refresh, true));
        rotate(test, &agreed.client, &refresh_of(&issued)).await;
        assert!(!facts(&refresh_of(&issued)).await.unwrap().is_whole, "it was exchanged");
        assert_eq!(facts("nothing").await, None);
    }

    async fn a_person_sees_the_apps_that_can_act_and_takes_them_back(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let (person, grant) = (agreed.person, agreed.code.grant);
        let apps = async |account, at| test.oauth_grants_of(person.user, account, None, 10, at).await.unwrap();
        assert_eq!(apps(None, now()).await, [], "the code was not fetched yet");
        let issued = agreed.redeem(test).await;
        let listed = apps(None, now()).await;
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].id, listed[0].name.as_str(), listed[0].account), (grant, "Bot", person.account));
        assert_eq!((listed[0].scopes.join(" ").as_str(), listed[0].last_used_at), ("trading data", None));
        assert!(test.touch_oauth_grant(CredentialId(grant), now()).await.unwrap());
        assert!(!test.touch_oauth_grant(CredentialId(grant), later(TimeDelta::seconds(60))).await.unwrap());
        assert_eq!(apps(Some(person.account), now()).await[0].last_used_at, Some(now()));
        assert_eq!(apps(Some(AccountId(Uuid::now_v7())), now()).await, []);
        assert_eq!(test.oauth_grants_of(person.user, None, Some(grant), 10, now()).await.unwrap(), []);
        assert_eq!(apps(None, later(REFRESH_TOKEN_LIFETIME)).await, [], "it has run out");
        let other = test.trader(Role::Standard, Decimal::ONE).await;
        for (user, account) in [(other.user, None), (person.user, Some(other.account))] {
            let refused = test.revoke_oauth_grant(user, account, grant, now()).await;
            assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
        }
        test.revoke_oauth_grant(person.user, None, grant, now()).await.unwrap();
        assert_eq!(apps(None, now()).await, []);
        assert!(!lets_in(test, &issued, now()).await);
        assert_eq!(rotate(test, &agreed.client, &refresh_of(&issued)).await, Rotation::Ended);
    }

    async fn nobody_grants_another_s_account(test: TestStore) {
        let agreed = Agreed::on(test).await;
        let new = NewGrant {
            client: agreed.client.id,
            user: agreed.person.user,
            account: agreed.client.account,
            scopes: texts(&["data"]),
            redirect_uri: None,
            code_challenge: CHALLENGE.to_owned(),
        };
        let refused = test.create_oauth_grant(&new, now()).await.map(|code| code.grant);
        assert!(matches!(refused, Err(StoreError::NotFound { table: "accounts" })), "{refused:?}");
    }

    async fn what_has_ended_long_ago_is_removed_in_portions(test: TestStore) {
        let agreed = Agreed::on(test).await;
        for _ in 0..3 {
            agree(test, &agreed.client, agreed.person).await;
        }
        let issued = agreed.redeem(test).await;
        test.issue_own_token(agreed.client.id, &texts(&["data"]), now()).await.unwrap();
        let prune = async |limit, at| test.prune_oauth(limit, at).await.unwrap();
        let day = TimeDelta::days(1);
        assert_eq!(prune(10, later(CODE_LIFETIME + day)).await, 0, "a second use is still to be noticed");
        let at = later(ACCESS_TOKEN_LIFETIME + day + TimeDelta::seconds(1));
        assert_eq!(prune(2, at).await, 4, "two codes and two access tokens");
        assert_eq!(prune(10, at).await, 2, "the other codes");
        let left = oauth_grants::Entity::find().all(test.read()).await.unwrap();
        let mut left: Vec<_> = left.into_iter().map(|grant| (grant.kind, grant.id)).collect();
        left.sort();
        assert_eq!((left.len(), &left[0]), (2, &("consent".to_owned(), issued.grant)), "and the client's own");
        rotated(rotate(test, &agreed.client, &refresh_of(&issued)).await);
    }
}
