//! Which models a caller may use, and what he means by their names.

use tollgate_policy::{Caller, Key, ModelFacts};
use tollgate_router::{Group, nearest};
use tollgate_wire::{Failure, FailureKind};

use crate::{routing::OwnFallbacks, snapshot::Snapshot};

/// The group that a caller means by a name, if he may use it; `path` is for the words of a refusal.
///
/// # Errors
/// 400 for a name that means nothing, with the nearest that he may use; 403 for a model that he may not use.
pub(crate) fn group_for<'s>(
    snapshot: &'s Snapshot,
    caller: &Caller,
    path: &str,
    asked: &str,
) -> Result<Group<'s>, Failure> {
    let group = find(snapshot, caller, path, asked)?;
    if let Some(key) = caller.key() {
        snapshot.admit(key, key.meant(asked), &group)?;
    }
    Ok(group)
}

fn find<'s>(snapshot: &'s Snapshot, caller: &Caller, path: &str, asked: &str) -> Result<Group<'s>, Failure> {
    let none = || {
        Failure::new(
            FailureKind::UnknownModel,
            "no model is configured; start with --model <provider>/<model> or a model_list in the config",
        )
    };
    if asked.is_empty() {
        return snapshot.fleet.default_group().ok_or_else(none);
    }
    let meant = caller.key().map_or(asked, |key| key.meant(asked));
    if let Some(group) = snapshot.fleet.find(meant) {
        return Ok(group);
    }
    if snapshot.forgives_unknown_names() {
        return snapshot.fleet.default_group().ok_or_else(none);
    }
    let mut words = format!(
        "{path}: Invalid model name passed in model={asked}. Call `/v1/models` to view available models for your key."
    );
    // Nobody mistypes a name of this length, and comparing takes the square of it.
    let names = snapshot.fleet.names().filter(|name| snapshot.shows(caller, name));
    let near = if asked.len() <= 256 { nearest(asked, names, 3) } else { Vec::new() };
    if !near.is_empty() {
        words.push_str(" Did you mean ");
        words.push_str(&near.join(", "));
        words.push('?');
    }
    let mut failure = Failure::new(FailureKind::UnknownModel, words);
    // LiteLLM's clients find the words here as well.
    failure.provider_fields = Some(Box::new(serde_json::json!({"error": failure.message})));
    Err(failure)
}

/// Whether the caller may use what his request names as its fallbacks.
///
/// # Errors
/// 403 for the first that he may not use.
pub(crate) fn admit_fallbacks(snapshot: &Snapshot, caller: &Caller, own: &OwnFallbacks) -> Result<(), Failure> {
    let Some(key) = caller.key().filter(|key| key.is_confined()) else { return Ok(()) };
    own.models().try_for_each(|model| match snapshot.fleet.find(&model) {
        Some(group) => snapshot.admit(key, &model, &group).map_err(|failure| failure.with_param("fallbacks")),
        None => Ok(()),
    })
}

/// Whether a call that is passed on to these providers may name this model. What is asked of a key with a list of models
/// must be known: a request that hides its model could be for any.
///
/// # Errors
/// 403 for a model that the key may not use, or a call that names none.
pub(crate) fn admit_passed(
    caller: &Caller,
    providers: &[&str],
    model: Option<&str>,
    is_call: bool,
) -> Result<(), Failure> {
    let Some(key) = caller.key() else { return Ok(()) };
    match model {
        Some(model) => {
            key.admit_model(&ModelFacts { asked: key.meant(model), group: model, access_groups: &[], providers })
        }
        None if is_call && key.is_confined() => {
            let words = "this key is for stated models, and the request names none; name it as `model` in a JSON body or \
                         in the path, or use the gateway's own routes";
            Err(Failure::new(FailureKind::ModelAccessDenied, words).with_param("model"))
        }
        None => Ok(()),
    }
}

impl Snapshot {
    /// Whether the key may use the group under this name.
    ///
    /// # Errors
    /// 403, as [`Key::admit_model`].
    pub(crate) fn admit(&self, key: &Key, asked: &str, group: &Group<'_>) -> Result<(), Failure> {
        if !key.is_confined() {
            return Ok(());
        }
        let members = || group.members.iter().filter_map(|index| self.served.get(*index));
        let access_groups: Vec<String> = members().flat_map(|served| served.access_groups()).collect();
        let providers: Vec<&str> = members().map(|served| served.provider_name(&self.catalog)).collect();
        let asked = if asked.is_empty() { group.name } else { asked };
        let facts = ModelFacts { asked, group: group.name, access_groups: &access_groups, providers: &providers };
        key.admit_model(&facts)
    }

    /// Whether a caller is shown a model's name.
    pub(crate) fn shows(&self, caller: &Caller, name: &str) -> bool {
        let Some(key) = caller.key() else { return true };
        self.fleet.find(name).is_some_and(|group| self.admit(key, name, &group).is_ok())
    }
}
