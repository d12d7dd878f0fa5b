//! Users (surface appendix B.3).

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tollgate_policy::{BudgetOf, Role};
use tollgate_store::{EpochMs, KeyFilter, Member, Page, Sort, Stamp, StoreError, User, UserFilter};
use tollgate_wire::{Failure, FailureKind};

use super::{
    Desk,
    accounts::{Spender, pages},
    fields::Field,
    listing::Asked,
    members::Seat,
    parties::{missing, refusal, text, texts},
    user_rows::{read, write},
};

/// How often a change is tried again that another one overtook.
pub(super) const TRIES: usize = 5;
/// Teams and organizations that one request may put a user in.
const MOST_PLACES: usize = 1000;
/// What `/user/new` says of the key that is made with the user.
const OF_KEY: [&str; 22] = [
    "key",
    "key_alias",
    "key_type",
    "duration",
    "team_id",
    "organization_id",
    "agent_id",
    "aliases",
    "config",
    "permissions",
    "metadata",
    "tags",
    "allowed_routes",
    "allowed_cache_controls",
    "model_max_budget",
    "model_rpm_limit",
    "model_tpm_limit",
    "guardrails",
    "policies",
    "prompts",
    "budget_fallbacks",
    "object_permission",
];

fn failed(error: StoreError) -> Failure {
    refusal(error, "", "this user is gone meanwhile", "user_id")
}

fn gone(id: &str) -> Failure {
    missing(&format!("User not found, passed user_id={id}"), "user_id")
}

