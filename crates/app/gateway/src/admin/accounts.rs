//! Management of those above keys: users, teams, their members, organizations (surface chapter 4.5).

use std::collections::HashMap;

use http::Method;
use serde_json::{Map, Value};
use tollgate_policy::{Budget, BudgetOf, Role};
use tollgate_store::{EpochMs, KeyFilter, KeyListing, KeySort, NanoDollars, Window};
use tollgate_wire::Failure;

use super::{
    Desk, failure_of,
    fields::{self, iso, usd},
};
use crate::projection;

/// Keys that are shown with whom they belong to, at most.
const MOST_KEYS: i64 = 1000;

/// What a management route does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the path that stands beside it below")]
pub enum AccountAction {
    NewUser,
    UserInfo,
    FlatUserInfo,
    UpdateUser,
    UpdateUsers,
    DeleteUsers,
    ListUsers,
    UserRoles,
    NewTeam,
    UpdateTeam,
    TeamInfo,
    ListTeams,
    ListTeamPages,
    DeleteTeams,
    BlockTeam,
    UnblockTeam,
    AddTeamModels,
    DeleteTeamModels,
    AddMembers,
    UpdateMember,
    DeleteMember,
    AddManyMembers,
    NewOrganization,
    UpdateOrganization,
    DeleteOrganizations,
    ListOrganizations,
    OrganizationInfo,
    AddOrganizationMembers,
    UpdateOrganizationMember,
    DeleteOrganizationMember,
}

/// Each with its method, its path, and whether it is the admin's alone: of the others each says itself who may.
const TABLE: [(AccountAction, Method, &str, bool); 30] = [
    (AccountAction::NewUser, Method::POST, "/user/new", true),
    (AccountAction::UserInfo, Method::GET, "/user/info", false),
    (AccountAction::FlatUserInfo, Method::GET, "/v2/user/info", false),
    (AccountAction::UpdateUser, Method::POST, "/user/update", true),
    (AccountAction::UpdateUsers, Method::POST, "/user/bulk_update", true),
    (AccountAction::DeleteUsers, Method::POST, "/user/delete", true),
    (AccountAction::ListUsers, Method::GET, "/user/list", true),
    (AccountAction::UserRoles, Method::GET, "/user/available_roles", false),
    (AccountAction::NewTeam, Method::POST, "/team/new", true),
    (AccountAction::UpdateTeam, Method::POST, "/team/update", true),
    (AccountAction::TeamInfo, Method::GET, "/team/info", false),
    (AccountAction::ListTeams, Method::GET, "/team/list", false),
    (AccountAction::ListTeamPages, Method::GET, "/v2/team/list", false),
    (AccountAction::DeleteTeams, Method::POST, "/team/delete", true),
    (AccountAction::BlockTeam, Method::POST, "/team/block", true),
    (AccountAction::UnblockTeam, Method::POST, "/team/unblock", true),
    (AccountAction::AddTeamModels, Method::POST, "/team/model/add", true),
    (AccountAction::DeleteTeamModels, Method::POST, "/team/model/delete", true),
    (AccountAction::AddMembers, Method::POST, "/team/member_add", false),
    (AccountAction::UpdateMember, Method::POST, "/team/member_update", false),
    (AccountAction::DeleteMember, Method::POST, "/team/member_delete", false),
    (AccountAction::AddManyMembers, Method::POST, "/team/bulk_member_add", false),
    (AccountAction::NewOrganization, Method::POST, "/organization/new", true),
    (AccountAction::UpdateOrganization, Method::PATCH, "/organization/update", true),
    (AccountAction::DeleteOrganizations, Method::DELETE, "/organization/delete", true),
    (AccountAction::ListOrganizations, Method::GET, "/organization/list", false),
    (AccountAction::OrganizationInfo, Method::GET, "/organization/info", false),
    (AccountAction::AddOrganizationMembers, Method::POST, "/organization/member_add", true),
    (AccountAction::UpdateOrganizationMember, Method::PATCH, "/organization/member_update", true),
    (AccountAction::DeleteOrganizationMember, Method::DELETE, "/organization/member_delete", true),
];

impl AccountAction {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(action, ..)| *action)
    }

    fn line(self) -> Option<&'static (Self, Method, &'static str, bool)> {
        TABLE.iter().find(|(action, ..)| *action == self)
    }

    /// The path.
    #[must_use]
    pub fn path(self) -> &'static str {
        self.line().map_or("", |(_, _, path, _)| path)
    }

    /// How it is asked for.
    #[must_use]
    pub fn method(self) -> Method {
        self.line().map_or(Method::POST, |(_, method, ..)| method.clone())
    }

    /// It changes something.
    #[must_use]
    pub fn writes(self) -> bool {
        self.method() != Method::GET
    }

    /// It is the admin's alone.
    pub(super) fn is_admins(self) -> bool {
        self.line().is_none_or(|(_, _, _, admins)| *admins)
    }
}

