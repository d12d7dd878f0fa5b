//! Which Redis the instances share their state through: `router_settings.redis_*`, else the environment's `REDIS_*`.

use std::sync::Arc;

use anyhow::Context as _;
use tollgate_config::Config;
use tollgate_gateway::{LimitSharing, Sharing};
use tollgate_kv::{Address, Kv};
use tollgate_wire::{Secret, clock::Clock};

use crate::environment::{Environment, get};

/// What is shared, if a Redis is named.
pub(crate) fn of(
    config: &Config,
    environment: &Environment,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<Sharing>> {
    let Some(address) = address(config, environment)? else { return Ok(None) };
    let kv = Kv::new(&address, Arc::clone(clock)).context("router_settings.redis_url or REDIS_URL")?;
    let router = &config.router;
    let interval = router.share_interval.unwrap_or(INTERVAL);
    let sharing = Sharing::new(kv, interval, router.share_namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned()));
    let (kv, default) = (Kv::new(&address, Arc::clone(clock))?, LimitSharing::default());
    let limits = LimitSharing {
        patience: config.general.limit_redis_wait.unwrap_or(default.patience).max(SHORTEST),
        lease: config.general.limit_slot_lease.unwrap_or(default.lease).max(SHORTEST_LEASE),
    };
    Ok(Some(sharing.with_limits(kv, limits, Arc::clone(clock))))
}

/// How often instances tell each other.
const INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);
/// So long a call waits for Redis at least, and keeps its place under a limit.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(1);
const SHORTEST_LEASE: std::time::Duration = std::time::Duration::from_secs(1);
/// What keys begin with.
const NAMESPACE: &str = "tollgate";

/// The configuration's URL or host, else the environment's; what either leaves out the environment fills in.
fn address(config: &Config, environment: &Environment) -> anyhow::Result<Option<Address>> {
    let own = &config.router.redis;
    let variable = |name: &str| get(environment, name);
    let secret = |name: &str| variable(name).map(Secret::new);
    let url = own.url.clone().or_else(|| if own.host.is_some() { None } else { secret("REDIS_URL") });
    let host = own.host.as_deref().or_else(|| variable("REDIS_HOST"));
    if url.is_none() && host.is_none() {
        return Ok(None);
    }
    let port = match (own.port, variable("REDIS_PORT")) {
        (Some(port), _) => Some(u16::try_from(port).context("router_settings.redis_port is no port")?),
        (None, Some(port)) => Some(port.parse().context("REDIS_PORT is no port")?),
        (None, None) => None,
    };
    let database = match (own.db, variable("REDIS_DB")) {
        (Some(number), _) => {
            Some(i64::try_from(number).context("router_settings.redis_db is no number of a database")?)
        }
        (None, Some(number)) => Some(number.parse().context("REDIS_DB is no number of a database")?),
        (None, None) => None,
    };
    Ok(Some(Address {
        url,
        host: host.unwrap_or_default().to_owned(),
        port,
        user: variable("REDIS_USERNAME").map(str::to_owned),
        password: own.password.clone().or_else(|| secret("REDIS_PASSWORD")),
        database,
        tls: variable("REDIS_SSL").is_some_and(|on| on.eq_ignore_ascii_case("true") || on == "1"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, environment: &[(&str, &str)]) -> Option<Address> {
        let file = tollgate_config::parse("config.yaml", config).unwrap();
        let config = tollgate_config::check(tollgate_config::resolve(file, &|_| None), &|_| Ok(())).config.unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        address(&config, &environment).unwrap()
    }

    #[test]
    fn the_configuration_comes_before_the_environment_which_fills_in() {
        assert!(found("model_list: []", &[("REDIS_PASSWORD", "word")]).is_none());
        let of_environment = [("REDIS_HOST", "far"), ("REDIS_PORT", "16337"), ("REDIS_PASSWORD", "")];
        let address = found("model_list: []", &of_environment).unwrap();
        assert_eq!((address.host.as_str(), address.port, address.password.is_none()), ("far", Some(16337), true));
        let own = "router_settings: {redis_host: near, redis_port: 7000, redis_db: 2}";
        let address = found(own, &[("REDIS_URL", "redis://far"), ("REDIS_PASSWORD", "word")]).unwrap();
        assert_eq!((address.host.as_str(), address.port, address.database), ("near", Some(7000), Some(2)));
        assert!(address.url.is_none());
        assert_eq!(address.password.as_ref().map(Secret::expose), Some("word"));
    }
}
