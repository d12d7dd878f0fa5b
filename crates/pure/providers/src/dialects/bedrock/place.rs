//! Where a Bedrock model is: `bedrock/[route/][region/][family/]<id or ARN>`.

use crate::{
    dialects::aws,
    locate::{Located, Site},
    resolve::Unservable,
};

/// Environment variables that hold a bearer key.
pub const KEY_ENV: &[&str] = &["AWS_BEARER_TOKEN_BEDROCK"];

/// What a model string after `bedrock/` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named<'m> {
    /// `converse` or `invoke`, where it says one.
    route: Option<&'static str>,
    region: Option<&'m str>,
    /// Whose model is behind an ARN that does not say it.
    family: Option<&'static str>,
    id: &'m str,
}

/// First words that choose how the model is spoken to, with the route they mean.
const ROUTES: &[(&str, &str)] = &[("converse/", "converse"), ("converse_like/", "converse"), ("invoke/", "invoke")];

/// First words that say whose model an ARN stands for: route and vendor.
const FAMILIES: &[(&str, &str, &str)] = &[
    ("llama/", "invoke", "meta"),
    ("deepseek_r1/", "invoke", "meta"),
    ("qwen2/", "invoke", "qwen"),
    ("qwen3/", "invoke", "qwen"),
    ("openai/", "invoke", "openai"),
    ("nova/", "converse", "amazon"),
    ("nova-2/", "converse", "amazon"),
];

/// Parts of prices' names that are no part of the model's.
const COMMITMENTS: &[&str] = &["1-month-commitment/", "6-month-commitment/"];

impl<'m> Named<'m> {
    fn read(model: &'m str) -> Self {
        let mut named = Self { id: model, ..Self::default() };
        loop {
            if let Some((word, route)) = ROUTES.iter().find(|(word, _)| named.id.starts_with(word)) {
                named.route = Some(route);
                named.id = named.id.strip_prefix(word).unwrap_or_default();
            } else if let Some((word, route, family)) = FAMILIES.iter().find(|(word, ..)| named.id.starts_with(word)) {
                named.route = named.route.or(Some(route));
                named.family = Some(family);
                named.id = named.id.strip_prefix(word).unwrap_or_default();
            } else if let Some(word) = COMMITMENTS.iter().find(|word| named.id.starts_with(**word)) {
                named.id = named.id.strip_prefix(word).unwrap_or_default();
            } else if let Some((region, rest)) = named.id.split_once('/').filter(|(region, _)| is_region(region)) {
                named.region = Some(region);
                named.id = rest;
            } else {
                break;
            }
        }
        named.region = named.region.or_else(|| arn_region(named.id));
        named
    }
}

/// `eu-west-1`, `us-gov-east-1`.
fn is_region(word: &str) -> bool {
    let mut parts = word.split('-');
    let first = parts.next().is_some_and(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_lowercase()));
    let parts: Vec<&str> = parts.collect();
    let number = parts.last().is_some_and(|part| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
    first && (2..=3).contains(&parts.len()) && number && aws::is_region(word)
}

/// The region in `arn:aws:bedrock:us-east-1:…`.
fn arn_region(id: &str) -> Option<&str> {
    id.strip_prefix("arn:")?.split(':').nth(2).filter(|region| aws::is_region(region))
}

/// The model's id in an ARN that names one: `…:inference-profile/us.anthropic…`, `…:foundation-model/…`.
fn named_by_arn(id: &str) -> Option<&str> {
    let resource = id.strip_prefix("arn:")?.splitn(5, ':').nth(4)?;
    let (kind, name) = resource.split_once('/')?;
    matches!(kind, "inference-profile" | "foundation-model").then_some(name)
}

/// Works out address, account and the model's two names: the one that facts are found by, and the one in paths.
///
/// # Errors
/// When half of a pair of keys is missing.
pub fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    let named = Named::read(site.model);
    let profile = site.settings.defaults.get("model_id").and_then(serde_json::Value::as_str);
    let region = aws::region(site, named.region.or_else(|| profile.and_then(arn_region)))?;
    let endpoint = site
        .text("aws_bedrock_runtime_endpoint", &["AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"]);
    let mut located = Located {
        model: named_by_arn(named.id).unwrap_or(named.id).to_owned(),
        credential: aws::account(site, &region, KEY_ENV)?,
        base_url: Some(endpoint.unwrap_or_else(|| aws::host("bedrock-runtime", &region))),
        ..Located::default()
    };
    // Error messages name the model as the configuration does.
    located.facts.insert("asked", site.model.to_owned());
    located.facts.insert("id", profile.unwrap_or(named.id).to_owned());
    located.facts.insert("region", region);
    for (name, value) in [("route", named.route), ("family", named.family)] {
        if let Some(value) = value {
            located.facts.insert(name, value.to_owned());
        }
    }
    Ok(located)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(model: &str, route: Option<&str>, region: Option<&str>, id: &str) {
        let named = Named::read(model);
        assert_eq!((named.route, named.region, named.id), (route, region, id), "{model}");
    }

    #[test]
    fn a_model_string_says_route_region_and_id_in_any_order() {
        check("anthropic.claude-v2:1", None, None, "anthropic.claude-v2:1");
        check("eu-west-1/meta.llama3", None, Some("eu-west-1"), "meta.llama3");
        check("us-gov-east-1/m", None, Some("us-gov-east-1"), "m");
        check("invoke/us.amazon.nova-micro-v1:0", Some("invoke"), None, "us.amazon.nova-micro-v1:0");
        check("converse/eu-west-1/m", Some("converse"), Some("eu-west-1"), "m");
        check("us-east-1/6-month-commitment/anthropic.claude-v1", None, Some("us-east-1"), "anthropic.claude-v1");
        let arn = "arn:aws:bedrock:us-east-2:123456789012:imported-model/abc";
        check(&format!("llama/{arn}"), Some("invoke"), Some("us-east-2"), arn);
        check("a-b/c", None, None, "a-b/c");
    }

    #[test]
    fn a_models_name_cannot_lead_to_another_host() {
        for region in
            ["evil.example/", "x@evil.example", "evil.example:443", "evil.example?", "evil.example#", "US-EAST-1"]
        {
            let arn = format!("arn:aws:bedrock:{region}:1:foundation-model/anthropic.claude-v2");
            check(&arn, None, None, &arn);
        }
        for word in ["us-x@evil.example#-1", "us-evil.example?-1"] {
            assert!(!is_region(word), "{word}");
        }
    }

    #[test]
    fn an_arn_that_names_a_model_gives_its_name() {
        let profile = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-v2:1";
        assert_eq!(named_by_arn(profile), Some("us.anthropic.claude-v2:1"));
        assert_eq!(named_by_arn("arn:aws:bedrock:us-east-1:1:application-inference-profile/x1"), None);
        assert_eq!(named_by_arn("meta.llama3"), None);
    }
}
