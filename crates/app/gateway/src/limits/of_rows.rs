//! The limits that the store's rows say: of a key and of those above it, of budgets that customers and tags refer to.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};
use tollgate_policy::{Limit, LimitScope, Most};
use tollgate_store::{Budget, Json, KeyView};

use crate::admin::rows::document;

/// All limits that hold for the key's calls. Its own come before those of the budget that it refers to.
pub(crate) fn limits(view: &KeyView) -> Vec<Limit> {
    let row = &view.key;
    let shared = of_budget(view.budget.as_ref());
    let own = most(row.rpm_limit, row.tpm_limit, row.max_parallel_requests);
    let own =
        Most { rpm: own.rpm.or(shared.rpm), tpm: own.tpm.or(shared.tpm), parallel: own.parallel.or(shared.parallel) };
    let mut limits = vec![whole(LimitScope::Key, &row.token, own)];
    let columns = [row.model_rpm_limit.as_ref(), row.model_tpm_limit.as_ref()];
    limits.extend(of_models(LimitScope::KeyModel, &row.token, columns, row.metadata.as_ref()));
    if let Some(user) = &view.user {
        let most = most(user.rpm_limit, user.tpm_limit, user.max_parallel_requests);
        limits.push(whole(LimitScope::User, &user.user_id, most));
    }
    if let Some(team) = &view.team {
        let most = most(team.rpm_limit, team.tpm_limit, team.max_parallel_requests);
        limits.push(whole(LimitScope::Team, &team.team_id, most));
        let columns = [team.model_rpm_limit.as_ref(), team.model_tpm_limit.as_ref()];
        limits.extend(of_models(LimitScope::TeamModel, &team.team_id, columns, team.metadata.as_ref()));
    }
    if let Some(member) = &view.member {
        let id = format!("{}:{}", member.team_id, member.user_id);
        limits.push(whole(LimitScope::Member, &id, of_budget(view.member_budget.as_ref())));
    }
    if let Some(organization) = &view.organization {
        let (id, most) = (&organization.organization_id, of_budget(view.organization_budget.as_ref()));
        limits.push(whole(LimitScope::Organization, id, most));
        let columns = [organization.model_rpm_limit.as_ref(), organization.model_tpm_limit.as_ref()];
        limits.extend(of_models(LimitScope::OrganizationModel, id, columns, organization.metadata.as_ref()));
    }
    if let Some(project) = &view.project {
        let id = &project.project_id;
        limits.push(whole(LimitScope::Project, id, of_budget(view.project_budget.as_ref())));
        let columns = [project.model_rpm_limit.as_ref(), project.model_tpm_limit.as_ref()];
        limits.extend(of_models(LimitScope::ProjectModel, id, columns, project.metadata.as_ref()));
    }
    limits.retain(|limit| !limit.most.is_nothing());
    limits
}

/// The limit of whoever refers to a budget, if it has one.
pub(crate) fn under(budget: Option<&Budget>, scope: LimitScope, id: &str) -> Option<Limit> {
    Some(whole(scope, id, of_budget(budget))).filter(|limit| !limit.most.is_nothing())
}

fn of_budget(budget: Option<&Budget>) -> Most {
    budget.map(|budget| most(budget.rpm_limit, budget.tpm_limit, budget.max_parallel_requests)).unwrap_or_default()
}

fn most(rpm: Option<i64>, tpm: Option<i64>, parallel: Option<i64>) -> Most {
    let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    Most { rpm: count(rpm), tpm: count(tpm), parallel: count(parallel) }
}

fn whole(scope: LimitScope, id: &str, most: Most) -> Limit {
    Limit { scope, id: id.to_owned(), model: None, most }
}

/// `model_rpm_limit` and `model_tpm_limit`: fields of a row, or members of its metadata, where `LiteLLM` keeps them.
fn of_models(scope: LimitScope, id: &str, columns: [Option<&Json>; 2], metadata: Option<&Json>) -> Vec<Limit> {
    let metadata: Map<String, Value> = document(metadata);
    let numbers = |column: Option<&Json>, name: &str| -> HashMap<String, u64> {
        let own: HashMap<String, u64> = document(column);
        let kept = metadata.get(name).and_then(|value| serde_json::from_value(value.clone()).ok());
        if own.is_empty() { kept.unwrap_or_default() } else { own }
    };
    let [rpm, tpm] = columns;
    let (rpm, tpm) = (numbers(rpm, "model_rpm_limit"), numbers(tpm, "model_tpm_limit"));
    let names: BTreeSet<&String> = rpm.keys().chain(tpm.keys()).collect();
    let limit = |name: &String| Limit {
        scope,
        id: id.to_owned(),
        model: Some(name.clone()),
        most: Most { rpm: rpm.get(name).copied(), tpm: tpm.get(name).copied(), parallel: None },
    };
    names.into_iter().map(limit).collect()
}

#[cfg(test)]
mod tests {
    use tollgate_store::{Key, Project, Team};

    use super::*;

    #[test]
    fn those_above_a_key_limit_models_too() {
        let json = |text: &str| Some(Json(text.to_owned()));
        let view = KeyView {
            old_until: None,
            spent: tollgate_store::Spent::default(),
            key: Key { token: "k".to_owned(), rpm_limit: Some(9), ..Key::default() },
            budget: Some(Budget { tpm_limit: Some(100), rpm_limit: Some(1), ..Budget::default() }),
            user: None,
            team: Some(Team {
                team_id: "t".to_owned(),
                metadata: json(r#"{"model_rpm_limit": {"gpt": 3}}"#),
                ..Team::default()
            }),
            member: None,
            member_budget: None,
            organization: None,
            organization_budget: None,
            project: Some(Project {
                project_id: "p".to_owned(),
                model_tpm_limit: json(r#"{"gpt": 7}"#),
                ..Project::default()
            }),
            project_budget: None,
        };
        let told: Vec<String> = limits(&view)
            .iter()
            .map(|limit| {
                let model = limit.model.as_deref().unwrap_or_default();
                format!("{} {model} {:?} {:?}", limit.scope.name(), limit.most.rpm, limit.most.tpm)
            })
            .collect();
        let expected =
            ["api_key  Some(9) Some(100)", "model_per_team gpt Some(3) None", "model_per_project gpt None Some(7)"];
        assert_eq!(told, expected);
    }
}
