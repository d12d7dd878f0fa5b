//! Where keys and spend are kept: the database that is configured, else a SQLite file in the data directory (decision 5).

use std::{os::unix::fs::DirBuilderExt as _, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use tollgate_config::Config;
use tollgate_gateway::KeyBounds;
use tollgate_journal::{FaultyDisk, Found, Journal, JournalError, RealDisk, Settings};
use tollgate_store::{EpochMs, Place, Store, StoreSettings};
use tollgate_wire::{
    Secret,
    clock::{Clock, Random},
};

use crate::{
    args::Options,
    environment::{Environment, get},
    out,
};

/// Where the data directory is if nobody says.
const DATA_DIR: &str = "tollgate-data";
/// The database in it.
const DATABASE: &str = "tollgate.db";
/// What a journal in memory may take while the store does not take it over.
const MEMORY_MOST: u64 = 256 << 20;
/// What `--data-dir` says where nothing is to be kept.
const NOWHERE: &str = "none";

/// Opens the store, and says how long keys are remembered.
pub(crate) async fn open(
    options: &Options,
    config: &Config,
    environment: &Environment,
    clock: &dyn Clock,
) -> anyhow::Result<(Arc<Store>, KeyBounds)> {
    let place = place(options, config, environment)?;
    let shown = match &place {
        Place::Sqlite(file) => file.display().to_string(),
        Place::Memory => "memory".to_owned(),
        Place::Postgres(_) => "the database of database_url".to_owned(),
    };
    if matches!(place, Place::Memory) {
        out::aside("tollgate: --data-dir none: keys and spend are gone when this process ends");
    }
    let mut settings = StoreSettings::at(place);
    if let Some(most) = config.general.database_connection_pool_limit {
        settings.max_connections = u32::try_from(most).unwrap_or(u32::MAX).clamp(2, 1000);
    }
    let now = EpochMs(i64::try_from(clock.unix().as_millis()).unwrap_or(i64::MAX));
    let opened = Store::open(&settings, now).await.with_context(|| format!("{shown} cannot be opened as the store"))?;
    Ok((Arc::new(opened), bounds(config)))
}

fn bounds(config: &Config) -> KeyBounds {
    let (general, default) = (&config.general, KeyBounds::default());
    KeyBounds {
        most: general.user_api_key_cache_max_size.unwrap_or(default.most),
        ttl: general.user_api_key_cache_ttl.unwrap_or(default.ttl),
        stale_ttl: general.stale_key_ttl.unwrap_or(default.stale_ttl),
        outlive_store: general.allow_requests_on_db_unavailable,
        patience: general.key_lookup_wait.unwrap_or(default.patience),
    }
}

fn place(options: &Options, config: &Config, environment: &Environment) -> anyhow::Result<Place> {
    let of_environment = || get(environment, "DATABASE_URL").map(Secret::new);
    let url = config.general.database_url.clone().or_else(of_environment).filter(|url| !url.expose().is_empty());
    if let Some(url) = url {
        return named(&url);
    }
    Ok(data_dir(options, environment)?.map_or(Place::Memory, |folder| Place::Sqlite(folder.join(DATABASE))))
}

/// The data directory, made if it is not there; none: nothing is to be kept.
fn data_dir(options: &Options, environment: &Environment) -> anyhow::Result<Option<PathBuf>> {
    let stated = options.start.data_dir.clone();
    let folder = stated.or_else(|| get(environment, "TOLLGATE_DATA_DIR").map(PathBuf::from));
    let folder = folder.unwrap_or_else(|| PathBuf::from(DATA_DIR));
    if folder.as_os_str() == NOWHERE {
        return Ok(None);
    }
    // Spend and the hashes of keys are nobody else's matter.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| {
        let folder = folder.display();
        format!("the data directory {folder} cannot be made; name another with --data-dir, or `--data-dir none` to keep nothing")
    })?;
    Ok(Some(folder))
}

/// Where attempts are written down, with what ended processes have left there; in memory without a data directory, and where it
/// cannot be written and keys and spend are elsewhere (decision 28).
pub(crate) fn journal(
    options: &Options,
    config: &Config,
    environment: &Environment,
    random: &dyn Random,
    clock: &dyn Clock,
) -> anyhow::Result<(Journal, Vec<Found>)> {
    let mut bytes = [0; 10];
    random.fill(&mut bytes);
    let millis = u64::try_from(clock.unix().as_millis()).unwrap_or(u64::MAX);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
    match on_disk(options, environment, id) {
        Ok(Some(opened)) => Ok(opened),
        Ok(None) => in_memory(id),
        Err(error)
            if may_be_without(&error) && matches!(place(options, config, environment), Ok(Place::Postgres(_))) =>
        {
            out::aside(&format!(
                "warning: {error:#}. Without it there is NO CRASH PROMISE: what calls cost that have not reached the database is lost \
                 if this process dies"
            ));
            in_memory(id)
        }
        Err(error) => Err(error),
    }
}

/// Nothing of it outlives the process, so nothing is kept that is in the store.
fn in_memory(id: uuid::Uuid) -> anyhow::Result<(Journal, Vec<Found>)> {
    let (keep_bytes, keep_for) = (0, std::time::Duration::ZERO);
    let settings = Settings { keep_bytes, keep_for, most_bytes: MEMORY_MOST, ..Settings::default() };
    Journal::open(Arc::new(FaultyDisk::new()), settings, id).context("a journal in memory")
}

fn on_disk(
    options: &Options,
    environment: &Environment,
    id: uuid::Uuid,
) -> anyhow::Result<Option<(Journal, Vec<Found>)>> {
    let Some(folder) = data_dir(options, environment)? else { return Ok(None) };
    let settings = Settings { accept_damage: options.start.accept_journal_damage, ..Settings::default() };
    let opened = Journal::open(Arc::new(RealDisk::new(&folder)), settings, id);
    opened.map(Some).with_context(|| format!("the journal in {} cannot be opened", folder.display()))
}

/// The folder cannot be made or written. Damage, and a file system whose promises mean nothing, are for people to look at.
fn may_be_without(error: &anyhow::Error) -> bool {
    !matches!(error.downcast_ref::<JournalError>(), Some(JournalError::Damaged { .. } | JournalError::Remote))
}

fn named(url: &Secret) -> anyhow::Result<Place> {
    let text = url.expose();
    if text.starts_with("postgresql://") || text.starts_with("postgres://") {
        return Ok(Place::Postgres(url.clone()));
    }
    match text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
        Some(file) if !file.is_empty() => Ok(Place::Sqlite(PathBuf::from(file))),
        // The address is not shown: it may hold a password.
        _ => bail!("database_url (or DATABASE_URL) must begin with postgresql:// or sqlite://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_kind_of_database() {
        let of = |text: &str| named(&Secret::new(text));
        assert!(matches!(of("postgres://u:p@h/d").unwrap(), Place::Postgres(_)));
        assert!(matches!(of("sqlite:///var/t.db").unwrap(), Place::Sqlite(file) if file.as_os_str() == "/var/t.db"));
        let refused = of("mysql://user:word@host/d").unwrap_err().to_string();
        assert!(refused.contains("postgresql://") && !refused.contains("word"), "{refused}");
    }
}
