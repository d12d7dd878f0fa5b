//! Organizations and who is in them (surface appendix B.6).

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tollgate_policy::{BudgetOf, Role};
use tollgate_store::{
    Budget, Json, KeyFilter, KeyListing, KeySort, Organization, OrganizationMember, Page, Sort, Stamp, StoreError,
    Team, TeamFilter,
};
use tollgate_wire::{Failure, FailureKind};

use super::{
    Desk,
    accounts::{Spender, renamed, stated},
    budget_rows,
    fields::{Field, iso},
    listing::Asked,
    members::Seat,
    parties::{missing, page, refusal, text, texts},
    rows::document,
    users::TRIES,
};

/// Members of a request that are no fields of the row.
const NOT_FIELDS: [&str; 9] =
    ["organization_id", "budget_id", "spend", "users", "members", "teams", "version", "litellm_budget_table", "keys"];
/// What a request says of a member's budget, and how a budget calls it.
const OF_MEMBER: [(&str, &str); 1] = [("max_budget_in_organization", "max_budget")];
/// What a list without pages has at most.
const MOST_LISTED: i64 = 1000;
/// The budget that an organization has for itself.
const OWN: &str = "organization:";

/// Writes what a request says into a row. `null` empties a field.
fn write(row: &mut Organization, fields: &Map<String, Value>) -> Result<(), Failure> {
    let mut rest: Map<String, Value> = document(row.rest.as_ref());
    for (name, value) in fields {
        let field = Field { name, value };
        match name.as_str() {
            "organization_alias" => row.organization_alias = field.text()?,
            "models" => row.models = field.list()?,
            "metadata" => row.metadata = field.object()?,
            "model_rpm_limit" => row.model_rpm_limit = field.numbers_by_name()?,
            "model_tpm_limit" => row.model_tpm_limit = field.numbers_by_name()?,
            "object_permission" => row.object_permission = field.object()?,
            name if NOT_FIELDS.contains(&name) || budget_rows::FIELDS.contains(&name) => {}
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

/// A row as it is shown, without its members and teams and what was spent.
fn read(row: &Organization, budget: Option<&Budget>) -> Map<String, Value> {
    let stated = |column: &Option<Json>| document::<Value>(column.as_ref());
    let mut shown: Map<String, Value> = document(row.rest.as_ref());
    let own = json!({
        "organization_id": row.organization_id,
        "organization_alias": row.organization_alias,
        "budget_id": row.budget_id,
        "models": document::<Vec<String>>(row.models.as_ref()),
        "metadata": document::<Map<String, Value>>(row.metadata.as_ref()),
        "model_rpm_limit": stated(&row.model_rpm_limit),
        "model_tpm_limit": stated(&row.model_tpm_limit),
        "model_spend": {},
        "object_permission": stated(&row.object_permission),
        "litellm_budget_table": budget.map(budget_rows::read),
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

fn read_member(row: &OrganizationMember) -> Value {
    json!({
        "organization_id": row.organization_id,
        "user_id": row.user_id,
        "user_role": row.user_role,
        "budget_id": row.budget_id,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "version": row.version,
    })
}

fn own_budget_in(organization: &str, user: &str) -> String {
    format!("organization_member:{}:{organization}:{user}", organization.len())
}

fn failed(error: StoreError) -> Failure {
    refusal(error, "", "this organization is gone meanwhile", "organization_id")
}

fn gone(id: &str) -> Failure {
    missing(&format!("Organization not found, passed organization_id={id}"), "organization_id")
}

impl Desk<'_> {
    /// The organization of this id.
    pub(super) async fn organization(&self, id: &str) -> Result<Organization, Failure> {
        self.store.organization(id).await.map_err(failed)?.ok_or_else(|| gone(id))
    }

    /// A stamp for a change of an organization's row.
    fn noted_organization(&self, action: &str, before: Option<&Organization>, after: Option<&Organization>) -> Stamp {
        let id = after.or(before).map_or("", |row| row.organization_id.as_str());
        let shown = |row: &Organization| Value::Object(read(row, None));
        self.noted(action, "LiteLLM_OrganizationTable", id, (before.map(shown), after.map(shown)))
    }

    pub(super) async fn new_organization(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        text(body, "organization_alias")?;
        let id = match body.get("organization_id").filter(|id| !id.is_null()) {
            Some(_) => text(body, "organization_id")?,
            None => self.gateway.uuid_v4().to_string(),
        };
        let taken = format!("Organization id = {id} already exists. Please use a different organization id.");
        let mut row = Organization {
            organization_id: id.clone(),
            created_at: self.now,
            created_by: Some(self.actor()),
            ..Organization::default()
        };
        write(&mut row, body)?;
        if self.store.organization(&id).await.map_err(failed)?.is_some() {
            return Err(Failure::invalid(taken).with_param("organization_id"));
        }
        row.budget_id = self.budget_for(body, &format!("{OWN}{id}"), None).await?;
        let added = self.store.insert_organization(&row, &self.noted_organization("created", None, Some(&row))).await;
        added.map_err(|error| refusal(error, &taken, "", "organization_id"))?;
        self.accounts_changed();
        self.shown_organization(&id).await
    }

    pub(super) async fn update_organization(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let id = text(body, "organization_id")?;
        let mut tries = 0;
        loop {
            let mut row = self.organization(&id).await?;
            let read = self.version.unwrap_or(row.version);
            if read != row.version {
                return Err(failed(StoreError::Stale));
            }
            let before = row.clone();
            write(&mut row, body)?;
            row.budget_id = self.budget_for(body, &format!("{OWN}{id}"), row.budget_id.take()).await?;
            tries += 1;
            let stamp = self.noted_organization("updated", Some(&before), Some(&row));
            match self.store.update_organization(&row, read, &stamp).await {
                Ok(_) => break,
                Err(StoreError::Stale) if self.version.is_none() && tries < TRIES => {}
                Err(error) => return Err(failed(error)),
            }
        }
        self.accounts_changed();
        self.shown_organization(&id).await
    }

    /// Deletes organizations with their teams, their keys and the places in them. The rows themselves go last, so that what was
    /// interrupted can be done again.
    pub(super) async fn delete_organizations(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let ids = texts(body, "organization_ids")?;
        let mut rows = Vec::new();
        for id in &ids {
            rows.push(self.organization(id).await?);
        }
        let shown = self.shown_organizations(&rows).await?;
        for row in &rows {
            self.empty_organization(&row.organization_id).await?;
            let stamp = self.noted_organization("deleted", Some(row), None);
            let id = std::slice::from_ref(&row.organization_id);
            self.store.delete_organizations(id, &stamp).await.map_err(failed)?;
        }
        let own: Vec<String> = ids.iter().map(|id| format!("{OWN}{id}")).collect();
        self.store.delete_budgets(&own, &self.stamp()).await.map_err(failed)?;
        self.accounts_changed();
        Ok(shown.into())
    }

    async fn empty_organization(&self, id: &str) -> Result<(), Failure> {
        loop {
            let teams: Vec<String> = self.teams_in(id).await?.into_iter().map(|team| team.team_id).collect();
            if teams.is_empty() {
                break;
            }
            let named = Map::from_iter([("team_ids".to_owned(), teams.into())]);
            self.delete_teams(&named).await?;
        }
        loop {
            let filter = KeyFilter { organization_id: Some(id.to_owned()), ..KeyFilter::default() };
            let sort = KeySort::CreatedAt;
            let listing =
                KeyListing { filter, sort, descending: false, after: None, offset: 0, limit: 1000, count: false };
            let keys = self.store.list_keys(&listing).await.map_err(failed)?.keys;
            if keys.is_empty() {
                break;
            }
            let tokens: Vec<String> = keys.into_iter().map(|(row, _)| row.token).collect();
            self.store.delete_keys(&tokens, &self.stamp()).await.map_err(failed)?;
        }
        for member in self.store.organization_members_of(id).await.map_err(failed)? {
            self.leave(&member).await?;
        }
        Ok(())
    }

    async fn leave(&self, member: &OrganizationMember) -> Result<(), Failure> {
        let (id, user) = (&member.organization_id, &member.user_id);
        self.store.delete_organization_member(id, user, &self.stamp()).await.map_err(failed)?;
        let own = [own_budget_in(id, user)];
        self.store.delete_budgets(&own, &self.stamp()).await.map(|_| ()).map_err(failed)
    }

    async fn teams_in(&self, id: &str) -> Result<Vec<Team>, Failure> {
        let filter = TeamFilter { organization_id: Some(id.to_owned()), ..TeamFilter::default() };
        let part = Page { offset: 0, limit: MOST_LISTED };
        let listed = self.store.list_teams(&filter, Sort::CreatedAt, true, part).await.map_err(failed)?;
        Ok(listed.rows.into_iter().map(|(row, _)| row).collect())
    }

    async fn shown_organization(&self, id: &str) -> Result<Value, Failure> {
        let row = self.organization(id).await?;
        let mut shown = self.shown_organizations(std::slice::from_ref(&row)).await?.pop().unwrap_or_default();
        let teams = self.shown_teams(&self.teams_in(id).await?).await?;
        let members = self.store.organization_members_of(id).await.map_err(failed)?;
        let ids: Vec<String> = members.iter().map(|member| member.user_id.clone()).collect();
        let users = self.store.find_users(&ids).await.map_err(failed)?;
        shown.insert("teams".to_owned(), teams.into());
        shown.insert("users".to_owned(), self.shown_users(&users).await?.into());
        Ok(shown.into())
    }

    /// Rows as they are shown, with their members and what was spent.
    async fn shown_organizations(&self, rows: &[Organization]) -> Result<Vec<Map<String, Value>>, Failure> {
        let ids: Vec<String> = rows.iter().map(|row| row.organization_id.clone()).collect();
        let members = self.store.members_of_organizations(&ids).await.map_err(failed)?;
        let budgets = self.budgets(rows.iter().map(|row| row.budget_id.clone())).await?;
        let mut shown: Vec<(Spender, Map<String, Value>)> = Vec::with_capacity(rows.len());
        for row in rows {
            let budget = row.budget_id.as_ref().and_then(|id| budgets.get(id));
            let of = BudgetOf::Organization(row.organization_id.as_str().into());
            let duration = budget.and_then(|budget| budget.budget_duration.clone());
            let began = budget.map_or(row.created_at, |budget| budget.created_at);
            let mut told = read(row, budget);
            let own = members.iter().filter(|member| member.organization_id == row.organization_id);
            told.insert("members".to_owned(), own.map(read_member).collect());
            shown.push((Spender { of, duration, began }, told));
        }
        self.tell_spent(&mut shown).await?;
        Ok(shown.into_iter().map(|(_, told)| told).collect())
    }

    pub(super) async fn list_organizations(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let asked = Asked(query);
        let rows: Vec<Organization> = match (self.sees_all(), self.own_user()) {
            (true, _) => {
                let listed = self.store.list_organizations(page(query)?).await.map_err(failed)?;
                listed.rows.into_iter().map(|(row, _)| row).collect()
            }
            (false, Some(user)) => {
                let places = self.store.organizations_of(user).await.map_err(failed)?;
                let ids: Vec<String> = places.into_iter().map(|place| place.organization_id).collect();
                self.store.find_organizations(&ids).await.map_err(failed)?
            }
            (false, None) => Vec::new(),
        };
        let (id, alias) = (asked.text("org_id"), asked.text("org_alias").map(|alias| alias.to_lowercase()));
        let fits = |row: &Organization| {
            let named = row.organization_alias.as_deref().unwrap_or_default().to_lowercase();
            id.as_ref().is_none_or(|id| row.organization_id == *id)
                && alias.as_ref().is_none_or(|alias| named.contains(alias.as_str()))
        };
        let rows: Vec<Organization> = rows.into_iter().filter(fits).collect();
        Ok(self.shown_organizations(&rows).await?.into())
    }

    pub(super) async fn organization_info(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let Some(id) = Asked(query).text("organization_id") else {
            let words = "name the organization: /organization/info?organization_id=…";
            return Err(Failure::invalid(words).with_param("organization_id"));
        };
        let place = match self.own_user().filter(|_| !self.sees_all()) {
            Some(user) => self.store.organization_member(&id, user).await.map_err(failed)?,
            None => None,
        };
        if !self.sees_all() && place.is_none() {
            let words = "you are in no organization of this id; ask an admin for its info";
            return Err(Failure::new(FailureKind::RouteDenied, words).with_param("organization_id"));
        }
        let manages = self.sees_all() || place.is_some_and(|place| place.user_role.as_deref() == Some("org_admin"));
        if manages {
            return self.shown_organization(&id).await;
        }
        // Who else is in it, and what its teams do, is for those who manage it.
        let row = self.organization(&id).await?;
        let mut shown = self.shown_organizations(std::slice::from_ref(&row)).await?.pop().unwrap_or_default();
        shown.remove("members");
        Ok(shown.into())
    }

    pub(super) async fn add_organization_members(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let id = text(body, "organization_id")?;
        self.organization(&id).await?;
        let seats = organization_seats(body.get("member").unwrap_or(&Value::Null))?;
        let (mut users, mut places) = (Vec::new(), Vec::new());
        for seat in seats {
            let user = self.sitter(&seat).await?;
            let mut place = self.enter_organization(&id, &user.user_id, &seat.role).await?;
            place.budget_id = self.budget_in(&place, body).await?;
            if place.budget_id.is_some() {
                let written = self.store.update_organization_member(&place, place.version, &self.stamp()).await;
                place.version = written.map_err(failed)?;
            }
            places.push(read_member(&place));
            users.push(user);
        }
        self.accounts_changed();
        let users = self.shown_users(&users).await?;
        Ok(json!({"organization_id": id, "updated_users": users, "updated_organization_memberships": places}))
    }

    async fn budget_in(
        &self,
        place: &OrganizationMember,
        body: &Map<String, Value>,
    ) -> Result<Option<String>, Failure> {
        let own = own_budget_in(&place.organization_id, &place.user_id);
        let budget = self.budget_for(&stated(body, &OF_MEMBER), &own, place.budget_id.clone()).await;
        budget.map_err(|failure| renamed(failure, &OF_MEMBER))
    }

    /// Puts a user into an organization.
    pub(super) async fn enter_organization(
        &self,
        id: &str,
        user: &str,
        role: &str,
    ) -> Result<OrganizationMember, Failure> {
        self.organization(id).await?;
        let row = OrganizationMember {
            organization_id: id.to_owned(),
            user_id: user.to_owned(),
            user_role: Some(role.to_owned()),
            created_at: self.now,
            updated_at: self.now,
            created_by: Some(self.actor()),
            version: 1,
            ..OrganizationMember::default()
        };
        let taken = format!("User is already in the organization. user_id={user}, organization_id={id}");
        let added = self.store.insert_organization_member(&row, &self.stamp()).await;
        added.map_err(|error| refusal(error, &taken, "", "member"))?;
        Ok(row)
    }

    /// The place that a body names.
    async fn named_place(&self, body: &Map<String, Value>) -> Result<OrganizationMember, Failure> {
        let id = text(body, "organization_id")?;
        self.organization(&id).await?;
        let user = self.named_user(body).await?.user_id;
        let found = self.store.organization_member(&id, &user).await.map_err(failed)?;
        found.ok_or_else(|| missing(&format!("User not found in organization={id}"), "user_id"))
    }

    pub(super) async fn update_organization_member(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let mut row = self.named_place(body).await?;
        let read = self.version.unwrap_or(row.version);
        if let Some(role) = body.get("role").filter(|role| !role.is_null()) {
            row.user_role = Some(organization_role(role, "role")?);
        }
        row.budget_id = self.budget_in(&row, body).await?;
        row.version = self.store.update_organization_member(&row, read, &self.stamp()).await.map_err(failed)?;
        self.accounts_changed();
        Ok(read_member(&row))
    }

    pub(super) async fn delete_organization_member(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let row = self.named_place(body).await?;
        self.leave(&row).await?;
        self.accounts_changed();
        Ok(read_member(&row))
    }
}

fn organization_role(value: &Value, name: &str) -> Result<String, Failure> {
    let role = value.as_str().filter(|role| *role == "org_admin" || Role::parse(role).is_some());
    let words = "must be org_admin, internal_user or internal_user_viewer";
    role.map(str::to_owned).ok_or_else(|| Failure::invalid(format!("`{name}` {words}")).with_param(name))
}

/// Who is to be in an organization: one or a list.
fn organization_seats(value: &Value) -> Result<Vec<Seat>, Failure> {
    let wrong = || {
        let words =
            "`member` must be {\"role\": \"internal_user\", \"user_id\": \"…\"} or a list of at most 1,000 such";
        Failure::invalid(words).with_param("member")
    };
    let items = match value {
        Value::Array(items) if items.len() <= super::keys::MOST_NAMED => items.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return Err(wrong()),
    };
    let seat = |item: &Value| {
        let body = item.as_object().ok_or_else(wrong)?;
        let stated = |name: &str| match body.get(name).filter(|value| !value.is_null()) {
            Some(_) => text(body, name).map(Some).map_err(|_| wrong()),
            None => Ok(None),
        };
        let (user_id, user_email) = (stated("user_id")?, stated("user_email")?);
        if user_id.is_none() && user_email.is_none() {
            return Err(wrong());
        }
        let role = body.get("role").filter(|role| !role.is_null()).cloned().unwrap_or_else(|| "internal_user".into());
        Ok(Seat { user_id, user_email, role: organization_role(&role, "member")? })
    };
    items.iter().map(seat).collect()
}
