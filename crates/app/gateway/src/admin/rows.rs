//! From the store's rows to what calls need of a key.

use std::collections::{BTreeSet, HashMap};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tollgate_policy::{Holder, HolderKind, Key, KeyDigest, Limit, LimitScope, Models, Most, Role, RouteSet, Spending};
use tollgate_store::{Budget, EpochMs, Json, KeyView};

use super::budgets;

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
        limits: limits(view),
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
        // A user's models are for keys of his own; in a team the team decides (surface chapter 7.6).
        let own = row.team_id.is_none().then(|| models(user.models.as_ref()));
        holders.push(Holder {
            kind: HolderKind::User,
            id: user.user_id.clone(),
            blocked: user.blocked.unwrap_or_default(),
            models: own.unwrap_or_default(),
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

/// The key's routing, else its team's.
fn routing(view: &KeyView) -> Map<String, Value> {
    let own: Map<String, Value> = document(view.key.router_settings.as_ref());
    let of_team = || document(view.team.as_ref().and_then(|team| team.router_settings.as_ref()));
    if own.is_empty() { of_team() } else { own }
}

/// All limits that hold for the key's calls. Its own come before those of the budget that it refers to.
fn limits(view: &KeyView) -> Vec<Limit> {
    let row = &view.key;
    let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let most = |rpm, tpm, parallel| Most { rpm: count(rpm), tpm: count(tpm), parallel: count(parallel) };
    let of_budget = |budget: Option<&Budget>| {
        budget.map(|budget| most(budget.rpm_limit, budget.tpm_limit, budget.max_parallel_requests)).unwrap_or_default()
    };
    let shared = of_budget(view.budget.as_ref());
    let own = most(row.rpm_limit, row.tpm_limit, row.max_parallel_requests);
    let own =
        Most { rpm: own.rpm.or(shared.rpm), tpm: own.tpm.or(shared.tpm), parallel: own.parallel.or(shared.parallel) };
    let whole = |scope, id: &str, most| Limit { scope, id: id.to_owned(), model: None, most };
    let mut limits = vec![whole(LimitScope::Key, &row.token, own)];
    limits.extend(of_models(row));
    if let Some(user) = &view.user {
        let most = most(user.rpm_limit, user.tpm_limit, user.max_parallel_requests);
        limits.push(whole(LimitScope::User, &user.user_id, most));
    }
    if let Some(team) = &view.team {
        let most = most(team.rpm_limit, team.tpm_limit, team.max_parallel_requests);
        limits.push(whole(LimitScope::Team, &team.team_id, most));
    }
    if let Some(member) = &view.member {
        let id = format!("{}:{}", member.team_id, member.user_id);
        limits.push(whole(LimitScope::Member, &id, of_budget(view.member_budget.as_ref())));
    }
    if let Some(organization) = &view.organization {
        let most = of_budget(view.organization_budget.as_ref());
        limits.push(whole(LimitScope::Organization, &organization.organization_id, most));
    }
    if let Some(project) = &view.project {
        limits.push(whole(LimitScope::Project, &project.project_id, of_budget(view.project_budget.as_ref())));
    }
    limits.retain(|limit| !limit.most.is_nothing());
    limits
}

/// `model_rpm_limit` and `model_tpm_limit`: fields of the key, or members of its metadata, where `LiteLLM` keeps them.
fn of_models(row: &tollgate_store::Key) -> Vec<Limit> {
    let metadata: Map<String, Value> = document(row.metadata.as_ref());
    let numbers = |column: Option<&Json>, name: &str| -> HashMap<String, u64> {
        let own: HashMap<String, u64> = document(column);
        let kept = metadata.get(name).and_then(|value| serde_json::from_value(value.clone()).ok());
        if own.is_empty() { kept.unwrap_or_default() } else { own }
    };
    let rpm = numbers(row.model_rpm_limit.as_ref(), "model_rpm_limit");
    let tpm = numbers(row.model_tpm_limit.as_ref(), "model_tpm_limit");
    let names: BTreeSet<&String> = rpm.keys().chain(tpm.keys()).collect();
    let limit = |name: &String| Limit {
        scope: LimitScope::KeyModel,
        id: row.token.clone(),
        model: Some(name.clone()),
        most: Most { rpm: rpm.get(name).copied(), tpm: tpm.get(name).copied(), parallel: None },
    };
    names.into_iter().map(limit).collect()
}

fn models(column: Option<&Json>) -> Models {
    Models(document(column))
}
