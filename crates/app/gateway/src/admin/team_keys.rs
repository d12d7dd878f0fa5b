//! What admins of a team may do with its keys (surface chapter 7.7): all that they may do with their own. What a key may spend and
//! reach is bounded by its team, whose limits are not theirs to set.

use serde_json::{Map, Value};
use tollgate_policy::Role;
use tollgate_store::Key;
use tollgate_wire::Failure;

use super::{Desk, failure_of};

/// What would take a key out of the team, or give it what is not the team's.
const NOT_THEIRS: [&str; 4] = ["organization_id", "project_id", "spend", "budget_id"];

fn names(body: &Map<String, Value>, name: &str) -> bool {
    body.get(name).is_some_and(|value| !value.is_null())
}

impl Desk<'_> {
    /// Whether a key is one of a team whose admin asks.
    pub(super) async fn leads_key(&self, row: &Key) -> Result<bool, Failure> {
        let Some(team) = row.team_id.as_deref().filter(|_| !self.caller.is_admin()) else { return Ok(false) };
        Ok(self.leads_team(team).await? && self.is_plain(row.user_id.as_deref()).await?)
    }

    /// Whether a key is one of a team whose admin asks, and may be changed so by him.
    pub(super) async fn leads_change(&self, row: &Key, body: &Map<String, Value>) -> Result<bool, Failure> {
        let moves = ["user_id", "team_id"].iter().chain(&NOT_THEIRS).any(|name| body.contains_key(*name));
        Ok(!moves && self.leads_key(row).await?)
    }

    /// Whether whoever asks may make this key as admin of its team: nobody's own, or a member's.
    pub(super) async fn makes_for_team(&self, body: &Map<String, Value>) -> Result<bool, Failure> {
        let Some(team) = body.get("team_id").and_then(Value::as_str).filter(|_| !self.caller.is_admin()) else {
            return Ok(false);
        };
        if NOT_THEIRS.iter().any(|name| names(body, name)) || !self.leads_team(team).await? {
            return Ok(false);
        }
        let Some(user) = body.get("user_id").filter(|user| !user.is_null()) else { return Ok(true) };
        let Some(user) = user.as_str() else { return Ok(false) };
        let member = self.store.member(team, user).await.map_err(|error| failure_of(error, ""))?;
        Ok(member.is_some() && self.is_plain(Some(user)).await?)
    }

    /// Whether a user manages nothing beside what is his own: a key of another has that one's rights.
    async fn is_plain(&self, user: Option<&str>) -> Result<bool, Failure> {
        let Some(user) = user else { return Ok(true) };
        let row = self.store.user(user).await.map_err(|error| failure_of(error, ""))?;
        let role = row.and_then(|row| row.user_role).and_then(|role| Role::parse(&role)).unwrap_or_default();
        Ok(!matches!(role, Role::Admin | Role::AdminViewer))
    }
}
