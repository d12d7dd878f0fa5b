//! The fields of a user, as clients write and read them (surface appendix B.3), and the columns they are kept in.

use serde_json::{Map, Value, json};
use tollgate_policy::Role;
use tollgate_store::{Json, Member, NanoDollars, User};
use tollgate_wire::Failure;

use super::{
    fields::{Field, iso, usd},
    rows::document,
};

/// Members of a request that are no fields of the row.
const NOT_FIELDS: [&str; 14] = [
    "user_id",
    "teams",
    "organizations",
    "auto_create_key",
    "send_invite_email",
    "spend",
    "key",
    "key_alias",
    "duration",
    "key_type",
    "keys",
    "key_count",
    "user_updates",
    "version",
];
/// The roles that a user may have, as `LiteLLM` describes them.
pub(super) fn roles() -> Value {
    json!({
        "proxy_admin": {"description": "manages everything: keys, users, teams, models, configuration", "ui_label": "Admin (All Permissions)"},
        "proxy_admin_viewer": {"description": "sees everything, changes nothing", "ui_label": "Admin (View Only)"},
        "internal_user": {"description": "makes and deletes keys of his own, sees what they spend", "ui_label": "Internal User (Create/Delete/View)"},
        "internal_user_viewer": {"description": "sees what his keys spend", "ui_label": "Internal Viewer (View Only)"},
    })
}

/// Writes what a request says into a row. `null` empties a field.
///
/// # Errors
/// 400 for a field of another form, naming it.
pub(super) fn write(row: &mut User, fields: &Map<String, Value>) -> Result<(), Failure> {
    let mut rest: Map<String, Value> = document(row.rest.as_ref());
    for (name, value) in fields {
        let field = Field { name, value };
        match name.as_str() {
            "user_alias" => row.user_alias = field.text()?,
            "user_email" => row.user_email = field.text()?,
            "user_role" => row.user_role = role(&field)?,
            "team_id" => row.team_id = field.text()?,
            "organization_id" => row.organization_id = field.text()?,
            "sso_user_id" => row.sso_user_id = field.text()?,
            "blocked" => row.blocked = field.flag()?,
            "models" => row.models = field.list()?,
            "metadata" => row.metadata = field.object()?,
            "max_budget" => row.max_budget = field.money()?,
            "budget_duration" => {
                field.lifetime()?;
                row.budget_duration = field.text()?;
            }
            "budget_limits" => row.budget_limits = field.items()?,
            "max_parallel_requests" => row.max_parallel_requests = field.count()?,
            "tpm_limit" => row.tpm_limit = field.count()?,
            "rpm_limit" => row.rpm_limit = field.count()?,
            "tpd_limit" => row.tpd_limit = field.count()?,
            "model_max_budget" => row.model_max_budget = field.object()?,
            "object_permission" => row.object_permission = field.object()?,
            // Nobody signs in by one here, and one that is kept is one that can be lost.
            "password" if !value.is_null() => {
                return Err(field.refused("is not taken: users come with keys, there is no sign-in by password"));
            }
            "password" => {}
            name if NOT_FIELDS.contains(&name) => {}
            _ if value.is_null() => {
                rest.remove(name);
            }
            _ => {
                rest.insert(name.clone(), value.clone());
            }
        }
    }
    row.rest = (!rest.is_empty()).then(|| Json(Value::Object(rest).to_string()));
    Ok(())
}

fn role(field: &Field<'_>) -> Result<Option<String>, Failure> {
    let role = field.text()?;
    if role.as_deref().is_some_and(|role| Role::parse(role).is_none()) {
        return Err(field.refused("must be proxy_admin, proxy_admin_viewer, internal_user or internal_user_viewer"));
    }
    Ok(role)
}

/// A row as it is shown, without what was spent.
pub(super) fn read(row: &User, places: &[&Member]) -> Map<String, Value> {
    let stated = |column: &Option<Json>| document::<Value>(column.as_ref());
    let money = |money: Option<NanoDollars>| money.map_or(Value::Null, |money| usd(money.0));
    let mut shown: Map<String, Value> = document(row.rest.as_ref());
    let own = json!({
        "user_id": row.user_id,
        "user_alias": row.user_alias,
        "user_email": row.user_email,
        "user_role": row.user_role,
        "team_id": row.team_id,
        "organization_id": row.organization_id,
        "sso_user_id": row.sso_user_id,
        "blocked": row.blocked,
        "models": document::<Vec<String>>(row.models.as_ref()),
        "metadata": document::<Map<String, Value>>(row.metadata.as_ref()),
        "max_budget": money(row.max_budget),
        "budget_duration": row.budget_duration,
        "budget_limits": stated(&row.budget_limits),
        "max_parallel_requests": row.max_parallel_requests,
        "tpm_limit": row.tpm_limit,
        "rpm_limit": row.rpm_limit,
        "tpd_limit": row.tpd_limit,
        "model_max_budget": document::<Map<String, Value>>(row.model_max_budget.as_ref()),
        "model_spend": {},
        "object_permission": stated(&row.object_permission),
        "teams": places.iter().map(|place| place.team_id.as_str()).collect::<Vec<_>>(),
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "updated_at": iso(row.updated_at),
        "updated_by": row.updated_by,
        "version": row.version,
    });
    if let Value::Object(own) = own {
        shown.extend(own);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says_is_shown_and_null_empties_it() {
        let body = json!({
            "user_alias": "Ann", "user_email": "ann@x.y", "user_role": "internal_user", "models": ["gpt"], "max_budget": 2.5,
            "budget_duration": "30d", "rpm_limit": 3, "tpm_limit": 4, "metadata": {"a": 1}, "own_word": [1], "blocked": true,
        });
        let mut row = User::default();
        write(&mut row, body.as_object().unwrap()).unwrap();
        let shown = read(&row, &[]);
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(shown.get(name), Some(value), "{name}");
        }
        let nulls: Map<String, Value> =
            body.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
        write(&mut row, &nulls).unwrap();
        assert_eq!(row, User::default());
    }

    #[test]
    fn a_field_of_another_form_is_refused_by_name() {
        for (name, value) in [
            ("user_role", json!("root")),
            ("max_budget", json!(-1)),
            ("budget_duration", json!("30 days")),
            ("models", json!("gpt")),
            ("password", json!("hunter2")),
            ("rpm_limit", json!(1.5)),
        ] {
            let refused = write(&mut User::default(), json!({name: value}).as_object().unwrap()).unwrap_err();
            assert_eq!((refused.http_status(), refused.param.as_deref()), (400, Some(name)), "{name}");
        }
    }
}