/// One whose spend is told.
pub(super) struct Spender {
    pub(super) of: BudgetOf,
    pub(super) duration: Option<String>,
    pub(super) began: EpochMs,
}

impl Desk<'_> {
    pub(super) async fn account(
        &self,
        action: AccountAction,
        query: &HashMap<String, String>,
        body: Map<String, Value>,
    ) -> Result<Value, Failure> {
        match action {
            AccountAction::NewUser => self.new_user(body).await,
            AccountAction::UserInfo => self.user_info(query).await,
            AccountAction::FlatUserInfo => self.flat_user_info(query).await,
            AccountAction::UpdateUser => self.update_user(&body).await,
            AccountAction::UpdateUsers => self.update_users(&body).await,
            AccountAction::DeleteUsers => self.delete_users(&body).await,
            AccountAction::ListUsers => self.list_users(query).await,
            AccountAction::UserRoles => Ok(super::user_rows::roles()),
            AccountAction::NewTeam => self.new_team(body).await,
            AccountAction::UpdateTeam => self.update_team(body).await,
            AccountAction::TeamInfo => self.team_info(query).await,
            AccountAction::ListTeams => self.list_teams(query).await,
            AccountAction::ListTeamPages => self.list_team_pages(query).await,
            AccountAction::DeleteTeams => self.delete_teams(&body).await,
            AccountAction::BlockTeam => self.block_team(&body, true).await,
            AccountAction::UnblockTeam => self.block_team(&body, false).await,
            AccountAction::AddTeamModels => self.change_team_models(&body, true).await,
            AccountAction::DeleteTeamModels => self.change_team_models(&body, false).await,
            AccountAction::AddMembers => self.add_members(&body).await,
            AccountAction::UpdateMember => self.update_member(&body).await,
            AccountAction::DeleteMember => self.delete_member(&body).await,
            AccountAction::AddManyMembers => self.add_many_members(&body).await,
            AccountAction::NewOrganization => self.new_organization(&body).await,
            AccountAction::UpdateOrganization => self.update_organization(&body).await,
            AccountAction::DeleteOrganizations => self.delete_organizations(&body).await,
            AccountAction::ListOrganizations => self.list_organizations(query).await,
            AccountAction::OrganizationInfo => self.organization_info(query).await,
            AccountAction::AddOrganizationMembers => self.add_organization_members(&body).await,
            AccountAction::UpdateOrganizationMember => self.update_organization_member(&body).await,
            AccountAction::DeleteOrganizationMember => self.delete_organization_member(&body).await,
        }
    }

    /// Whether whoever asks sees everything.
    pub(super) fn sees_all(&self) -> bool {
        self.caller.is_admin() || self.caller.key().is_some_and(|key| key.role == Role::AdminViewer)
    }

    /// The user that whoever asks is.
    pub(super) fn own_user(&self) -> Option<&str> {
        self.caller.key()?.user.as_deref()
    }

    /// Whether whoever asks manages a team: the admin, and its members who are its admins.
    pub(super) async fn leads_team(&self, team_id: &str) -> Result<bool, Failure> {
        if self.caller.is_admin() {
            return Ok(true);
        }
        let Some(user) = self.caller.key().filter(|key| key.role == Role::User).and_then(|key| key.user.as_deref())
        else {
            return Ok(false);
        };
        let member = self.store.member(team_id, user).await.map_err(|error| failure_of(error, ""))?;
        Ok(member.is_some_and(|member| member.role == "admin"))
    }

    /// Keys as they are shown with whom they belong to, the newest first.
    pub(super) async fn shown_keys(&self, filter: KeyFilter, most: i64) -> Result<Vec<Value>, Failure> {
        let limit = most.clamp(0, MOST_KEYS);
        let sort = KeySort::CreatedAt;
        let listing = KeyListing { filter, sort, descending: true, after: None, offset: 0, limit, count: false };
        let listed = self.store.list_keys(&listing).await.map_err(|error| failure_of(error, ""))?;
        let mut shown: Vec<_> =
            listed.keys.iter().map(|(row, spent)| (row, fields::info(row, *spent, self.now))).collect();
        self.tell_windows(&mut shown).await?;
        Ok(shown.into_iter().map(|(_, info)| info.into()).collect())
    }

    /// Puts what each has spent into what is shown of him: `spend` of the window of now, where there is one, as in `LiteLLM`;
    /// `total_spend` of all time.
    pub(super) async fn tell_spent(&self, shown: &mut [(Spender, Map<String, Value>)]) -> Result<(), Failure> {
        let windows: Vec<_> = shown.iter().map(|(spender, _)| self.windows_of(spender)).collect();
        let each = windows.iter().flat_map(|(forever, now)| forever.iter().chain(now.iter().map(|(window, _)| window)));
        let mut scopes: Vec<(String, String)> = each.map(|window| (window.kind.clone(), window.id.clone())).collect();
        scopes.sort();
        scopes.dedup();
        let totals = self.store.totals_of(&scopes).await.map_err(|error| failure_of(error, ""))?;
        let spent: HashMap<Window, NanoDollars> =
            totals.into_iter().map(|total| (total.window, total.settled)).collect();
        let under = |window: &Window| usd(spent.get(window).map_or(0, |spent| spent.0));
        for ((_, told), (forever, now)) in shown.iter_mut().zip(windows) {
            let total = forever.as_ref().map_or_else(|| usd(0), under);
            told.insert("spend".to_owned(), now.as_ref().map_or_else(|| total.clone(), |(window, _)| under(window)));
            told.insert("total_spend".to_owned(), total);
            let reset = now.map_or(Value::Null, |(_, end)| iso(EpochMs(end.saturating_mul(1000))).into());
            told.insert("budget_reset_at".to_owned(), reset);
        }
        Ok(())
    }

    /// The window of all time, and that of now with its end, seconds since 1970.
    fn windows_of(&self, spender: &Spender) -> (Option<Window>, Option<(Window, i64)>) {
        let window = |duration: Option<&str>| {
            let duration = duration.map(Into::into);
            let began = spender.began.0.div_euclid(1000);
            let budget = Budget { of: spender.of.clone(), most: 0, duration, began };
            let payers = self.gateway.budgets.payers(std::iter::once(&budget));
            payers.slots().first().map(|slot| (projection::window(slot), self.gateway.budgets.end_of(slot)))
        };
        let now = spender.duration.as_deref().and_then(|duration| window(Some(duration)));
        (window(None).map(|(window, _)| window), now)
    }

    /// Whoever stands above keys is another now: keys are looked up anew; other instances hear of it.
    pub(super) fn accounts_changed(&self) {
        self.callers.forget_all();
    }
}

