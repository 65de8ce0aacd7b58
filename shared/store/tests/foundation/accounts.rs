//! Users, accounts and instruments.

use domain::account::Balance;
use domain::id::{AccountId, UserId};
use rust_decimal::Decimal;
use sea_orm::EntityTrait;
use store::entity::{accounts, broker_connections, users};
use store::testing::{TestStore, asset, now};
use store::users::{BootstrapOptions, Role};
use store::{Store, StoreError};
use uuid::Uuid;

fn options() -> BootstrapOptions {
    BootstrapOptions {
        email: "Admin@Example.com".into(),
        password_hash: None,
        starting_cash: Decimal::from(100_000),
        now: now(),
    }
}

async fn counts(store: &Store) -> (usize, usize, usize) {
    let read = store.read();
    (
        users::Entity::find().all(read).await.unwrap().len(),
        accounts::Entity::find().all(read).await.unwrap().len(),
        broker_connections::Entity::find().all(read).await.unwrap().len(),
    )
}

store::testing::on_both! {
    async fn the_first_start_makes_a_superadmin_with_a_paper_account(test: TestStore) {
        let first = test.bootstrap(&options()).await.unwrap();
        assert!(first.was_created);
        let view = test.account_view(first.account_id).await.unwrap().unwrap();
        assert_eq!((view.user_id, view.role, view.user_is_active), (first.user_id, Role::Superadmin, true));
        assert_eq!(view.balance, Balance { cash: Decimal::from(100_000), reserved: Decimal::ZERO });
        assert_eq!((view.mode.as_str(), view.currency.as_str()), ("paper", "USD"));
        assert_eq!((view.number.len(), &view.number[..2]), (12, "PA"));
        assert_eq!(view.created_at, now());
        let connection = test.connection_of(first.account_id).await.unwrap();
        assert_eq!(connection.id, view.connection_id);
        assert_eq!((connection.broker.as_str(), connection.starting_cash), ("paper", Decimal::from(100_000)));
        assert_eq!(test.connection(connection.id).await.unwrap(), Some(connection));
        let again = test.bootstrap(&options()).await.unwrap();
        assert_eq!((again.user_id, again.account_id), (first.user_id, first.account_id));
        assert!(!again.was_created);
        assert_eq!(counts(test).await, (1, 1, 1));
    }

    async fn processes_that_start_at_once_make_one_superadmin(test: TestStore) {
        let starts: Vec<_> = [test.second().await, test.second().await, test.second().await, test.second().await]
            .into_iter()
            .map(|store| tokio::spawn(async move { store.bootstrap(&options()).await }))
            .collect();
        let mut created = 0;
        for start in starts {
            created += usize::from(start.await.unwrap().unwrap().was_created);
        }
        assert_eq!(created, 1);
        assert_eq!(counts(test).await, (1, 1, 1));
    }

    async fn a_start_leaves_a_user_as_administration_left_it(test: TestStore) {
        let user = test.create_user("admin@example.com", Role::Standard, now()).await.unwrap();
        test.set_user_active(user, false, now()).await.unwrap();
        let start = test.bootstrap(&options()).await.unwrap();
        assert_eq!((start.user_id, start.was_created), (user, true));
        let view = test.account_view(start.account_id).await.unwrap().unwrap();
        assert_eq!((view.role, view.user_is_active), (Role::Standard, false));
    }

    async fn a_user_s_accounts_come_the_oldest_first_and_nobody_else_s(test: TestStore) {
        let user = test.create_user("a@example.com", Role::Standard, now()).await.unwrap();
        test.trader(Role::Admin, Decimal::ONE).await;
        let mut made = Vec::new();
        for cash in [3, 1, 2] {
            made.push(test.create_account(user, Decimal::from(cash), now()).await.unwrap().account.0);
        }
        let listed: Vec<Uuid> = test.accounts_of(user).await.unwrap().iter().map(|row| row.id).collect();
        assert_eq!(listed, made);
    }

    async fn what_is_not_there_is_not_found(test: TestStore) {
        let nobody = UserId(Uuid::now_v7());
        let made = test.create_account(nobody, Decimal::ONE, now()).await;
        assert!(matches!(made, Err(StoreError::NotFound { table: "users" })), "{made:?}");
        assert!(test.set_user_active(nobody, true, now()).await.is_err());
        assert_eq!(test.user(nobody).await.unwrap(), None);
        assert_eq!(test.account_view(AccountId(Uuid::now_v7())).await.unwrap(), None);
        assert_eq!(counts(test).await, (0, 0, 0));
    }

    async fn an_account_without_its_balance_is_a_fault_and_not_a_poor_account(test: TestStore) {
        let trader = test.trader(Role::Standard, Decimal::ONE).await;
        store::entity::balances::Entity::delete_many().exec(test.write()).await.unwrap();
        let view = test.account_view(trader.account).await;
        assert!(matches!(view, Err(StoreError::Inconsistent { table: "balances", .. })), "{view:?}");
    }

    async fn the_view_of_an_account_is_one_query(test: TestStore) {
        let trader = test.trader(Role::Standard, Decimal::ONE).await;
        let before = test.statement_count();
        test.account_view(trader.account).await.unwrap();
        assert_eq!(test.statement_count() - before, 1);
    }

    async fn instruments_are_written_once_and_again_only_when_they_change(test: TestStore) {
        let mut listed = vec![asset("MSFT"), asset("AAPL"), asset("BTC/USD")];
        assert_eq!(test.upsert_assets(&listed).await.unwrap(), 3);
        assert_eq!(test.upsert_assets(&listed).await.unwrap(), 0);
        listed[1].tradable = false;
        listed[1].name = "Apple Inc.".into();
        assert_eq!(test.upsert_assets(&listed).await.unwrap(), 1);
        listed.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        assert_eq!(test.all_assets().await.unwrap(), listed);
    }

    async fn processes_that_start_at_once_agree_on_the_instruments(test: TestStore) {
        let listed: Vec<_> = (0..40).map(|n| asset(&format!("S{n}"))).collect();
        for round in 0..5 {
            let listed: Vec<_> = listed
                .iter()
                .map(|asset| domain::asset::Asset { name: format!("round {round}"), ..asset.clone() })
                .collect();
            let mut starts = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let (store, listed) = (test.second().await, listed.clone());
                starts.spawn(async move { store.upsert_assets(&listed).await });
            }
            while let Some(start) = starts.join_next().await {
                start.unwrap().unwrap();
            }
            assert!(test.all_assets().await.unwrap().iter().all(|asset| asset.name == format!("round {round}")));
        }
    }

    async fn thousands_of_instruments_fit(test: TestStore) {
        let listed: Vec<_> = (0..2_500).map(|n| asset(&format!("S{n}"))).collect();
        assert_eq!(test.upsert_assets(&listed).await.unwrap(), 2_500);
        assert_eq!(test.all_assets().await.unwrap().len(), 2_500);
    }
}
