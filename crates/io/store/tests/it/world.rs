//! What a test begins with: a store on an empty database, which others may open too.

use tollgate_kit::{Postgres, TempFolder};
use tollgate_store::{EpochMs, Json, Key, NanoDollars, Place, Stamp, Store, StoreSettings};
use tollgate_wire::Secret;

/// The moment at which tests begin.
pub(crate) const NOW: EpochMs = EpochMs(1_700_000_000_000);

/// A database of its own, and a store on it.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) settings: StoreSettings,
    _folder: TempFolder,
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let folder = TempFolder::new();
        Self::at(Place::Sqlite(folder.path().join("tollgate.db")), folder).await
    }

    pub(crate) async fn postgres() -> Self {
        let database = Postgres::shared().database();
        Self::at(Place::Postgres(Secret::new(database)), TempFolder::new()).await
    }

    pub(crate) async fn memory() -> Self {
        Self::at(Place::Memory, TempFolder::new()).await
    }

    async fn at(place: Place, folder: TempFolder) -> Self {
        let settings = StoreSettings::at(place);
        let store = Store::open(&settings, NOW).await.unwrap();
        Self { store, settings, _folder: folder }
    }

    /// Another instance on the same database.
    pub(crate) async fn again(&self) -> Store {
        Store::open(&self.settings, NOW).await.unwrap()
    }

    /// Runs statements beside the store.
    pub(crate) async fn run(&self, sql: &'static str) {
        match &self.settings.place {
            Place::Postgres(url) => {
                let mut db = <sqlx::PgConnection as sqlx::Connection>::connect(url.expose()).await.unwrap();
                sqlx::raw_sql("SET search_path TO tollgate").execute(&mut db).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
            }
            Place::Sqlite(path) => {
                let url = format!("sqlite://{}", path.display());
                let mut db = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
            }
            Place::Memory => unreachable!("nobody else sees what is in memory"),
        }
    }
}

/// Each test on SQLite and on PostgreSQL.
macro_rules! both {
    ($(async fn $name:ident($world:ident: World) $body:block)+) => {
        $(async fn $name($world: $crate::world::World) $body)+

        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::world::World::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::world::World::postgres().await).await;
            })+
        }
    };
}
pub(crate) use both;

/// Somebody writes at a moment.
pub(crate) fn stamp(seconds: i64) -> Stamp {
    Stamp { at: later(seconds), by: Some("admin".to_owned()), audit: None }
}

/// So many seconds after the tests' beginning.
pub(crate) fn later(seconds: i64) -> EpochMs {
    EpochMs(NOW.0 + seconds * 1000)
}

/// A key with little in it.
pub(crate) fn key(name: &str) -> Key {
    Key { token: name.to_owned(), origin: format!("origin-{name}"), created_at: NOW, ..Key::default() }
}

pub(crate) fn json(text: &str) -> Option<Json> {
    Some(Json(text.to_owned()))
}

pub(crate) fn dollars(whole: i64) -> Option<NanoDollars> {
    Some(NanoDollars(whole * 1_000_000_000))
}

pub(crate) fn texts<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}
