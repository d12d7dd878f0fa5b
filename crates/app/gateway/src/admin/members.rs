//! Who is in a team, as what, and what each may spend there (surface appendix B.5).

use serde_json::{Map, Value, json};
use tollgate_policy::BudgetOf;
use tollgate_store::{Budget, KeyFilter, KeyListing, KeySort, Member, Stamp, StoreError, Team, User};
use tollgate_wire::{Failure, FailureKind};

use super::{
    Desk,
    accounts::{Spender, renamed, stated},
    budget_rows,
    fields::Field,
    keys::MOST_NAMED,
    parties::{missing, text},
    teams::failed,
    users::TRIES,
};

/// What requests say of a member's budget, and how a budget calls it.
const LIMITS: [(&str, &str); 9] = [
    ("max_budget_in_team", "max_budget"),
    ("budget_duration", "budget_duration"),
    ("allowed_models", "allowed_models"),
    ("tpm_limit", "tpm_limit"),
    ("rpm_limit", "rpm_limit"),
    ("max_parallel_requests", "max_parallel_requests"),
    ("temp_budget_increase", "temp_budget_increase"),
    ("temp_budget_expiry", "temp_budget_expiry"),
    ("budget_id", "budget_id"),
];

/// One who is to be in a team.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) user_id: Option<String>,
    pub(super) user_email: Option<String>,
    pub(super) role: String,
}

/// Those that a request names: one, or a list.
pub(super) fn seats(value: &Value, name: &str) -> Result<Vec<Seat>, Failure> {
    let items = match value {
        Value::Array(items) if items.len() <= MOST_NAMED => items.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => {
            let words =
                format!("`{name}` must be {{\"role\": \"user\", \"user_id\": \"…\"}} or a list of at most 1,000 such");
            return Err(Failure::invalid(words).with_param(name));
        }
    };
    items.iter().map(|item| one_seat(item, name)).collect()
}

fn one_seat(item: &Value, name: &str) -> Result<Seat, Failure> {
    let refused = |what: &str| Failure::invalid(format!("each of `{name}` {what}")).with_param(name);
    let body = item.as_object().ok_or_else(|| refused("must be an object"))?;
    let stated = |field: &str| match body.get(field).filter(|value| !value.is_null()) {
        Some(_) => text(body, field).map(Some).map_err(|_| refused(&format!("must have a text as `{field}`"))),
        None => Ok(None),
    };
    let (user_id, user_email) = (stated("user_id")?, stated("user_email")?);
    if user_id.is_none() && user_email.is_none() {
        return Err(refused("must have a `user_id` or a `user_email`"));
    }
    let role = stated("role")?.unwrap_or_else(|| "user".to_owned());
    if !matches!(&*role, "admin" | "user") {
        return Err(refused("must have the `role` admin or user"));
    }
    Ok(Seat { user_id, user_email, role })
}

/// A member as its team's row shows it.
pub(super) fn seat(member: &Member) -> Value {
    json!({"role": member.role, "user_id": member.user_id, "user_email": member.user_email})
}

/// The budget that a member has for himself. The length keeps ids apart that hold colons.
fn own_budget(team: &str, user: &str) -> String {
    format!("member:{}:{team}:{user}", team.len())
}

