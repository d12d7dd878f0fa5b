//! From the store's rows to what calls need of a key.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tollgate_policy::{Holder, HolderKind, Key, KeyDigest, Models, Role, RouteSet, Spending};
use tollgate_store::{EpochMs, Json, KeyView};

use super::budgets;
use crate::limits::of_rows;

/// What a column that holds a document says; nothing where it is empty or of another form.
pub(crate) fn document<T: DeserializeOwned + Default>(column: Option<&Json>) -> T {
    column.and_then(|json| serde_json::from_str(&json.0).ok()).unwrap_or_default()
}

/// The key of a row, with those above it; so much of what it has spent is not in the store yet.
pub(crate) fn key(digest: KeyDigest, view: &KeyView, pending: i64, now: EpochMs) -> Key {
    let row = &view.key;
    let metadata: Map<String, Value> = document(row.metadata.as_ref());
    let role = view.user.as_ref().and_then(|user| user.user_role.as_deref()).and_then(Role::parse);
    // The old token of a key that was regenerated ends when its time is over.
    let ends = [row.expires, view.old_until].into_iter().flatten().min();
    Key {
        digest,
        origin: row.origin.clone(),
        alias: row.key_alias.clone(),
        expires: ends.map(|end| u64::try_from(end.0).unwrap_or_default()),
        blocked: row.blocked.unwrap_or_default(),
        models: models(row.models.as_ref()),
        aliases: document(row.aliases.as_ref()),
        routes: RouteSet(document(row.allowed_routes.as_ref())),
        role: role.unwrap_or_default(),
        user: row.user_id.clone(),
        team: row.team_id.clone(),
        holders: holders(view),
        limits: of_rows::limits(view),
        tags: tags(view),
        routing: routing(view),
        budgets: budgets::of_key(view, now),
        spending: Spending::new(view.spent.settled.0.saturating_add(pending)),
        may_mock: metadata.get("allow_client_mock_response").and_then(Value::as_bool).unwrap_or_default(),
    }
}

/// Who stands above a key.
fn holders(view: &KeyView) -> Vec<Holder> {
    let row = &view.key;
    let mut holders = Vec::new();
    if let Some(team) = &view.team {
        holders.push(Holder {
            kind: HolderKind::Team,
            id: team.team_id.clone(),
            blocked: team.blocked,
            models: models(team.models.as_ref()),
            aliases: document(team.model_aliases.as_ref()),
        });
    }
    if let Some(user) = &view.user {
        // A user's models are for keys of his own; in a team the team decides, also what its members may (surface chapter 7.6).
        let own = if row.team_id.is_none() { user.models.as_ref() } else { of_member(view) };
        holders.push(Holder {
            kind: HolderKind::User,
            id: user.user_id.clone(),
            blocked: user.blocked.unwrap_or_default(),
            models: models(own),
            aliases: HashMap::new(),
        });
    }
    if let Some(organization) = &view.organization {
        holders.push(Holder {
            kind: HolderKind::Organization,
            id: organization.organization_id.clone(),
            blocked: false,
            models: models(organization.models.as_ref()),
            aliases: HashMap::new(),
        });
    }
    if let Some(project) = &view.project {
        holders.push(Holder {
            kind: HolderKind::Project,
            id: project.project_id.clone(),
            blocked: project.blocked,
            models: models(project.models.as_ref()),
            aliases: HashMap::new(),
        });
    }
    holders
}

/// The models of a member of a team: his own, else those of all members.
fn of_member(view: &KeyView) -> Option<&Json> {
    view.member.as_ref()?;
    let own = view.member_budget.as_ref().and_then(|budget| budget.allowed_models.as_ref());
    own.or_else(|| view.team.as_ref()?.default_team_member_models.as_ref())
}

/// The tags of the key, its team and its project, each once: fields, or members of the metadata, where `LiteLLM` keeps them.
fn tags(view: &KeyView) -> Vec<String> {
    let (team, project) = (view.team.as_ref(), view.project.as_ref());
    let columns = [
        (view.key.tags.as_ref(), view.key.metadata.as_ref()),
        (team.and_then(|team| team.tags.as_ref()), team.and_then(|team| team.metadata.as_ref())),
        (project.and_then(|project| project.tags.as_ref()), project.and_then(|project| project.metadata.as_ref())),
    ];
    let mut tags: Vec<String> = Vec::new();
    for (column, metadata) in columns {
        let kept = document::<Map<String, Value>>(metadata).remove("tags");
        let kept: Vec<String> = kept.and_then(|kept| serde_json::from_value(kept).ok()).unwrap_or_default();
        for tag in document::<Vec<String>>(column).into_iter().chain(kept) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    tags
}

/// The key's routing, else its team's.
fn routing(view: &KeyView) -> Map<String, Value> {
    let own: Map<String, Value> = document(view.key.router_settings.as_ref());
    let of_team = || document(view.team.as_ref().and_then(|team| team.router_settings.as_ref()));
    if own.is_empty() { of_team() } else { own }
}

fn models(column: Option<&Json>) -> Models {
    Models(document(column))
}
