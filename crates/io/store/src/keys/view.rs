//! A key with everything that limits it, in one question.

use sqlx::SqlStr;

use super::Key;
use crate::{
    Budget, EpochMs, Member, NanoDollars, Organization, Project, Store, StoreError, Team, User,
    row::Table,
    session::{Columns, Read},
    statement::{Draft, Statement},
    values::Field,
};

/// A key, whose it is, and what limits it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyView {
    /// Until when the token works that was asked for, if the key has a newer one.
    pub old_until: Option<EpochMs>,
    /// All that was ever spent with it.
    pub spend: NanoDollars,
    /// The key.
    pub key: Key,
    /// The budget that it refers to.
    pub budget: Option<Budget>,
    /// Its user.
    pub user: Option<User>,
    /// Its team.
    pub team: Option<Team>,
    /// Its user's place in the team.
    pub member: Option<Member>,
    /// What the member may spend: its own, else the one for all members of the team.
    pub member_budget: Option<Budget>,
    /// Its organization, or its team's.
    pub organization: Option<Organization>,
    /// What the organization may spend.
    pub organization_budget: Option<Budget>,
    /// Its project.
    pub project: Option<Project>,
    /// What the project may spend.
    pub project_budget: Option<Budget>,
}

impl Store {
    /// The key of a token, or of the token that followed it as long as the old one works, with all that limits it.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn find_key(&self, token: &str, now: EpochMs) -> Result<Option<KeyView>, StoreError> {
        let asked = Statement::again(self.view()).bind(token).bind(now);
        self.within(async { self.reader().await?.first(asked).await }).await
    }
}

/// The question, built once: it names some two hundred columns.
pub(crate) fn text() -> SqlStr {
    let mut draft = Draft::new("SELECT o.until, COALESCE(s.settled, 0)");
    draft.push(", ").names("k.", Key::COLUMNS).push(", ").names("b.", Budget::COLUMNS);
    draft.push(", ").names("u.", User::COLUMNS).push(", ").names("t.", Team::COLUMNS);
    draft.push(", ").names("m.", Member::COLUMNS).push(", ").names("mb.", Budget::COLUMNS);
    draft.push(", ").names("g.", Organization::COLUMNS).push(", ").names("gb.", Budget::COLUMNS);
    draft.push(", ").names("p.", Project::COLUMNS).push(", ").names("pb.", Budget::COLUMNS);
    draft.push(
        " FROM keys AS k \
         LEFT JOIN old_tokens AS o ON o.token = $1 AND o.until > $2 \
         LEFT JOIN totals AS s ON s.kind = 'key' AND s.id = k.origin AND s.window_start = 0 \
         LEFT JOIN budgets AS b ON b.budget_id = k.budget_id \
         LEFT JOIN users AS u ON u.user_id = k.user_id \
         LEFT JOIN teams AS t ON t.team_id = k.team_id \
         LEFT JOIN members AS m ON m.team_id = k.team_id AND m.user_id = k.user_id \
         LEFT JOIN budgets AS mb ON mb.budget_id = COALESCE(m.budget_id, CASE WHEN m.user_id IS NULL THEN NULL ELSE t.member_budget_id END) \
         LEFT JOIN organizations AS g ON g.organization_id = COALESCE(k.organization_id, t.organization_id) \
         LEFT JOIN budgets AS gb ON gb.budget_id = g.budget_id \
         LEFT JOIN projects AS p ON p.project_id = k.project_id \
         LEFT JOIN budgets AS pb ON pb.budget_id = p.budget_id \
         WHERE k.token = COALESCE((SELECT successor FROM old_tokens WHERE token = $1 AND until > $2), $1)",
    );
    draft.done().sql
}

impl Read for KeyView {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            old_until: Field::take(columns)?,
            spend: NanoDollars::take(columns)?,
            key: Key::read(columns)?,
            budget: Budget::read_joined(columns)?,
            user: User::read_joined(columns)?,
            team: Team::read_joined(columns)?,
            member: Member::read_joined(columns)?,
            member_budget: Budget::read_joined(columns)?,
            organization: Organization::read_joined(columns)?,
            organization_budget: Budget::read_joined(columns)?,
            project: Project::read_joined(columns)?,
            project_budget: Budget::read_joined(columns)?,
        })
    }
}