/// What a request states under the left names, under the right ones.
pub(super) fn stated(body: &Map<String, Value>, names: &[(&str, &str)]) -> Map<String, Value> {
    let of = |(from, to): &(&str, &str)| Some(((*to).to_owned(), body.get(*from)?.clone()));
    names.iter().filter_map(of).collect()
}

/// A refusal that names a field as the client does.
pub(super) fn renamed(mut failure: Failure, names: &[(&str, &str)]) -> Failure {
    let named = names.iter().find(|(from, to)| from != to && failure.param.as_deref() == Some(*to));
    if let Some((from, to)) = named {
        failure.message = failure.message.replace(&format!("`{to}`"), &format!("`{from}`"));
        failure.param = Some((*from).into());
    }
    failure
}

/// Which page a query asks for, and how many are on it.
pub(super) fn pages(asked: &super::listing::Asked<'_>, default: i64) -> Result<(i64, tollgate_store::Page), Failure> {
    let page = asked.number("page", 1, super::listing::LAST_PAGE)?;
    let size_named = if asked.text("page_size").is_some() { "page_size" } else { "size" };
    let limit = asked.number(size_named, default, super::listing::LARGEST_PAGE)?;
    Ok((page, tollgate_store::Page { offset: (page - 1) * limit, limit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_one_path_of_its_own() {
        let mut paths: Vec<&str> = AccountAction::all().map(AccountAction::path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), TABLE.len());
        for action in AccountAction::all() {
            assert!(action.path().starts_with('/'), "{action:?}");
            assert_eq!(AccountAction::all().filter(|one| *one == action).count(), 1, "{action:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_that_was_sent() {
        let names = [("max_budget_in_team", "max_budget"), ("rpm_limit", "rpm_limit")];
        let body = serde_json::json!({"max_budget_in_team": -1, "other": 2});
        assert_eq!(
            stated(body.as_object().unwrap(), &names),
            *serde_json::json!({"max_budget": -1}).as_object().unwrap()
        );
        let refused = renamed(Failure::invalid("`max_budget` must be more").with_param("max_budget"), &names);
        assert_eq!(
            (refused.client_message().as_ref(), refused.param.as_deref()),
            ("`max_budget_in_team` must be more", Some("max_budget_in_team"))
        );
    }
}
