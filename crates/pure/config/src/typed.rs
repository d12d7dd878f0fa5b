//! The configuration as the gateway uses it: typed, with LiteLLM's names.

mod budget;
mod continuation;
mod failover;
mod general;
mod health;
mod hedging;
mod litellm;
mod model;
mod params;
mod pass_through;
mod router;

pub use budget::Budget;
pub use continuation::ContinuationSettings;
pub use failover::Failover;
pub use general::GeneralSettings;
pub use health::{HealthChecks, ModelHealth};
pub use hedging::HedgingSettings;
pub use litellm::LitellmSettings;
pub use model::{ModelEntry, ModelInfo};
pub use params::{ClientsideParam, LitellmParams};
pub use pass_through::PassThroughEndpoint;
pub use router::{GroupAlias, RedisSettings, RouterSettings, Strategy};

use serde_json::{Map, Value as Json};

/// What to do with the provider call when the client has left (decision 29).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientDisconnect {
    /// Close the provider call at once.
    Cancel,
    /// Read it to its end for its usage.
    Drain,
}

impl ClientDisconnect {
    fn of(text: &str) -> Option<Self> {
        match text {
            "cancel" => Some(Self::Cancel),
            "drain" => Some(Self::Drain),
            _ => None,
        }
    }
}

/// Who may be given a provider's own ephemeral keys. What is done with one goes past the gateway, its limits and its meter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EphemeralKeys {
    /// Whoever holds the master key.
    #[default]
    Admin,
    /// Whoever may call.
    Everyone,
    /// Nobody.
    Nobody,
}

impl EphemeralKeys {
    fn of(text: &str) -> Option<Self> {
        match text {
            "admin" => Some(Self::Admin),
            "everyone" => Some(Self::Everyone),
            "nobody" => Some(Self::Nobody),
            _ => None,
        }
    }
}

/// One entry of `credential_list`; its values have been taken over by the deployments that name it.
#[derive(Clone)]
pub struct Credential {
    /// `credential_name`.
    pub credential_name: String,
    /// `credential_values`: secrets among them.
    pub credential_values: Map<String, Json>,
    /// `credential_info`.
    pub credential_info: Map<String, Json>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("credential_name", &self.credential_name).finish_non_exhaustive()
    }
}

/// A whole configuration.
#[derive(Clone, Default)]
pub struct Config {
    /// `model_list`, in order; the first is the default.
    pub models: Vec<ModelEntry>,
    /// `litellm_settings`.
    pub litellm: LitellmSettings,
    /// `general_settings`.
    pub general: GeneralSettings,
    /// `router_settings`.
    pub router: RouterSettings,
    /// `environment_variables`, without those that may not be set; secrets among them.
    pub environment: Vec<(String, String)>,
    /// `credential_list`.
    pub credentials: Vec<Credential>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Config")
            .field("models", &self.models)
            .field("litellm", &self.litellm)
            .field("general", &self.general)
            .field("router", &self.router)
            .field("environment", &names)
            .field("credentials", &self.credentials)
            .finish()
    }
}
