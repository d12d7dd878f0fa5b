//! What models there are: `/models`, `/model/info`, `/model_group/info`.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_policy::Caller;
use tollgate_wire::{Failure, FailureKind, secret::sounds_secret};

use crate::{deployment::Served, snapshot::Snapshot};

/// What `/v2/model/info` is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ModelInfoPage {
    /// A group.
    pub model: Option<String>,
    /// A deployment.
    #[serde(rename = "modelId")]
    pub id: Option<String>,
    /// Part of a name.
    pub search: Option<String>,
    /// Which page, from 1.
    pub page: Option<usize>,
    /// How many it has.
    pub size: Option<usize>,
}

/// `LiteLLM` and `OpenAI` put a moment here that nobody reads; clients expect the member.
const CREATED: u64 = 1_677_610_602;

impl Snapshot {
    /// `GET /models`: the names that clients may use. Patterns are listed as the models of their provider that the
    /// catalog knows, or as written with `return_wildcard_routes`.
    #[must_use]
    pub fn models(&self, caller: &Caller, patterns_as_written: bool) -> Value {
        let data: Vec<Value> = self.model_names(caller, patterns_as_written).iter().map(|name| model(name)).collect();
        json!({"data": data, "object": "list"})
    }

    /// `GET /models/{id}`.
    ///
    /// # Errors
    /// 404 for a name that means nothing here.
    pub fn model(&self, caller: &Caller, id: &str) -> Result<Value, Failure> {
        if self.shows(caller, id) && self.fleet.find(id).is_some() {
            return Ok(model(id));
        }
        let mut failure = Failure::new(FailureKind::InvalidRequest, format!("The model `{id}` does not exist"));
        failure.status = Some(404);
        Err(failure.with_param("model"))
    }

    fn model_names(&self, caller: &Caller, patterns_as_written: bool) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.fleet.names() {
            if !name.contains('*') && !self.shows(caller, name) {
                continue;
            }
            if !name.contains('*') {
                names.push(name.to_owned());
                continue;
            }
            if patterns_as_written {
                names.push(name.to_owned());
            }
            let provider = name.split('/').next().unwrap_or_default();
            if name.strip_prefix(provider) == Some("/*") {
                names.extend(self.catalog.of_provider(provider).map(|model| format!("{provider}/{model}")));
            } else if !patterns_as_written {
                names.push(name.to_owned());
            }
        }
        if caller.key().is_some() {
            names.retain(|name| self.shows(caller, name));
        }
        names
    }

    /// `GET /model/info`: every deployment, without secrets.
    #[must_use]
    pub fn model_info(&self, caller: &Caller, id: Option<&str>) -> Value {
        let wanted = |served: &&std::sync::Arc<Served>| {
            id.is_none_or(|id| *served.id == *id) && self.shows(caller, &served.group)
        };
        let data: Vec<Value> = self.served.iter().filter(wanted).map(|served| self.deployment_info(served)).collect();
        json!({ "data": data })
    }

    fn deployment_info(&self, served: &Served) -> Value {
        let mut info = without_secrets(served.facts(&self.catalog));
        info.extend(without_secrets(served.info.clone()));
        info.insert("id".to_owned(), served.id.as_ref().into());
        // The store says so of its own; what a file says of it is no matter.
        let is_stored = !self.origin.config.models.iter().any(|entry| *entry.id == *served.id);
        info.insert("db_model".to_owned(), is_stored.into());
        json!({"model_name": served.group, "litellm_params": served.params, "model_info": info})
    }

    /// `GET /v2/model/info`: the same in pages. `search` is part of a name, or of a model behind it.
    #[must_use]
    pub fn model_info_page(&self, caller: &Caller, wanted: &ModelInfoPage) -> Value {
        let fits = |served: &&std::sync::Arc<Served>| {
            let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
            let holds =
                |part: &str| served.group.to_lowercase().contains(part) || served.model.to_lowercase().contains(part);
            self.shows(caller, &served.group)
                && is(&wanted.model, &served.group)
                && is(&wanted.id, &served.id)
                && wanted.search.as_ref().is_none_or(|search| holds(&search.to_lowercase()))
        };
        let all: Vec<_> = self.served.iter().filter(fits).collect();
        let size = wanted.size.unwrap_or(50).clamp(1, 1000);
        let page = wanted.page.unwrap_or(1).max(1);
        let shown = all.iter().skip(page.saturating_sub(1).saturating_mul(size)).take(size);
        json!({
            "data": shown.map(|served| self.deployment_info(served)).collect::<Vec<Value>>(),
            "total_count": all.len(),
            "current_page": page,
            "total_pages": all.len().div_ceil(size),
            "size": size,
        })
    }

    /// `GET /model_group/info`: what the deployments of each group can do together.
    #[must_use]
    pub fn model_groups(&self, caller: &Caller, wanted: Option<&str>) -> Value {
        let names =
            self.fleet.names().filter(|name| wanted.is_none_or(|wanted| wanted == *name) && self.shows(caller, name));
        let data: Vec<Value> = names.filter_map(|name| self.group_info(name)).collect();
        json!({ "data": data })
    }

    fn group_info(&self, name: &str) -> Option<Value> {
        let group = self.fleet.find(name)?;
        let members: Vec<&Served> =
            group.members.iter().filter_map(|index| self.served.get(*index)).map(AsRef::as_ref).collect();
        let facts: Vec<Map<String, Value>> = members
            .iter()
            .map(|served| {
                let mut facts = served.facts(&self.catalog);
                facts.extend(served.info.clone());
                facts
            })
            .collect();
        let mut providers: Vec<&str> = members.iter().map(|served| served.provider_name(&self.catalog)).collect();
        providers.dedup();
        let largest = |fact: &str| facts.iter().filter_map(|facts| facts.get(fact)?.as_f64()).reduce(f64::max);
        let any = |fact: &str| facts.iter().any(|facts| facts.get(fact).and_then(Value::as_bool) == Some(true));
        let mode = facts.iter().find_map(|facts| facts.get("mode")?.as_str()).unwrap_or("chat");
        let mut info = json!({
            "model_group": name,
            "providers": providers,
            "max_input_tokens": largest("max_input_tokens"),
            "max_output_tokens": largest("max_output_tokens"),
            "input_cost_per_token": largest("input_cost_per_token"),
            "output_cost_per_token": largest("output_cost_per_token"),
            "mode": mode,
        });
        if let Some(info) = info.as_object_mut() {
            for ability in ABILITIES {
                info.insert((*ability).to_owned(), any(ability).into());
            }
        }
        Some(info)
    }
}

/// Abilities that a group's entry tells (surface appendix B.13).
const ABILITIES: &[&str] = &[
    "supports_parallel_function_calling",
    "supports_vision",
    "supports_web_search",
    "supports_url_context",
    "supports_reasoning",
    "supports_function_calling",
];

/// `model_info` without members that are secrets by the look of their names; people write what they like there.
pub(crate) fn without_secrets(mut members: Map<String, Value>) -> Map<String, Value> {
    // Numbers and flags are limits, prices and abilities: `token_limit`, `input_cost_per_token`.
    members.retain(|name, value| value.is_number() || value.is_boolean() || !sounds_secret(name));
    members.values_mut().for_each(clean);
    members
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(members) => *members = without_secrets(std::mem::take(members)),
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": CREATED, "owned_by": "openai"})
}
