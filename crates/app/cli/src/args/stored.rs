//! Commands about what the gateway keeps beside its configuration: price maps, and credentials in the store.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `prices`.
#[derive(Clone, Subcommand)]
pub(crate) enum Prices {
    /// Take LiteLLM's price map (model_prices_and_context_window.json) into the data directory, and print what changes. It is
    /// used from the next start or reload on.
    Update(PriceUpdate),
}

/// `prices update`.
#[derive(Clone, Args)]
pub(crate) struct PriceUpdate {
    /// Where the map is.
    #[arg(long, value_name = "FILE OR URL")]
    pub(crate) from: String,
}

/// `credentials`.
#[derive(Clone, Subcommand)]
pub(crate) enum Credentials {
    /// Seal models and credentials of the store anew, after LITELLM_SALT_KEY (or the master key, where there is no salt) has changed.
    Reseal(Reseal),
}

/// `credentials reseal`.
#[derive(Clone, Args)]
pub(crate) struct Reseal {
    /// The environment variable that holds the former key.
    #[arg(long, value_name = "NAME")]
    pub(crate) from_salt_env: String,
    /// The configuration file [env: CONFIG_FILE_PATH].
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