impl Desk<'_> {
    /// The team that a body names, if whoever asks manages it.
    async fn led_team(&self, body: &Map<String, Value>) -> Result<Team, Failure> {
        let id = text(body, "team_id")?;
        if !self.leads_team(&id).await? {
            let words =
                format!("Call not allowed. User not proxy admin OR team admin. route={}, team_id={id}", self.path);
            return Err(Failure::new(FailureKind::RouteDenied, words).with_param("team_id"));
        }
        self.team(&id).await
    }

    /// Who a seat is for, made a user if he is none.
    pub(super) async fn sitter(&self, seat: &Seat) -> Result<User, Failure> {
        let email = seat.user_email.as_deref();
        if let Some(id) = &seat.user_id {
            return self.sure_user(id, email).await;
        }
        let email = email.unwrap_or_default();
        match self.user_at(email).await? {
            Some(user) => Ok(user),
            None => self.sure_user(&self.gateway.uuid_v4().to_string(), Some(email)).await,
        }
    }

    /// Puts one into a team, with a budget of his own if the request states one.
    pub(super) async fn join(&self, team: &Team, seat: Seat, limits: &Map<String, Value>) -> Result<Member, Failure> {
        let user = self.sitter(&seat).await?;
        let (user_id, user_email) = (user.user_id, seat.user_email.or(user.user_email));
        let taken = || {
            let words = format!("User already in team. Member: user_id={user_id}, team_id={}", team.team_id);
            Failure::invalid(words).with_param("member")
        };
        if self.store.member(&team.team_id, &user_id).await.map_err(failed)?.is_some() {
            return Err(taken());
        }
        let mut row = Member {
            team_id: team.team_id.clone(),
            user_id: user_id.clone(),
            user_email,
            role: seat.role,
            created_at: self.now,
            created_by: Some(self.actor()),
            version: 1,
            ..Member::default()
        };
        row.budget_id = self.budget_of_member(team, &row, limits).await?;
        match self.store.insert_member(&row, &self.noted_member("created", None, Some(&row))).await {
            Ok(()) => Ok(row),
            Err(StoreError::Taken { .. }) => Err(taken()),
            Err(error) => Err(failed(error)),
        }
    }

    /// A stamp for a change of who is in a team.
    fn noted_member(&self, action: &str, before: Option<&Member>, after: Option<&Member>) -> Stamp {
        let shown = |row: &Member| json!({"team_id": row.team_id, "user_id": row.user_id, "role": row.role, "budget_id": row.budget_id});
        let id = after.or(before).map(|row| format!("{}:{}", row.team_id, row.user_id)).unwrap_or_default();
        self.noted(action, "LiteLLM_TeamMembership", &id, (before.map(shown), after.map(shown)))
    }

    /// The budget of a member as a request states it. What it does not state of a first one of his own is as it was for him: as
    /// the team says for all.
    async fn budget_of_member(
        &self,
        team: &Team,
        row: &Member,
        body: &Map<String, Value>,
    ) -> Result<Option<String>, Failure> {
        let mut limits = stated(body, &LIMITS);
        let says = limits.iter().any(|(name, value)| name != "budget_id" && !value.is_null());
        if let (None, true, Some(shared)) = (&row.budget_id, says, &team.member_budget_id) {
            let shared = self.store.budget(shared).await.map_err(failed)?;
            let shared = shared.as_ref().map(budget_rows::read).unwrap_or_default();
            for name in budget_rows::FIELDS {
                if let Some(value) = shared.get(name).filter(|value| !value.is_null()) {
                    limits.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        let own = own_budget(&row.team_id, &row.user_id);
        let budget = self.budget_for(&limits, &own, row.budget_id.clone()).await;
        budget.map_err(|failure| renamed(failure, &LIMITS))
    }

    pub(super) async fn add_members(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let team = self.led_team(body).await?;
        let seats = seats(body.get("member").unwrap_or(&Value::Null), "member")?;
        self.are_new(&team, &seats).await?;
        let (mut users, mut memberships) = (Vec::new(), Vec::new());
        for seat in seats {
            let member = self.join(&team, seat, body).await?;
            users.push(self.sure_user(&member.user_id, None).await?);
            memberships.push(member);
        }
        self.accounts_changed();
        let mut answer = self.shown_team(&team.team_id).await?;
        let users = self.shown_users(&users).await?;
        let memberships = self.shown_places(&team, &memberships).await?;
        if let Value::Object(answer) = &mut answer {
            answer.insert("updated_users".to_owned(), users.into());
            answer.insert("updated_team_memberships".to_owned(), memberships.into());
        }
        Ok(answer)
    }

    /// All or nobody is added where somebody is in the team already.
    async fn are_new(&self, team: &Team, seats: &[Seat]) -> Result<(), Failure> {
        let known = self.store.members_of(&team.team_id).await.map_err(failed)?;
        for seat in seats {
            let id = match (&seat.user_id, &seat.user_email) {
                (Some(id), _) => Some(id.clone()),
                (None, Some(email)) => self.user_at(email).await?.map(|user| user.user_id),
                (None, None) => None,
            };
            if let Some(id) = id.filter(|id| known.iter().any(|member| member.user_id == *id)) {
                let words = format!("User already in team. Member: user_id={id}, team_id={}", team.team_id);
                return Err(Failure::invalid(words).with_param("member"));
            }
        }
        Ok(())
    }

    pub(super) async fn add_many_members(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let team = self.led_team(body).await?;
        let seats = seats(body.get("members").unwrap_or(&Value::Null), "members")?;
        let (asked, mut done, mut results) = (seats.len(), 0, Vec::new());
        for seat in seats {
            let (id, email) = (seat.user_id.clone(), seat.user_email.clone());
            results.push(match self.join(&team, seat, body).await {
                Ok(member) => {
                    done += 1;
                    let place = self.shown_places(&team, std::slice::from_ref(&member)).await?.pop();
                    json!({
                        "user_id": member.user_id, "user_email": member.user_email, "success": true, "error": null,
                        "updated_team_membership": place,
                    })
                }
                Err(failure) => json!({
                    "user_id": id, "user_email": email, "success": false, "error": failure.client_message(),
                    "updated_team_membership": null,
                }),
            });
        }
        self.accounts_changed();
        Ok(json!({
            "team_id": team.team_id, "results": results, "total_requested": asked, "successful_additions": done,
            "failed_additions": asked - done, "updated_team": self.shown_team(&team.team_id).await?,
        }))
    }

    /// The member that a body names by `user_id` or `user_email`.
    async fn named_member(&self, team: &Team, body: &Map<String, Value>) -> Result<Member, Failure> {
        let id = match body.get("user_id").filter(|id| !id.is_null()) {
            Some(_) => Some(text(body, "user_id")?),
            None if body.get("user_email").is_none_or(Value::is_null) => {
                let words = "Either user_id or user_email must be passed in";
                return Err(Failure::invalid(words).with_param("user_id"));
            }
            None => None,
        };
        let found = match &id {
            Some(id) => self.store.member(&team.team_id, id).await.map_err(failed)?,
            None => {
                let email = text(body, "user_email")?;
                let is_it = |member: &Member| {
                    member.user_email.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(&email))
                };
                let known = self.store.members_of(&team.team_id).await.map_err(failed)?.into_iter().find(is_it);
                match (known, self.user_at(&email).await?) {
                    (Some(member), _) => Some(member),
                    (None, Some(user)) => self.store.member(&team.team_id, &user.user_id).await.map_err(failed)?,
                    (None, None) => None,
                }
            }
        };
        let named = if id.is_some() { "user_id" } else { "user_email" };
        found.ok_or_else(|| missing(&format!("User not found in team={}", team.team_id), named))
    }

    pub(super) async fn update_member(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let team = self.led_team(body).await?;
        let role = Field { name: "role", value: body.get("role").unwrap_or(&Value::Null) };
        let role = match role.text()? {
            Some(text) if !matches!(&*text, "admin" | "user") => return Err(role.refused("must be admin or user")),
            stated => stated,
        };
        let mut tries = 0;
        let row = loop {
            let mut row = self.named_member(&team, body).await?;
            let read = self.version.unwrap_or(row.version);
            if read != row.version {
                return Err(failed(StoreError::Stale));
            }
            let before = row.clone();
            row.role = role.clone().unwrap_or(row.role);
            row.budget_id = self.budget_of_member(&team, &row, body).await?;
            tries += 1;
            let stamp = self.noted_member("updated", Some(&before), Some(&row));
            match self.store.update_member(&row, read, &stamp).await {
                Ok(_) => break row,
                Err(StoreError::Stale) if self.version.is_none() && tries < TRIES => {}
                Err(error) => return Err(failed(error)),
            }
        };
        self.accounts_changed();
        let budget = self.budgets(std::iter::once(row.budget_id.clone())).await?;
        let limits = budget.values().next().map(budget_rows::read).unwrap_or_default();
        let mut answer = Map::from_iter([
            ("team_id".to_owned(), row.team_id.into()),
            ("user_id".to_owned(), row.user_id.into()),
            ("user_email".to_owned(), json!(row.user_email)),
            ("role".to_owned(), row.role.into()),
        ]);
        for (name, column) in LIMITS {
            answer.insert(name.to_owned(), limits.get(column).cloned().unwrap_or_default());
        }
        Ok(answer.into())
    }

    /// Takes one out of a team, with his keys there.
    pub(super) async fn delete_member(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let team = self.led_team(body).await?;
        let member = self.named_member(&team, body).await?;
        let filter = KeyFilter {
            team_id: Some(team.team_id.clone()),
            user_id: Some(member.user_id.clone()),
            ..KeyFilter::default()
        };
        loop {
            let listing = KeyListing {
                filter: filter.clone(),
                sort: KeySort::CreatedAt,
                descending: false,
                after: None,
                offset: 0,
                limit: 1000,
                count: false,
            };
            let keys = self.store.list_keys(&listing).await.map_err(failed)?.keys;
            if keys.is_empty() {
                break;
            }
            let tokens: Vec<String> = keys.into_iter().map(|(row, _)| row.token).collect();
            self.store.delete_keys(&tokens, &self.stamp()).await.map_err(failed)?;
        }
        let stamp = self.noted_member("deleted", Some(&member), None);
        self.store.delete_member(&team.team_id, &member.user_id, &stamp).await.map_err(failed)?;
        self.drop_budgets_of(std::slice::from_ref(&member)).await?;
        self.accounts_changed();
        self.shown_team(&team.team_id).await
    }

    /// The budgets that those who are no members any more had for themselves.
    pub(super) async fn drop_budgets_of(&self, members: &[Member]) -> Result<(), Failure> {
        let own: Vec<String> = members.iter().map(|member| own_budget(&member.team_id, &member.user_id)).collect();
        self.store.delete_budgets(&own, &self.stamp()).await.map(|_| ()).map_err(failed)
    }

    /// The places of a team as `/team/info` shows them.
    pub(super) async fn shown_members(&self, team_id: &str) -> Result<Vec<Value>, Failure> {
        let team = self.team(team_id).await?;
        let members = self.store.members_of(team_id).await.map_err(failed)?;
        self.shown_places(&team, &members).await
    }

    async fn shown_places(&self, team: &Team, members: &[Member]) -> Result<Vec<Value>, Failure> {
        let named = members.iter().map(|member| member.budget_id.clone());
        let budgets = self.budgets(named.chain(std::iter::once(team.member_budget_id.clone()))).await?;
        let find = |id: &Option<String>| id.as_ref().and_then(|id| budgets.get(id));
        let mut shown: Vec<(Spender, Map<String, Value>)> = Vec::with_capacity(members.len());
        for member in members {
            let budget: Option<&Budget> = find(&member.budget_id).or_else(|| find(&team.member_budget_id));
            let of = BudgetOf::Member { team: member.team_id.as_str().into(), user: member.user_id.as_str().into() };
            let duration = budget.and_then(|budget| budget.budget_duration.clone());
            let told = Map::from_iter([
                ("user_id".to_owned(), member.user_id.as_str().into()),
                ("team_id".to_owned(), member.team_id.as_str().into()),
                ("user_email".to_owned(), json!(member.user_email)),
                ("role".to_owned(), member.role.as_str().into()),
                ("budget_id".to_owned(), json!(budget.map(|budget| &budget.budget_id))),
                ("litellm_budget_table".to_owned(), budget.map(budget_rows::read).unwrap_or_default()),
                ("version".to_owned(), member.version.into()),
            ]);
            shown.push((Spender { of, duration, began: member.created_at }, told));
        }
        self.tell_spent(&mut shown).await?;
        Ok(shown.into_iter().map(|(_, told)| told.into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_or_a_list_is_named_by_id_or_address() {
        let one = seats(&json!({"role": "admin", "user_id": "ann"}), "member").unwrap();
        assert_eq!((one.len(), one[0].role.as_str(), one[0].user_id.as_deref()), (1, "admin", Some("ann")));
        assert_eq!(seats(&json!([{"user_email": "a@b"}, {"user_id": "bob"}]), "member").unwrap().len(), 2);
        for wrong in
            [json!(null), json!("ann"), json!([1]), json!({"role": "user"}), json!({"role": "root", "user_id": "a"})]
        {
            let refused = seats(&wrong, "member").unwrap_err();
            assert_eq!((refused.http_status(), refused.param.as_deref()), (400, Some("member")), "{wrong}");
        }
    }

    #[test]
    fn budgets_of_members_are_told_apart() {
        assert_ne!(own_budget("a:b", "c"), own_budget("a", "b:c"));
    }
}
