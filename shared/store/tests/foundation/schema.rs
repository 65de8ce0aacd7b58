//! Migrated from nothing, a database has the tables and columns of the entities, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use migrations::Migrator;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Iden, Iterable, Statement};
use store::Store;
use store::entity;
use store::testing::TestStore;

type Tables = BTreeMap<String, BTreeSet<String>>;

async fn tables_of(store: &Store) -> Tables {
    let sql = match store.backend() {
        DbBackend::Postgres => {
            "SELECT table_name::text AS t, column_name::text AS c FROM information_schema.columns
             WHERE table_schema = 'public'"
        }
        _ => {
            "SELECT m.name AS t, p.name AS c FROM sqlite_master m JOIN pragma_table_info(m.name) p
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        }
    };
    let rows = store
        .read()
        .query_all_raw(Statement::from_string(store.backend(), sql))
        .await
        .unwrap();
    let mut tables = Tables::new();
    for row in rows {
        let table: String = row.try_get("", "t").unwrap();
        tables
            .entry(table)
            .or_default()
            .insert(row.try_get("", "c").unwrap());
    }
    tables.remove("arbion_migrations");
    // A sequence on PostgreSQL.
    tables.remove("work_fences");
    tables
}

fn columns<E: EntityTrait>(_: E) -> BTreeSet<String> {
    E::Column::iter().map(|column| column.to_string()).collect()
}

macro_rules! entities {
    ($($name:ident)+) => {
        [$((stringify!($name).to_owned(), columns(entity::$name::Entity))),+]
    };
}

/// Reads every table by its entity, which fails where a column is of another type than its field.
macro_rules! read_all {
    ($store:expr, $($name:ident)+) => {
        $(entity::$name::Entity::find().all($store.read()).await.unwrap();)+
    };
}

store::testing::on_both! {
    async fn the_migrations_make_the_tables_of_the_entities(test: TestStore) {
        let entities = Tables::from(entities! {
            account_days accounts assets audit_anchors audit_chains audit_events audit_heads audit_seals
            balances broker_attempts broker_connections broker_cursors broker_secrets credentials fills
            idempotency_keys leases oauth_clients oauth_codes oauth_grants oauth_tokens order_events order_work
            orders positions price_marks reservations sessions sweeps trigger_exits triggers user_days users
        });
        assert_eq!(tables_of(test).await, entities);
        let listed: BTreeSet<String> = entity::TABLES.iter().map(ToString::to_string).collect();
        assert_eq!(listed, entities.into_keys().collect());
        read_all!(test, account_days accounts assets audit_anchors audit_chains audit_events audit_heads audit_seals
            balances broker_attempts broker_connections broker_cursors broker_secrets credentials fills
            idempotency_keys leases oauth_clients oauth_codes oauth_grants oauth_tokens order_events order_work
            orders positions price_marks reservations sessions sweeps trigger_exits triggers user_days users);
    }

    async fn nothing_is_pending_after_a_migration_and_running_it_again_changes_nothing(test: TestStore) {
        assert_eq!(migrations::pending::<Migrator>(test.read()).await.unwrap(), Vec::<String>::new());
        assert_eq!(migrations::migrate::<Migrator>(test.write()).await.unwrap(), Vec::<String>::new());
        assert_eq!(test.missing_tables().await.unwrap(), Vec::<&str>::new());
    }

    async fn processes_that_start_at_once_migrate_once(test: TestStore) {
        forget_everything(test).await;
        let names = migrations::pending::<Migrator>(test.read()).await.unwrap();
        assert_eq!(names[0], "m20261124_000001_schema");
        assert_eq!(test.missing_tables().await.unwrap().len(), entity::TABLES.len());
        let processes = [test.second().await, test.second().await, test.second().await];
        let [first, second, third] = &processes;
        let applied = tokio::join!(
            migrations::migrate::<Migrator>(first.write()),
            migrations::migrate::<Migrator>(second.write()),
            migrations::migrate::<Migrator>(third.write()),
        );
        let mut applied: Vec<_> = [applied.0, applied.1, applied.2].into_iter().map(Result::unwrap).collect();
        applied.sort();
        assert_eq!(applied, [vec![], vec![], names]);
        assert_eq!(test.missing_tables().await.unwrap(), Vec::<&str>::new());
    }

    async fn a_newer_program_s_migrations_do_not_concern_this_one(test: TestStore) {
        let newer = "INSERT INTO arbion_migrations (version, applied_at) VALUES ('m29991231_000001_newer', 0)";
        test.write().execute_unprepared(newer).await.unwrap();
        assert_eq!(migrations::pending::<Migrator>(test.read()).await.unwrap(), Vec::<String>::new());
        assert_eq!(migrations::migrate::<Migrator>(test.write()).await.unwrap(), Vec::<String>::new());
    }

    async fn unknown_words_are_refused_by_the_database_itself(test: TestStore) {
        let id = if test.backend() == DbBackend::Postgres { "gen_random_uuid()" } else { "randomblob(16)" };
        for (role, is_fine) in [("admin", true), ("king", false)] {
            let sql = format!(
                "INSERT INTO users (id, email, role, is_active, created_at)
                 VALUES ({id}, '{role}@example.com', '{role}', 'true', '2026-11-24 00:00:00+00:00')"
            );
            let sql = if test.backend() == DbBackend::Sqlite { sql.replace("'true'", "1") } else { sql };
            assert_eq!(test.write().execute_unprepared(&sql).await.is_ok(), is_fine, "{role}");
        }
    }
}

async fn forget_everything(store: &Store) {
    if store.backend() == DbBackend::Postgres {
        store
            .write()
            .execute_unprepared("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            .await
            .unwrap();
        return;
    }
    let tables = entity::TABLES.iter().chain(&["work_fences", "arbion_migrations"]);
    let drops: Vec<String> = tables.map(|table| format!("DROP TABLE {table};")).collect();
    let drops = format!(
        "PRAGMA foreign_keys = OFF; {} PRAGMA foreign_keys = ON;",
        drops.concat()
    );
    store.write().execute_unprepared(&drops).await.unwrap();
}
