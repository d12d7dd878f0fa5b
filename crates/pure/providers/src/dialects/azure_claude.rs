//! Claude in Azure AI Foundry: Anthropic's words at a path of its own.

use http::{HeaderName, HeaderValue, header};
use tollgate_wire::{Failure, http::Outgoing};

use crate::{
    codec::ProviderDialect,
    dialects::{
        anthropic::{self, CloudSplice, Elsewhere},
        openai,
    },
    target::{Credential, Target},
};

/// The dialect of `/anthropic/v1/messages`.
pub static CLAUDE: Elsewhere = Elsewhere { lane: &LANE };

/// The dialect, if the model is Claude.
#[must_use]
pub fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    is_claude(target).then_some(&CLAUDE as &dyn ProviderDialect)
}

/// Whether this model takes the parameter.
#[must_use]
pub fn takes(name: &str, target: &Target) -> bool {
    if is_claude(target) { anthropic::takes(name, target) } else { openai::compatible_takes(name, target) }
}

fn is_claude(target: &Target) -> bool {
    target.model.to_ascii_lowercase().contains("claude")
}

fn url(base_url: &str) -> String {
    const PATH: &str = "/anthropic/v1/messages";
    let base = base_url.split('?').next().unwrap_or_default().trim_end_matches('/');
    if base.ends_with("/v1/messages") {
        return base.to_owned();
    }
    let root = ["/anthropic/v1", "/anthropic", "/models"].iter().find_map(|ending| base.strip_suffix(ending));
    format!("{}{PATH}", root.unwrap_or(base))
}

/// A request of Anthropic's as it goes out here.
fn sent_here(mut outgoing: Outgoing, target: &Target) -> Result<Outgoing, Failure> {
    outgoing.url = url(&target.base_url);
    let version = HeaderName::from_static("anthropic-version");
    outgoing.headers.entry(version).or_insert(HeaderValue::from_static("2023-06-01"));
    if let Credential::Key(key) = &target.credential {
        // Azure's name for it and Anthropic's: which one is read has changed.
        let value = crate::target::secret_value(key.expose())?;
        outgoing.headers.remove(header::AUTHORIZATION);
        outgoing.headers.insert("api-key", value.clone());
        outgoing.headers.insert("x-api-key", value);
    }
    Ok(outgoing)
}

static LANE: CloudSplice = CloudSplice { sent: sent_here, failure: anthropic::failure };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_where_it_is_missing() {
        let check = |base: &str| assert_eq!(url(base), "https://r.test/anthropic/v1/messages", "{base}");
        check("https://r.test");
        check("https://r.test/anthropic");
        check("https://r.test/models");
        check("https://r.test/anthropic/v1/messages");
    }
}
