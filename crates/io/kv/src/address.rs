//! Where Redis is, as configurations say it.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};
use tollgate_wire::Secret;

use crate::kv::KvError;

/// Redis's own port.
const PORT: u16 = 6379;

/// Where Redis is, and who we are there.
#[derive(Clone, Debug, Default)]
pub struct Address {
    /// `redis://` or, with TLS, `rediss://[user:password@]host[:port][/database]`. What it says comes before the rest.
    pub url: Option<Secret>,
    /// The host; without a URL.
    pub host: String,
    /// The port; 6379 where it is not said.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
    /// The password; also for a URL that has none.
    pub password: Option<Secret>,
    /// The number of the database.
    pub database: Option<i64>,
    /// With TLS; without a URL.
    pub tls: bool,
}

impl Address {
    /// As the library wants it.
    pub(crate) fn info(&self) -> Result<ConnectionInfo, KvError> {
        let info = match &self.url {
            // The library's own words may hold the URL, and with it the password.
            Some(url) => url.expose().into_connection_info().map_err(|_| KvError::Address)?,
            None if self.host.is_empty() => return Err(KvError::Address),
            None => {
                let (host, port) = (self.host.clone(), self.port.unwrap_or(PORT));
                let address = if self.tls {
                    ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
                } else {
                    ConnectionAddr::Tcp(host, port)
                };
                address.into_connection_info().map_err(|_| KvError::Address)?
            }
        };
        let settings = self.fill(info.redis_settings().clone());
        Ok(info.set_redis_settings(settings))
    }

    fn fill(&self, mut settings: RedisConnectionInfo) -> RedisConnectionInfo {
        if let (None, Some(user)) = (settings.username(), &self.user) {
            settings = settings.set_username(user);
        }
        if let (None, Some(password)) = (settings.password(), &self.password) {
            settings = settings.set_password(password.expose());
        }
        if let (0, Some(database)) = (settings.db(), self.database) {
            settings = settings.set_db(database);
        }
        // It says who we are in a command that old servers and some clouds refuse.
        settings.set_skip_set_lib_name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text))
    }

    #[test]
    fn a_url_says_everything_and_the_rest_fills_what_it_leaves_out() {
        let url = secret("rediss://ann:p%40ss@cache.example:7000/3");
        let info = Address { url, password: secret("other"), ..Address::default() }.info().unwrap();
        assert!(
            matches!(info.addr(), ConnectionAddr::TcpTls { host, port: 7000, insecure: false, .. } if host == "cache.example")
        );
        let redis = info.redis_settings();
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("ann"), Some("p@ss"), 3));
        let filled =
            Address { url: secret("redis://cache"), password: secret("word"), database: Some(2), ..Address::default() };
        let info = filled.info().unwrap();
        assert_eq!((info.redis_settings().password(), info.redis_settings().db()), (Some("word"), 2));
    }

    #[test]
    fn a_host_has_the_port_of_redis_unless_it_says_another() {
        let plain = Address { host: "cache".to_owned(), ..Address::default() };
        assert_eq!(plain.info().unwrap().addr(), &ConnectionAddr::Tcp("cache".to_owned(), 6379));
        let tls = Address { port: Some(1), tls: true, ..plain };
        assert!(matches!(tls.info().unwrap().addr(), ConnectionAddr::TcpTls { port: 1, insecure: false, .. }));
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for wrong in ["http://host", "redis//:word@", ""] {
            let refused = Address { url: secret(wrong), ..Address::default() }.info().unwrap_err();
            assert_eq!(refused.to_string(), KvError::Address.to_string());
        }
        assert!(Address::default().info().is_err());
    }
}