impl Desk<'_> {
    pub(super) async fn new_user(&self, mut body: Map<String, Value>) -> Result<Value, Failure> {
        let id = match body.get("user_id").filter(|id| !id.is_null()) {
            Some(_) => text(&body, "user_id")?,
            None => self.gateway.uuid_v4().to_string(),
        };
        body.insert("user_id".to_owned(), id.as_str().into());
        let mut row =
            User { user_id: id.clone(), created_at: self.now, created_by: Some(self.actor()), ..User::default() };
        write(&mut row, &body)?;
        let makes_key = Field { name: "auto_create_key", value: body.get("auto_create_key").unwrap_or(&Value::Null) };
        let makes_key = makes_key.flag()?.unwrap_or(true);
        self.is_alone_with(row.user_email.as_deref(), &id).await?;
        let taken = format!("User with id {id} already exists; change it by /user/update");
        let sso = format!("a user with sso_user_id={} exists already", row.sso_user_id.as_deref().unwrap_or_default());
        self.store.insert_user(&row, &self.noted_user("created", None, Some(&row))).await.map_err(
            |error| match error {
                StoreError::Taken { what } if what.contains("sso") => Failure::invalid(sso).with_param("sso_user_id"),
                error => refusal(error, &taken, "", "user_id"),
            },
        )?;
        match self.furnish(&row, &body, makes_key).await {
            Ok(key) => {
                self.accounts_changed();
                let mut answer = key;
                let shown = self.shown_users(std::slice::from_ref(&row)).await?.pop().unwrap_or_default();
                answer.extend(shown);
                Ok(answer.into())
            }
            // Half a user is none.
            Err(failure) => {
                let undone = self.store.delete_users(std::slice::from_ref(&id), &self.stamp()).await;
                if let Err(error) = undone {
                    tracing::warn!(target: "tollgate::store", %error, user = %id, "a user was made whose request was refused");
                }
                Err(failure)
            }
        }
    }

    /// Puts a new user into his teams and organizations, and makes his key.
    async fn furnish(
        &self,
        row: &User,
        body: &Map<String, Value>,
        makes_key: bool,
    ) -> Result<Map<String, Value>, Failure> {
        for place in places(body, "teams")? {
            let team = text(&place, "team_id").map_err(|_| wrong_place("teams"))?;
            let role = place.get("user_role").and_then(Value::as_str).filter(|role| *role == "admin").unwrap_or("user");
            let seat =
                Seat { user_id: Some(row.user_id.clone()), user_email: row.user_email.clone(), role: role.to_owned() };
            let team = self.team(&team).await?;
            self.join(&team, seat, &place).await?;
        }
        for place in places(body, "organizations")? {
            let id = text(&place, "team_id").map_err(|_| wrong_place("organizations"))?;
            self.enter_organization(&id, &row.user_id, row.user_role.as_deref().unwrap_or("internal_user")).await?;
        }
        if !makes_key {
            return Ok(Map::from_iter([("key".to_owned(), "".into())]));
        }
        let mut of_key: Map<String, Value> = Map::new();
        of_key.insert("user_id".to_owned(), row.user_id.as_str().into());
        for name in OF_KEY {
            if let Some(value) = body.get(name) {
                of_key.insert(name.to_owned(), value.clone());
            }
        }
        match self.generate(of_key).await? {
            Value::Object(key) => Ok(key),
            _ => Ok(Map::new()),
        }
    }

    /// A stamp for a change of a user's row.
    fn noted_user(&self, action: &str, before: Option<&User>, after: Option<&User>) -> Stamp {
        let id = after.or(before).map_or("", |row| row.user_id.as_str());
        let shown = |row: &User| Value::Object(read(row, &[]));
        self.noted(action, "LiteLLM_UserTable", id, (before.map(shown), after.map(shown)))
    }

    /// An address is one user's.
    async fn is_alone_with(&self, email: Option<&str>, id: &str) -> Result<(), Failure> {
        let Some(email) = email else { return Ok(()) };
        match self.user_at(email).await? {
            Some(other) if other.user_id != id => {
                let words = format!("User with email {email} already exists in DB. Please use a different email.");
                Err(Failure::invalid(words).with_param("user_email"))
            }
            _ => Ok(()),
        }
    }

    /// The user with this address, in whatever case.
    pub(super) async fn user_at(&self, email: &str) -> Result<Option<User>, Failure> {
        let filter = UserFilter { email_contains: Some(email.to_owned()), ..UserFilter::default() };
        let page = Page { offset: 0, limit: 1000 };
        let listed = self.store.list_users(&filter, Sort::CreatedAt, false, page).await.map_err(failed)?;
        let is_it = |row: &User| row.user_email.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(email));
        Ok(listed.rows.into_iter().map(|(row, _)| row).find(is_it))
    }

    /// The user that a body names by `user_id` or `user_email`.
    pub(super) async fn named_user(&self, body: &Map<String, Value>) -> Result<User, Failure> {
        let stated = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
        if stated("user_id") || !stated("user_email") {
            let id = text(body, "user_id")?;
            return self.store.user(&id).await.map_err(failed)?.ok_or_else(|| gone(&id));
        }
        let email = text(body, "user_email")?;
        let words = || missing(&format!("User not found, passed user_email={email}"), "user_email");
        self.user_at(&email).await?.ok_or_else(words)
    }

    /// Rows as they are shown, with their teams and what was spent.
    pub(super) async fn shown_users(&self, rows: &[User]) -> Result<Vec<Map<String, Value>>, Failure> {
        let ids: Vec<String> = rows.iter().map(|row| row.user_id.clone()).collect();
        let places = self.store.memberships_of_users(&ids).await.map_err(failed)?;
        let mut shown: Vec<(Spender, Map<String, Value>)> = Vec::with_capacity(rows.len());
        for row in rows {
            let own: Vec<&Member> = places.iter().filter(|place| place.user_id == row.user_id).collect();
            let of = BudgetOf::User(row.user_id.as_str().into());
            let spender = Spender { of, duration: row.budget_duration.clone(), began: row.created_at };
            shown.push((spender, read(row, &own)));
        }
        self.tell_spent(&mut shown).await?;
        Ok(shown.into_iter().map(|(_, shown)| shown).collect())
    }

    /// The row of whoever is asked for, if whoever asks may see it.
    async fn seen_user(&self, query: &HashMap<String, String>) -> Result<User, Failure> {
        let named = query.get("user_id").map(|id| id.trim()).filter(|id| !id.is_empty());
        let id = match (named, self.own_user()) {
            (Some(id), own) if self.sees_all() || own == Some(id) => id.to_owned(),
            (None, Some(own)) => own.to_owned(),
            (None, None) if self.sees_all() => self.actor(),
            (Some(_), _) => {
                let words = "You can only see your own user info. Ask an admin for that of others";
                return Err(Failure::new(FailureKind::RouteDenied, words).with_param("user_id"));
            }
            (None, None) => {
                let words = "this key is no user's; name one: /user/info?user_id=…";
                return Err(Failure::invalid(words).with_param("user_id"));
            }
        };
        match self.store.user(&id).await.map_err(failed)? {
            Some(row) => Ok(row),
            // Whoever has the master key is somebody, too.
            None if named.is_none() => Ok(User {
                user_id: id,
                user_role: self.caller.is_admin().then(|| Role::Admin.as_str().to_owned()),
                ..User::default()
            }),
            None => Err(gone(&id)),
        }
    }

    pub(super) async fn user_info(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let row = self.seen_user(query).await?;
        let filter = KeyFilter { user_id: Some(row.user_id.clone()), ..KeyFilter::default() };
        let keys = self.shown_keys(filter, i64::MAX).await?;
        let teams = self.teams_of(&row.user_id).await?;
        let info = self.shown_users(std::slice::from_ref(&row)).await?.pop().unwrap_or_default();
        Ok(json!({"user_id": row.user_id, "user_info": info, "keys": keys, "teams": teams}))
    }

    pub(super) async fn flat_user_info(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let row = self.seen_user(query).await?;
        Ok(self.shown_users(std::slice::from_ref(&row)).await?.pop().unwrap_or_default().into())
    }

    pub(super) async fn update_user(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let mut tries = 0;
        loop {
            let mut row = self.named_user(body).await?;
            let before = row.clone();
            let read = self.version.unwrap_or(row.version);
            let by_address = body.get("user_id").is_none_or(Value::is_null);
            write(&mut row, body)?;
            if !by_address {
                self.is_alone_with(row.user_email.as_deref(), &row.user_id).await?;
            }
            tries += 1;
            let stamp = self.noted_user("updated", Some(&before), Some(&row));
            match self.store.update_user(&row, read, &stamp).await {
                Ok(version) => {
                    (row.version, row.updated_at) = (version, self.now);
                    self.accounts_changed();
                    let data = self.shown_users(std::slice::from_ref(&row)).await?.pop().unwrap_or_default();
                    return Ok(json!({"user_id": row.user_id, "data": data}));
                }
                Err(StoreError::Stale) if self.version.is_none() && tries < TRIES => {}
                Err(StoreError::Taken { .. }) => {
                    return Err(Failure::invalid("another user has this sso_user_id").with_param("sso_user_id"));
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    pub(super) async fn update_users(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let everybody = Field { name: "all_users", value: body.get("all_users").unwrap_or(&Value::Null) }.flag()?;
        let asked: Vec<Map<String, Value>> = if everybody == Some(true) {
            let updates = body.get("user_updates").and_then(Value::as_object).filter(|updates| !updates.is_empty());
            let words = "`user_updates` must say what is to be changed for all users";
            let updates = updates.ok_or_else(|| Failure::invalid(words).with_param("user_updates"))?;
            let ids = self.all_users().await?;
            let of = |id: String| {
                let mut one = updates.clone();
                one.insert("user_id".to_owned(), id.into());
                one
            };
            ids.into_iter().map(of).collect()
        } else {
            let items = body.get("users").and_then(Value::as_array).filter(|items| items.len() <= MOST_PLACES);
            let words = "`users` must be a list of at most 1,000 objects, each with a `user_id` or `user_email`";
            let items = items.ok_or_else(|| Failure::invalid(words).with_param("users"))?;
            items.iter().map(|item| item.as_object().cloned().unwrap_or_default()).collect()
        };
        let (mut results, mut done) = (Vec::new(), 0);
        for one in &asked {
            let (user_id, user_email) = (one.get("user_id").cloned(), one.get("user_email").cloned());
            let told = match self.update_user(one).await {
                Ok(updated) => {
                    done += 1;
                    json!({"success": true, "error": null, "updated_user": updated.get("data")})
                }
                Err(failure) => json!({"success": false, "error": failure.client_message(), "updated_user": null}),
            };
            let mut result = Map::from_iter([
                ("user_id".to_owned(), user_id.unwrap_or_default()),
                ("user_email".to_owned(), user_email.unwrap_or_default()),
            ]);
            result.extend(told.as_object().cloned().unwrap_or_default());
            results.push(Value::Object(result));
        }
        Ok(json!({
            "results": results, "total_requested": asked.len(), "successful_updates": done, "failed_updates": asked.len() - done,
        }))
    }

    async fn all_users(&self) -> Result<Vec<String>, Failure> {
        let (mut ids, limit) = (Vec::new(), 1000);
        loop {
            let page = Page { offset: i64::try_from(ids.len()).unwrap_or(i64::MAX), limit };
            let listed = self.store.list_users(&UserFilter::default(), Sort::Id, false, page).await.map_err(failed)?;
            if listed.rows.is_empty() {
                return Ok(ids);
            }
            ids.extend(listed.rows.into_iter().map(|(row, _)| row.user_id));
        }
    }

    pub(super) async fn delete_users(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let ids = texts(body, "user_ids")?;
        let known = self.store.find_users(&ids).await.map_err(failed)?;
        if let Some(id) = ids.iter().find(|id| known.iter().all(|row| row.user_id != **id)) {
            return Err(missing(&format!("User not found, passed user_id={id}"), "user_ids"));
        }
        let places = self.store.memberships_of_users(&ids).await.map_err(failed)?;
        // An entry of the audit log is of one user, and is made with what it tells of.
        let mut gone = 0;
        for row in &known {
            let stamp = self.noted_user("deleted", Some(row), None);
            let deleted = self.store.delete_users(std::slice::from_ref(&row.user_id), &stamp).await;
            gone += deleted.map_err(failed)?.0.len();
        }
        self.drop_budgets_of(&places).await?;
        self.accounts_changed();
        Ok(gone.into())
    }

    pub(super) async fn list_users(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let asked = Asked(query);
        let (page, part) = pages(&asked, 25)?;
        let several = |name: &str| {
            let text = asked.text(name)?;
            Some(text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect::<Vec<_>>())
        };
        let filter = UserFilter {
            ids: several("user_ids"),
            sso_ids: several("sso_user_ids"),
            role: asked.text("role"),
            email_contains: asked.text("user_email").or_else(|| asked.text("search")),
            team_id: asked.text("team"),
            organization_id: one_of(several("organization_ids"))?,
        };
        let sort = match asked.text("sort_by").as_deref() {
            None | Some("created_at") => Sort::CreatedAt,
            Some("updated_at") => Sort::UpdatedAt,
            Some("user_id") => Sort::Id,
            Some("user_alias") => Sort::Alias,
            Some("user_email") => Sort::Address,
            Some("user_role") => Sort::Place,
            Some("spend") => Sort::Spend,
            Some("max_budget") => Sort::MaxBudget,
            Some(_) => {
                let words = "`sort_by` must be user_id, user_alias, user_email, user_role, created_at, updated_at, spend or \
                             max_budget";
                return Err(Failure::invalid(words).with_param("sort_by"));
            }
        };
        let descending =
            asked.text("sort_by").is_none() || asked.text("sort_order").is_some_and(|order| order == "desc");
        let listed = self.store.list_users(&filter, sort, descending, part).await.map_err(failed)?;
        let rows: Vec<User> = listed.rows.into_iter().map(|(row, _)| row).collect();
        let ids: Vec<String> = rows.iter().map(|row| row.user_id.clone()).collect();
        let counts: HashMap<String, i64> = self.store.key_counts(&ids).await.map_err(failed)?.into_iter().collect();
        let mut users = self.shown_users(&rows).await?;
        for (row, shown) in rows.iter().zip(&mut users) {
            shown.insert("key_count".to_owned(), counts.get(&row.user_id).copied().unwrap_or_default().into());
        }
        let pages = listed.total.saturating_add(part.limit - 1) / part.limit;
        Ok(json!({"users": users, "total": listed.total, "page": page, "page_size": part.limit, "total_pages": pages}))
    }

    /// The user of this id, made if there is none, as in `LiteLLM`: whoever becomes a member is a user.
    pub(super) async fn sure_user(&self, id: &str, email: Option<&str>) -> Result<User, Failure> {
        if let Some(row) = self.store.user(id).await.map_err(failed)? {
            return Ok(row);
        }
        let row = User {
            user_id: id.to_owned(),
            user_email: email.map(str::to_owned),
            created_at: self.now,
            updated_at: EpochMs(self.now.0),
            created_by: Some(self.actor()),
            version: 1,
            ..User::default()
        };
        match self.store.insert_user(&row, &self.noted_user("created", None, Some(&row))).await {
            Ok(()) | Err(StoreError::Taken { .. }) => Ok(row),
            Err(error) => Err(failed(error)),
        }
    }
}

fn one_of(ids: Option<Vec<String>>) -> Result<Option<String>, Failure> {
    match ids {
        Some(ids) if ids.len() > 1 => {
            Err(Failure::invalid("`organization_ids` can name one organization").with_param("organization_ids"))
        }
        ids => Ok(ids.and_then(|ids| ids.into_iter().next())),
    }
}

/// Teams or organizations that a body names: ids, or objects with a `team_id`.
fn places(body: &Map<String, Value>, name: &str) -> Result<Vec<Map<String, Value>>, Failure> {
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let items = value.as_array().filter(|items| items.len() <= MOST_PLACES).ok_or_else(|| wrong_place(name))?;
    let place = |item: &Value| match item {
        Value::String(id) => Ok(Map::from_iter([("team_id".to_owned(), id.as_str().into())])),
        Value::Object(place) => Ok(place.clone()),
        _ => Err(wrong_place(name)),
    };
    items.iter().map(place).collect()
}

fn wrong_place(name: &str) -> Failure {
    Failure::invalid(format!("`{name}` must be a list of at most 1,000 ids")).with_param(name)
}
