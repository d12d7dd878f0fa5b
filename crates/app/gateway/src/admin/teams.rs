//! Teams (surface appendix B.4).

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tollgate_policy::BudgetOf;
use tollgate_store::{Budget, Json, KeyFilter, Member, NanoDollars, Page, Sort, Stamp, StoreError, Team, TeamFilter};
use tollgate_wire::{Failure, FailureKind};

use super::{
    Desk,
    accounts::{Spender, pages, renamed, stated},
    budget_rows,
    fields::{Field, iso, usd},
    listing::Asked,
    members::{self, Seat},
    parties::{missing, refusal, text, texts},
    rows::document,
    users::TRIES,
};

/// Members of a request that are no fields of the row.
const NOT_FIELDS: [&str; 8] =
    ["team_id", "admins", "members", "members_with_roles", "spend", "keys", "version", "team_memberships"];
/// What a team says of the budgets of its members who have none of their own, and how a budget calls it.
const OF_MEMBERS: [(&str, &str); 4] = [
    ("team_member_budget", "max_budget"),
    ("team_member_budget_duration", "budget_duration"),
    ("team_member_rpm_limit", "rpm_limit"),
    ("team_member_tpm_limit", "tpm_limit"),
];
/// Rows that a list without pages has at most.
const MOST_LISTED: i64 = 1000;

