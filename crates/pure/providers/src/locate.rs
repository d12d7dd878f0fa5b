//! Where a cloud's deployment lives: rows whose address, account or model name depend on more than a base URL and a key
//! (regions, projects, ARNs) work them out here, from the settings of the deployment and the environment.

use std::collections::BTreeMap;

use tollgate_wire::Secret;

use crate::{
    resolve::{Surroundings, TargetSettings, Unservable},
    target::Credential,
};

/// What a row works out.
#[derive(Debug, Default)]
pub struct Located {
    /// The model's name as the provider's paths and bodies have it.
    pub model: String,
    /// The address, if the row knows it; a configured `api_base` goes before it.
    pub base_url: Option<String>,
    /// The account, if it is not a plain key.
    pub credential: Option<Credential>,
    /// What the dialect needs to know beside: `region`, `project`, …. No secrets.
    pub facts: BTreeMap<&'static str, String>,
}

/// How a row works it out.
pub type Locate = fn(&Site<'_>) -> Result<Located, Unservable>;

/// What there is to work it out of.
pub struct Site<'a> {
    /// The model string after the provider's prefix.
    pub model: &'a str,
    /// The deployment's settings.
    pub settings: &'a TargetSettings,
    /// The environment, and the catalog.
    pub around: &'a Surroundings<'a>,
}

impl Site<'_> {
    /// A setting of the deployment (`aws_region_name`), else the first of these environment variables that is set.
    #[must_use]
    pub fn text(&self, name: &str, env: &[&str]) -> Option<String> {
        let own = self.settings.cloud.get(name).and_then(|value| match value {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Null => None,
            other => Some(other.to_string()),
        });
        own.filter(|text| !text.is_empty()).or_else(|| self.env(env))
    }

    /// As [`Self::text`], for what must not be shown.
    #[must_use]
    pub fn secret(&self, name: &str, env: &[&str]) -> Option<Secret> {
        self.text(name, env).map(Secret::new)
    }

    /// The first of these environment variables that is set.
    #[must_use]
    pub fn env(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| (self.around.env)(name).filter(|value| !value.is_empty()))
    }
}
