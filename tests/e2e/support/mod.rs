//! What the promises are proved with: real processes, real databases, a plain HTTP client.
//!
//! | module | gives |
//! |---|---|
//! | [`environment`] | what `./test` tells the tests |
//! | [`process`] | one process: its output, its signals, its end |
//! | [`redis`], [`postgres`] | private servers, and a database on the tests' PostgreSQL |
//! | [`place`] | where an installation keeps its data: a directory, or a database and a Redis |
//! | [`site`] | an installation: the processes of a set-up around one place |
//! | [`client`] | HTTP with the site's API key |
//! | [`consent`] | people in a browser, by plain HTTP: they register, log in, and let an app act |
//! | [`bot`] | an app, as the server knows it: its requests, without a library |
//! | [`raw`] | requests byte for byte |
//! | [`broker`] | a broker that does what a test says, and its journal |
//! | [`browser`] | a headless Chromium: what a person sees, and does with the keyboard alone |
//! | [`elsewhere`] | a page of another origin, and what it is asked for |
//! | [`person`] | what a person does on our pages, and the app that they connect |
//! | [`books`] | what the databases say: conservation, and checksums |

pub(crate) mod books;
pub(crate) mod bot;
pub(crate) mod broker;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod consent;
pub(crate) mod elsewhere;
pub(crate) mod environment;
pub(crate) mod person;
pub(crate) mod place;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod site;
pub(crate) mod wait;

pub(crate) use books::{audit, checksums};
pub(crate) use client::{Answer, Client};
pub(crate) use place::SetUp;
pub(crate) use site::{Role, Site};
pub(crate) use wait::eventually;

/// The repository.
pub(crate) fn repository() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes of each function two tests: on SQLite, all in one process; and as three processes on PostgreSQL and Redis.
macro_rules! on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($set_up:ident: SetUp) $body:block)+) => {
        $($(#[$attribute])* async fn $name($set_up: $crate::support::SetUp) $body)+

        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::support::SetUp::Sqlite).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::support::SetUp::Postgres).await;
                }
            )+
        }
    };
}
pub(crate) use on_both;