/// What is done to a team.
enum Change<'a> {
    /// Its fields are these.
    Fields(&'a Map<String, Value>),
    /// Its keys are refused, or not any more.
    Block(bool),
    /// It may use these, too.
    Add(&'a [String]),
    /// It may no longer use these.
    Take(&'a [String]),
}

/// Writes what a request says into a row. `null` empties a field.
///
/// # Errors
/// 400 for a field of another form, naming it.
fn write(row: &mut Team, fields: &Map<String, Value>) -> Result<(), Failure> {
    let mut rest: Map<String, Value> = document(row.rest.as_ref());
    for (name, value) in fields {
        let field = Field { name, value };
        match name.as_str() {
            "team_alias" => row.team_alias = field.text()?,
            "organization_id" => row.organization_id = field.text()?,
            "blocked" => row.blocked = field.flag()?.unwrap_or_default(),
            "models" => row.models = field.list()?,
            "model_aliases" => row.model_aliases = field.texts_by_name()?,
            "metadata" => row.metadata = field.object()?,
            "tags" => row.tags = field.list()?,
            "max_budget" => row.max_budget = field.money()?,
            "soft_budget" => row.soft_budget = field.money()?,
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
            "model_rpm_limit" => row.model_rpm_limit = field.numbers_by_name()?,
            "model_tpm_limit" => row.model_tpm_limit = field.numbers_by_name()?,
            "team_member_permissions" => row.team_member_permissions = field.list()?,
            "default_team_member_models" => row.default_team_member_models = field.list()?,
            "access_group_ids" => row.access_group_ids = field.list()?,
            "router_settings" => row.router_settings = field.object()?,
            "object_permission" => row.object_permission = field.object()?,
            name if NOT_FIELDS.contains(&name) || OF_MEMBERS.iter().any(|(own, _)| *own == name) => {}
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

/// A row as it is shown, without what was spent.
fn read(row: &Team, members: &[&Member], of_members: Option<&Budget>) -> Map<String, Value> {
    let stated = |column: &Option<Json>| document::<Value>(column.as_ref());
    let list = |column: &Option<Json>| document::<Vec<Value>>(column.as_ref());
    let object = |column: &Option<Json>| document::<Map<String, Value>>(column.as_ref());
    let money = |money: Option<NanoDollars>| money.map_or(Value::Null, |money| usd(money.0));
    let mut shown: Map<String, Value> = document(row.rest.as_ref());
    let own = json!({
        "team_id": row.team_id,
        "team_alias": row.team_alias,
        "organization_id": row.organization_id,
        "admins": [],
        "members": [],
        "members_with_roles": members.iter().map(|member| members::seat(member)).collect::<Vec<_>>(),
        "blocked": row.blocked,
        "models": list(&row.models),
        "model_aliases": object(&row.model_aliases),
        "metadata": object(&row.metadata),
        "tags": stated(&row.tags),
        "max_budget": money(row.max_budget),
        "soft_budget": money(row.soft_budget),
        "budget_duration": row.budget_duration,
        "budget_limits": stated(&row.budget_limits),
        "max_parallel_requests": row.max_parallel_requests,
        "tpm_limit": row.tpm_limit,
        "rpm_limit": row.rpm_limit,
        "tpd_limit": row.tpd_limit,
        "model_max_budget": object(&row.model_max_budget),
        "model_spend": {},
        "model_rpm_limit": stated(&row.model_rpm_limit),
        "model_tpm_limit": stated(&row.model_tpm_limit),
        "team_member_permissions": stated(&row.team_member_permissions),
        "default_team_member_models": stated(&row.default_team_member_models),
        "access_group_ids": stated(&row.access_group_ids),
        "router_settings": stated(&row.router_settings),
        "object_permission": stated(&row.object_permission),
        "team_member_budget_table": of_members.map(budget_rows::read),
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

/// The budget that members of a team have who have none of their own.
fn budget_of_members(team_id: &str) -> String {
    format!("team_members:{team_id}")
}

pub(super) fn failed(error: StoreError) -> Failure {
    refusal(error, "", "this team is gone meanwhile", "team_id")
}

pub(super) fn gone(id: &str) -> Failure {
    missing(&format!("Team doesn't exist in db. Team={id}"), "team_id")
}

impl Desk<'_> {
    /// The team of this id.
    pub(super) async fn team(&self, id: &str) -> Result<Team, Failure> {
        self.store.team(id).await.map_err(failed)?.ok_or_else(|| gone(id))
    }

    /// A stamp for a change of a team's row.
    fn noted_team(&self, action: &str, before: Option<&Team>, after: Option<&Team>) -> Stamp {
        let id = after.or(before).map_or("", |row| row.team_id.as_str());
        let shown = |row: &Team| Value::Object(read(row, &[], None));
        self.noted(action, "LiteLLM_TeamTable", id, (before.map(shown), after.map(shown)))
    }

    pub(super) async fn new_team(&self, body: Map<String, Value>) -> Result<Value, Failure> {
        let id = match body.get("team_id").filter(|id| !id.is_null()) {
            Some(_) => text(&body, "team_id")?,
            None => self.gateway.uuid_v4().to_string(),
        };
        let taken = format!("Team id = {id} already exists. Please use a different team id.");
        let mut row =
            Team { team_id: id.clone(), created_at: self.now, created_by: Some(self.actor()), ..Team::default() };
        write(&mut row, &body)?;
        self.knows_organization(&row).await?;
        let seats = self.founders(&body)?;
        if self.store.team(&id).await.map_err(failed)?.is_some() {
            return Err(Failure::invalid(taken).with_param("team_id"));
        }
        row.member_budget_id = self.budget_of_members(&body, &id, None).await?;
        let added = self.store.insert_team(&row, &self.noted_team("created", None, Some(&row))).await;
        added.map_err(|error| refusal(error, &taken, "", "team_id"))?;
        for seat in seats {
            self.join(&row, seat, &Map::new()).await?;
        }
        self.accounts_changed();
        self.shown_team(&id).await
    }

    /// Who is in a new team: those that the request names, and whoever makes it, if he is somebody.
    fn founders(&self, body: &Map<String, Value>) -> Result<Vec<Seat>, Failure> {
        let mut seats = match body.get("members_with_roles").filter(|named| !named.is_null()) {
            Some(named) => members::seats(named, "members_with_roles")?,
            None => Vec::new(),
        };
        for (name, role) in [("admins", "admin"), ("members", "user")] {
            if body.get(name).is_some_and(|named| !named.is_null()) {
                let named = texts(body, name)?.into_iter();
                seats.extend(named.map(|id| Seat { user_id: Some(id), user_email: None, role: role.to_owned() }));
            }
        }
        if let Some(own) = self.own_user() {
            seats.push(Seat { user_id: Some(own.to_owned()), user_email: None, role: "admin".to_owned() });
        }
        let mut known: Vec<(Option<String>, Option<String>)> = Vec::new();
        seats.retain(|seat| {
            let who = (seat.user_id.clone(), seat.user_email.clone().filter(|_| seat.user_id.is_none()));
            let is_new = !known.contains(&who);
            known.push(who);
            is_new
        });
        Ok(seats)
    }

    async fn knows_organization(&self, row: &Team) -> Result<(), Failure> {
        let Some(id) = &row.organization_id else { return Ok(()) };
        self.organization(id).await.map(|_| ())
    }

    /// The budget of members who have none of their own, as a request for their team states it.
    async fn budget_of_members(
        &self,
        body: &Map<String, Value>,
        id: &str,
        before: Option<String>,
    ) -> Result<Option<String>, Failure> {
        let budget = self.budget_for(&stated(body, &OF_MEMBERS), &budget_of_members(id), before).await;
        budget.map_err(|failure| renamed(failure, &OF_MEMBERS))
    }

    pub(super) async fn update_team(&self, body: Map<String, Value>) -> Result<Value, Failure> {
        let id = text(&body, "team_id")?;
        self.change_team(&id, &Change::Fields(&body)).await?;
        Ok(json!({"team_id": id, "data": self.shown_team(&id).await?}))
    }

    /// Changes a row, again if somebody else did at the same moment.
    async fn change_team(&self, id: &str, change: &Change<'_>) -> Result<(), Failure> {
        let mut tries = 0;
        loop {
            let mut row = self.team(id).await?;
            let read = self.version.unwrap_or(row.version);
            if read != row.version {
                return Err(failed(StoreError::Stale));
            }
            let before = row.clone();
            self.change_row(&mut row, change).await?;
            tries += 1;
            let action = match change {
                Change::Block(true) => "blocked",
                Change::Block(false) => "unblocked",
                _ => "updated",
            };
            let stamp = self.noted_team(action, Some(&before), Some(&row));
            match self.store.update_team(&row, read, &stamp).await {
                Ok(_) => {
                    self.accounts_changed();
                    return Ok(());
                }
                Err(StoreError::Stale) if self.version.is_none() && tries < TRIES => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    async fn change_row(&self, row: &mut Team, change: &Change<'_>) -> Result<(), Failure> {
        match change {
            Change::Fields(fields) => {
                write(row, fields)?;
                self.knows_organization(row).await?;
                let before = row.member_budget_id.take();
                row.member_budget_id = self.budget_of_members(fields, &row.team_id, before).await?;
            }
            Change::Block(blocked) => row.blocked = *blocked,
            Change::Add(named) => {
                let mut models: Vec<String> = document(row.models.as_ref());
                models.retain(|model| !named.contains(model));
                models.extend(named.iter().cloned());
                row.models = Some(Json(json!(models).to_string()));
            }
            Change::Take(named) => {
                let mut models: Vec<String> = document(row.models.as_ref());
                let had = models.len();
                models.retain(|model| !named.contains(model));
                if models.is_empty() && had > 0 {
                    // An empty list would let it use everything.
                    let words = "these are all models of the team, and one without a list may use every model; block it by \
                                 /team/block";
                    return Err(Failure::invalid(words).with_param("models"));
                }
                row.models = (!models.is_empty()).then(|| Json(json!(models).to_string()));
            }
        }
        Ok(())
    }

    pub(super) async fn block_team(&self, body: &Map<String, Value>, blocked: bool) -> Result<Value, Failure> {
        let id = text(body, "team_id")?;
        self.change_team(&id, &Change::Block(blocked)).await?;
        self.shown_team(&id).await
    }

    /// Models that are added to those of a team, or taken from them.
    pub(super) async fn change_team_models(&self, body: &Map<String, Value>, adds: bool) -> Result<Value, Failure> {
        let (id, named) = (text(body, "team_id")?, texts(body, "models")?);
        let change = if adds { Change::Add(&named) } else { Change::Take(&named) };
        self.change_team(&id, &change).await?;
        self.shown_team(&id).await
    }

    pub(super) async fn delete_teams(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let ids = texts(body, "team_ids")?;
        let known = self.store.find_teams(&ids).await.map_err(failed)?;
        if let Some(id) = ids.iter().find(|id| known.iter().all(|row| row.team_id != **id)) {
            return Err(missing(&format!("Team doesn't exist in db. Team={id}"), "team_ids"));
        }
        let shown = self.shown_teams(&known).await?;
        let places = self.store.members_of_teams(&ids).await.map_err(failed)?;
        // An entry of the audit log is of one team, and is made with what it tells of.
        let mut keys = 0;
        for row in &known {
            let stamp = self.noted_team("deleted", Some(row), None);
            let deleted = self.store.delete_teams(std::slice::from_ref(&row.team_id), &stamp).await;
            keys += deleted.map_err(failed)?.1.len();
        }
        self.drop_budgets_of(&places).await?;
        let own: Vec<String> = ids.iter().map(|id| budget_of_members(id)).collect();
        self.store.delete_budgets(&own, &self.stamp()).await.map_err(failed)?;
        self.accounts_changed();
        Ok(json!({"deleted_teams": shown, "deleted_keys": keys}))
    }

    /// Rows as they are shown, with their members and what was spent.
    pub(super) async fn shown_teams(&self, rows: &[Team]) -> Result<Vec<Map<String, Value>>, Failure> {
        let ids: Vec<String> = rows.iter().map(|row| row.team_id.clone()).collect();
        let places = self.store.members_of_teams(&ids).await.map_err(failed)?;
        let budgets = self.budgets(rows.iter().map(|row| row.member_budget_id.clone())).await?;
        let mut shown: Vec<(Spender, Map<String, Value>)> = Vec::with_capacity(rows.len());
        for row in rows {
            let own: Vec<&Member> = places.iter().filter(|place| place.team_id == row.team_id).collect();
            let of = BudgetOf::Team(row.team_id.as_str().into());
            let spender = Spender { of, duration: row.budget_duration.clone(), began: row.created_at };
            shown.push((spender, read(row, &own, row.member_budget_id.as_ref().and_then(|id| budgets.get(id)))));
        }
        self.tell_spent(&mut shown).await?;
        Ok(shown.into_iter().map(|(_, shown)| shown).collect())
    }

    pub(super) async fn shown_team(&self, id: &str) -> Result<Value, Failure> {
        let row = self.team(id).await?;
        Ok(self.shown_teams(std::slice::from_ref(&row)).await?.pop().unwrap_or_default().into())
    }

    /// The teams that a user is in.
    pub(super) async fn teams_of(&self, user: &str) -> Result<Vec<Map<String, Value>>, Failure> {
        let filter = TeamFilter { user_id: Some(user.to_owned()), ..TeamFilter::default() };
        let page = Page { offset: 0, limit: MOST_LISTED };
        let listed = self.store.list_teams(&filter, Sort::CreatedAt, true, page).await.map_err(failed)?;
        let rows: Vec<Team> = listed.rows.into_iter().map(|(row, _)| row).collect();
        self.shown_teams(&rows).await
    }

    pub(super) async fn team_info(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let asked = Asked(query);
        let own = || self.caller.key().and_then(|key| key.team.clone());
        let id = asked.text("team_id").or_else(own);
        let id = id.ok_or_else(|| Failure::invalid("name the team: /team/info?team_id=…").with_param("team_id"))?;
        let most = asked.number("key_limit", i64::MAX, i64::MAX)?;
        let leads = self.sees_all() || self.leads_team(&id).await?;
        let inside = match self.own_user() {
            _ if leads => true,
            _ if own().is_some_and(|own| own == id) => true,
            Some(user) => self.store.member(&id, user).await.map_err(failed)?.is_some(),
            None => false,
        };
        if !inside {
            let words = "key not allowed to access this team's info. Ask one of its admins";
            return Err(Failure::new(FailureKind::RouteDenied, words).with_param("team_id"));
        }
        let info = self.shown_team(&id).await?;
        // Keys of others are for those who manage them.
        let mut filter = KeyFilter { team_id: Some(id.clone()), ..KeyFilter::default() };
        if !leads {
            filter.user_id = self.own_user().map(str::to_owned);
            filter.token = self.caller.key().map(|key| key.digest.to_hex()).filter(|_| filter.user_id.is_none());
        }
        let keys = self.shown_keys(filter, most).await?;
        let memberships = self.shown_members(&id).await?;
        Ok(json!({"team_id": id, "team_info": info, "keys": keys, "team_memberships": memberships}))
    }

    /// Which teams a query asks for; whoever does not see everything sees those that he is in.
    fn team_filter(&self, asked: &Asked<'_>) -> Result<TeamFilter, Failure> {
        let mut filter = TeamFilter {
            ids: asked.text("team_id").map(|id| vec![id]),
            user_id: asked.text("user_id"),
            organization_id: asked.text("organization_id"),
            alias_contains: asked.text("team_alias").or_else(|| asked.text("search")),
        };
        if !self.sees_all() {
            let own = self.own_user();
            let denied = || {
                let words = "Only admin users can query all teams. Your key is no user's, or names another one";
                Failure::new(FailureKind::RouteDenied, words).with_param("user_id")
            };
            if filter.user_id.is_some() && filter.user_id.as_deref() != own {
                return Err(denied());
            }
            filter.user_id = Some(own.ok_or_else(denied)?.to_owned());
        }
        Ok(filter)
    }

    pub(super) async fn list_teams(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let filter = self.team_filter(&Asked(query))?;
        let page = Page { offset: 0, limit: MOST_LISTED };
        let listed = self.store.list_teams(&filter, Sort::CreatedAt, true, page).await.map_err(failed)?;
        let rows: Vec<Team> = listed.rows.into_iter().map(|(row, _)| row).collect();
        Ok(self.shown_teams(&rows).await?.into())
    }

    pub(super) async fn list_team_pages(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let asked = Asked(query);
        let (page, part) = pages(&asked, 10)?;
        let sort = match asked.text("sort_by").as_deref() {
            None | Some("created_at") => Sort::CreatedAt,
            Some("updated_at") => Sort::UpdatedAt,
            Some("team_id") => Sort::Id,
            Some("team_alias") => Sort::Alias,
            Some("organization_id") => Sort::Place,
            Some("spend") => Sort::Spend,
            Some("max_budget") => Sort::MaxBudget,
            Some(_) => {
                let words = "`sort_by` must be team_id, team_alias, organization_id, created_at, updated_at, spend or max_budget";
                return Err(Failure::invalid(words).with_param("sort_by"));
            }
        };
        let descending = asked.text("sort_order").is_some_and(|order| order.eq_ignore_ascii_case("desc"));
        let listed = self.store.list_teams(&self.team_filter(&asked)?, sort, descending, part).await.map_err(failed)?;
        let rows: Vec<Team> = listed.rows.into_iter().map(|(row, _)| row).collect();
        let teams = self.shown_teams(&rows).await?;
        let pages = listed.total.saturating_add(part.limit - 1) / part.limit;
        Ok(json!({"teams": teams, "total": listed.total, "page": page, "page_size": part.limit, "total_pages": pages}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says_is_shown_and_null_empties_it() {
        let body = json!({
            "team_alias": "red", "models": ["gpt"], "model_aliases": {"a": "gpt"}, "max_budget": 2.5, "soft_budget": 1.0,
            "budget_duration": "30d", "rpm_limit": 3, "tpm_limit": 4, "metadata": {"a": 1}, "own_word": [1], "blocked": true,
            "tags": ["t"], "model_rpm_limit": {"gpt": 1}, "default_team_member_models": ["gpt"],
        });
        let mut row = Team::default();
        write(&mut row, body.as_object().unwrap()).unwrap();
        let shown = read(&row, &[], None);
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(shown.get(name), Some(value), "{name}");
        }
        let nulls: Map<String, Value> =
            body.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
        write(&mut row, &nulls).unwrap();
        assert_eq!(row, Team::default());
    }
}
