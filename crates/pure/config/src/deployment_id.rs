//! The id of a deployment: stable while its keys rotate, different for deployments that differ.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use crate::{fields::Fields, keys::Kind, typed::ModelEntry};

/// The id of `entry` (decision 17): `model_info.id` if there is one, else 64 hex digits over the group's name and the
/// parameters that are no secret, in any order. `ordinal` counts, from 0, the earlier entries that are equal but for secrets.
#[must_use]
pub fn deployment_id(entry: &ModelEntry, ordinal: usize) -> String {
    if let Some(id) = &entry.info.id {
        return id.clone();
    }
    let mut hash = Sha256::new();
    hash.update(identity(entry));
    if ordinal > 0 {
        hash.update(format!("\n{ordinal}"));
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What makes a deployment itself, secrets apart: the text that is hashed.
pub(crate) fn identity(entry: &ModelEntry) -> String {
    let sorted: BTreeMap<&String, &Json> = entry.params.given.iter().collect();
    let params: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}\n{}", entry.model_name, params.join("\n"))
}

/// What `/model/info` may show of a deployment's parameters: no secrets, no values of headers.
pub(crate) fn public_part(fields: &Fields<'_>) -> Map<String, Json> {
    let shown = |name: &str| match fields.knows(name).map(|known| known.kind) {
        Some(Kind::Secret) => false,
        // The table knows that `bos_token` is no secret.
        Some(Kind::Text | Kind::Flag | Kind::Whole | Kind::Number | Kind::Seconds | Kind::Texts) => true,
        _ => !is_secret_name(name),
    };
    let mut public = fields.collect(shown);
    for (name, value) in &mut public {
        match name.as_str() {
            "headers" | "extra_headers" => hide_values(value),
            "api_base" | "base_url" => hide_userinfo(value),
            _ => drop_secrets(value),
        }
    }
    public
}

fn hide_values(headers: &mut Json) {
    for value in headers.as_object_mut().into_iter().flat_map(Map::values_mut) {
        *value = Json::String("[hidden]".to_owned());
    }
}

fn hide_userinfo(address: &mut Json) {
    let Json::String(text) = address else { return };
    let Some((scheme, rest)) = text.split_once("://") else { return };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((authority, path)) = rest.split_at_checked(end) else { return };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !is_secret_name(pair.split('=').next().unwrap_or_default())).collect();
    let query = kept.join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    *text = format!("{scheme}://{host}{}{mark}{query}", path.trim_end_matches('/'));
}

fn drop_secrets(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.retain(|name, _| !is_secret_name(name));
            map.values_mut().for_each(drop_secrets);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_secrets),
        _ => {}
    }
}

/// Whether a thing of this name is a secret by the look of it.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    // `input_cost_per_token` is no token.
    if name.contains("_cost_") {
        return false;
    }
    let whole = [
        "key",
        "token",
        "secret",
        "password",
        "authorization",
        "cookie",
        "sig",
        "signature",
        "credentials",
        "database_url",
    ];
    let ends =
        ["_key", "apikey", "_token", "_secret", "_password", "_credentials", "_key_id", "_authorization", "_cookie"];
    whole.contains(&name.as_str()) || ends.iter().any(|end| name.ends_with(end))
}
