//! Owners manage their apps, and people what they have connected.

use poem::http::Method;
use poem::{Body, Request};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::oauth::{CLIENTS_MAX, NewGrant};
use store::testing::TestStore;
use store::{NewKey, Redemption, Role};

use super::site::Site;

const CALLBACK: &str = "https://a.example/cb";

fn app(scopes: &[&str]) -> Value {
    json!({"name": "Bot", "client_type": "confidential", "redirect_uris": [CALLBACK], "scopes": scopes})
}

async fn with_keys(test: &TestStore) -> Site {
    Site::over(test)
        .await
        .with_scopes(&["arbion:keys", "trading"])
        .await
}

store::testing::on_both! {
    async fn an_app_is_registered_listed_and_taken_back(test: TestStore) {
        let site = with_keys(test).await;
        let registered = site.post("/oauth/clients", &app(&["trading", "data"])).await;
        assert_eq!(registered.status.as_u16(), 201, "{}", registered.text);
        let registered = registered.json();
        let client = &registered["client"];
        assert_eq!(registered["client_secret"].as_str().unwrap().len(), 43);
        assert_eq!(
            (&client["scopes"], &client["grant_types"], &client["account_id"]),
            (&json!(["data", "trading"]), &json!(["authorization_code"]), &json!(site.account.to_string()))
        );
        let public = json!({"name": "App", "client_type": "public", "redirect_uris": ["com.example.app:/cb"]});
        let public = site.post("/oauth/clients", &public).await.json();
        assert_eq!(public["client_secret"], Value::Null);
        let listed = site.get("/oauth/clients").await;
        assert_eq!(listed.json(), json!([client, public["client"]]));
        assert!(!listed.text.contains("secret"), "{}", listed.text);
        let path = format!("/oauth/clients/{}", client["client_id"].as_str().unwrap());
        assert_eq!(site.delete(&path).await.status.as_u16(), 204);
        assert_eq!(site.get("/oauth/clients").await.json(), json!([public["client"]]));
        for unknown in ["/oauth/clients/app_nobody", "/oauth/clients/a%00"] {
            assert_eq!(site.delete(unknown).await.error(), (404, "client_not_found".into()), "{unknown}");
        }
        let unknown = site.get("/oauth/clients?x=1").await;
        assert_eq!(unknown.error(), (422, "unknown_field".into()));
    }

    async fn a_credential_gives_no_app_more_than_it_has(test: TestStore) {
        let site = with_keys(test).await;
        for more in ["account:write", "arbion:risk", "arbion:webhooks"] {
            let refused = site.post("/oauth/clients", &app(&["trading", more])).await;
            assert_eq!(refused.error(), (403, "insufficient_scope".into()), "{}", refused.text);
            assert_eq!(refused.json()["scope"], more);
        }
        assert_eq!(site.get("/oauth/clients").await.json(), json!([]));
        let site = site.with_scopes(&["trading", "data", "account:write"]).await;
        for (method, path) in [
            (Method::POST, "/oauth/clients"),
            (Method::GET, "/oauth/clients"),
            (Method::DELETE, "/oauth/clients/app_nobody"),
            (Method::GET, "/oauth/grants"),
            (Method::DELETE, "/oauth/grants/01930e4c-5b5a-7000-8000-000000000001"),
        ] {
            let refused = site.send(method, path, &[], Body::empty()).await;
            assert_eq!(refused.error(), (403, "insufficient_scope".into()), "{path}");
            assert_eq!(refused.json()["scope"], "arbion:keys");
        }
    }

    async fn nobody_registers_apps_without_end(test: TestStore) {
        let site = with_keys(test).await;
        let registered = site.post("/oauth/clients", &app(&["data"])).await.json();
        let path = format!("/oauth/clients/{}", registered["client"]["client_id"].as_str().unwrap());
        for _ in 1..CLIENTS_MAX {
            assert_eq!(site.post("/oauth/clients", &app(&["data"])).await.status.as_u16(), 201);
        }
        let more = site.post("/oauth/clients", &app(&["data"])).await;
        assert_eq!(more.error(), (409, "too_many_clients".into()));
        site.delete(&path).await;
        assert_eq!(site.post("/oauth/clients", &app(&["data"])).await.status.as_u16(), 201);
    }

    async fn a_credential_manages_the_apps_of_its_own_account_alone(test: TestStore) {
        let site = with_keys(test).await;
        site.post("/oauth/clients", &app(&["trading"])).await;
        let owner = site.store.account_view(site.account).await.unwrap().unwrap().user_id;
        let second = site.store.create_account(owner, Decimal::ONE, site.now).await.unwrap().account;
        let registered = site.store.oauth_clients_of(owner, None).await.unwrap();
        assert_eq!(registered.len(), 1);
        let key = site.store.create_api_key(NewKey::new(owner, second, "other", &["arbion:keys"], site.now)).await.unwrap();
        let path = format!("/oauth/clients/{}", registered[0].client_id);
        for method in [Method::GET, Method::DELETE] {
            let path = if method == Method::GET { "/oauth/clients" } else { path.as_str() };
            let request = Request::builder().method(method.clone()).uri_str(path);
            let request = request.header("apca-api-key-id", &key.key_id).header("apca-api-secret-key", &key.secret);
            let answer = site.answer(request.finish()).await;
            if method == Method::GET {
                assert_eq!(answer.json(), json!([]), "of another account");
            } else {
                assert_eq!(answer.error(), (404, "client_not_found".into()));
            }
        }
    }

    async fn a_connected_app_is_listed_and_disconnected(test: TestStore) {
        let site = with_keys(test).await;
        let registered = site.post("/oauth/clients", &app(&["trading"])).await.json();
        let client_id = registered["client"]["client_id"].as_str().unwrap();
        let client = site.store.oauth_client(client_id).await.unwrap().unwrap();
        let other = test.trader(Role::Standard, Decimal::ONE).await;
        let mut grants = Vec::new();
        for (user, account) in [(client.owner, site.account), (client.owner, site.account), (other.user, other.account)] {
            let new = NewGrant {
                client: client.id,
                user,
                account,
                scopes: vec!["trading".to_owned()],
                redirect_uri: None,
                code_challenge: "x".repeat(43),
            };
            let made = site.store.create_oauth_grant(&new, site.now).await.unwrap();
            let hash = platform::secrets::sha256(&made.code);
            let redeemed = site.store.redeem_oauth_code(hash, |_| true, site.now).await.unwrap();
            assert!(matches!(redeemed, Redemption::Redeemed(_)), "{redeemed:?}");
            grants.push(made.grant.to_string());
        }
        let listed = site.get("/oauth/grants").await.json();
        let ids: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids, grants[..2]);
        assert_eq!(
            (&listed[0]["name"], &listed[0]["client_id"], &listed[0]["scopes"], &listed[0]["last_used_at"]),
            (&json!("Bot"), &json!(client_id), &json!(["trading"]), &Value::Null)
        );
        let page = site.get("/oauth/grants?limit=1").await.json();
        assert_eq!(page, json!([listed[0]]));
        let page = site.get(&format!("/oauth/grants?limit=1&after={}", grants[0])).await.json();
        assert_eq!(page, json!([listed[1]]));
        assert_eq!(site.get("/oauth/grants?limit=501").await.error(), (422, "invalid_request".into()));
        for (path, expected) in [(&grants[0], None), (&grants[2], Some(404)), (&"x".to_owned(), Some(404))] {
            let answer = site.delete(&format!("/oauth/grants/{path}")).await;
            match expected {
                None => assert_eq!(answer.status.as_u16(), 204),
                Some(_) => assert_eq!(answer.error(), (404, "grant_not_found".into())),
            }
        }
        assert_eq!(site.get("/oauth/grants").await.json(), json!([listed[1]]));
    }
}
