//! The configuration, in LiteLLM's spelling: from the text of `config.yaml` to a typed [`Config`] and all findings.
//!
//! [`parse`] each file, [`File::includes`] and [`File::merge`], fetch what [`File::wanted_secrets`] names, [`resolve`],
//! [`check`]. Nothing here opens a file or reads the environment: the app does, and hands the values in.

mod check;
mod deployment_id;
mod duration;
mod fields;
mod file;
mod finding;
mod keys;
mod location;
mod nearest;
mod reference;
mod resolve;
mod schema;
mod stored;
mod typed;
mod yaml;

pub use check::{Checked, KnowsProvider, check};
pub use deployment_id::deployment_id;
pub use duration::{parse_duration, seconds_of};
pub use fields::TextMap;
pub use file::{File, parse};
pub use finding::{Finding, Severity};
pub use location::Location;
pub use reference::reference_markdown;
pub use resolve::{Resolved, resolve};
pub use schema::schema;
pub use stored::{StoredModel, stored_model};
pub use typed::{
    Budget, ClientDisconnect, ClientsideParam, Config, ContinuationSettings, Credential, EphemeralKeys, Failover,
    GeneralSettings, GroupAlias, HealthChecks, HedgingSettings, LitellmParams, LitellmSettings, ModelEntry,
    ModelHealth, ModelInfo, PassThroughEndpoint, RedisSettings, RouterSettings, Strategy,
};
pub use yaml::{MAX_DEPTH, MAX_EXPANDED_BYTES, MAX_FILE_BYTES};
