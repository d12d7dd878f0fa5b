//! Lists of everything but keys, paged by number.

use crate::{
    Budget, ConfigRow, Credential, Customer, Kind, Member, Model, Organization, OrganizationMember, Project, Spent,
    Stamp, Store, StoreError, Tag, Team, User, changes,
    keys::{self, Key, holding},
    row::Table,
    session::{Columns, Read},
    statement::{Draft, Statement},
    tables,
};

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many are left out before it.
    pub offset: i64,
    /// How many it has at most.
    pub limit: i64,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// Its rows, with what was spent in their names.
    pub rows: Vec<(T, Spent)>,
    /// How many there are in the whole list.
    pub total: i64,
}

/// Which users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserFilter {
    /// Only these.
    pub ids: Option<Vec<String>>,
    /// Only those with these ids at the identity provider.
    pub sso_ids: Option<Vec<String>>,
    /// Only those with this role.
    pub role: Option<String>,
    /// Only those whose address holds this, in whatever case.
    pub email_contains: Option<String>,
    /// Only those in this team.
    pub team_id: Option<String>,
    /// Only those in this organization.
    pub organization_id: Option<String>,
}

/// By what users and teams are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When they were made.
    #[default]
    CreatedAt,
    /// When they were changed.
    UpdatedAt,
    /// By id.
    Id,
    /// By the name to show.
    Alias,
    /// By what they spent.
    Spend,
    /// By what they may spend.
    MaxBudget,
    /// By role (users) or organization (teams).
    Place,
    /// By address (users) or name (teams).
    Address,
}

/// Which teams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TeamFilter {
    /// Only these.
    pub ids: Option<Vec<String>>,
    /// Only those this user is in.
    pub user_id: Option<String>,
    /// Only those of this organization.
    pub organization_id: Option<String>,
    /// Only those whose name holds this, in whatever case.
    pub alias_contains: Option<String>,
}

impl Store {
    /// Lists users.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn list_users(
        &self,
        filter: &UserFilter,
        sort: Sort,
        descending: bool,
        page: Page,
    ) -> Result<Listed<User>, StoreError> {
        let conditions = |draft: &mut Draft| {
            one_of(draft, " AND r.user_id IN ", filter.ids.as_deref());
            one_of(draft, " AND r.sso_user_id IN ", filter.sso_ids.as_deref());
            equal(draft, " AND r.user_role = ", filter.role.as_deref());
            holds(draft, " AND lower(r.user_email) LIKE ", filter.email_contains.as_deref());
            let in_team = " AND r.user_id IN (SELECT user_id FROM members WHERE team_id = ";
            within(draft, in_team, filter.team_id.as_deref());
            let inside = " AND r.user_id IN (SELECT user_id FROM organization_members WHERE organization_id = ";
            within(draft, inside, filter.organization_id.as_deref());
        };
        let by = match sort {
            Sort::Id => "r.user_id",
            Sort::Alias => "COALESCE(r.user_alias, '')",
            Sort::Place => "COALESCE(r.user_role, '')",
            Sort::Address => "COALESCE(r.user_email, '')",
            other => common(other),
        };
        self.listed(conditions, by, descending, page).await
    }

    /// Lists teams.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn list_teams(
        &self,
        filter: &TeamFilter,
        sort: Sort,
        descending: bool,
        page: Page,
    ) -> Result<Listed<Team>, StoreError> {
        let conditions = |draft: &mut Draft| {
            one_of(draft, " AND r.team_id IN ", filter.ids.as_deref());
            within(draft, " AND r.team_id IN (SELECT team_id FROM members WHERE user_id = ", filter.user_id.as_deref());
            equal(draft, " AND r.organization_id = ", filter.organization_id.as_deref());
            holds(draft, " AND lower(r.team_alias) LIKE ", filter.alias_contains.as_deref());
        };
        let by = match sort {
            Sort::Id => "r.team_id",
            Sort::Alias | Sort::Address => "COALESCE(r.team_alias, '')",
            Sort::Place => "COALESCE(r.organization_id, '')",
            other => common(other),
        };
        self.listed(conditions, by, descending, page).await
    }

    async fn listed<T: Table>(
        &self,
        conditions: impl Fn(&mut Draft),
        by: &'static str,
        descending: bool,
        page: Page,
    ) -> Result<Listed<T>, StoreError> {
        let id = T::ID.first().copied().unwrap_or_default();
        let mut counted = Draft::new("SELECT COUNT(*) FROM ");
        counted.push(T::NAME).push(" AS r WHERE true");
        conditions(&mut counted);
        let mut draft = Draft::new("SELECT ");
        draft.names("r.", T::COLUMNS).push(", s.settled, s.last_at FROM ").push(T::NAME);
        draft.push(" AS r LEFT JOIN totals AS s ON s.kind = ").value(T::KIND.name());
        draft.push(" AND s.id = r.").push(id).push(" AND s.window_start = 0 WHERE true");
        conditions(&mut draft);
        let direction = if descending { " DESC" } else { "" };
        draft.push(" ORDER BY ").push(if by.is_empty() { "r.created_at" } else { by }).push(direction);
        draft.push(", r.").push(id).push(direction);
        draft.push(" LIMIT ").value(page.limit).push(" OFFSET ").value(page.offset);
        self.within(async {
            let mut db = self.reader().await?;
            let total = db.one(counted.done()).await?;
            let rows: Vec<WithSpent<T>> = db.all(draft.done()).await?;
            Ok(Listed { rows: rows.into_iter().map(|row| (row.row, row.spent)).collect(), total })
        })
        .await
    }

    /// The members of a team.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn members_of(&self, team_id: &str) -> Result<Vec<Member>, StoreError> {
        self.all_with("team_id", team_id).await
    }

    /// The teams that a user is in.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn memberships_of(&self, user_id: &str) -> Result<Vec<Member>, StoreError> {
        self.all_with("user_id", user_id).await
    }

    /// The members of an organization.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn organization_members_of(&self, organization_id: &str) -> Result<Vec<OrganizationMember>, StoreError> {
        self.all_with("organization_id", organization_id).await
    }

    /// The organizations that a user is in.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn organizations_of(&self, user_id: &str) -> Result<Vec<OrganizationMember>, StoreError> {
        self.all_with("user_id", user_id).await
    }

    async fn all_with<T: Table>(&self, column: &'static str, value: &str) -> Result<Vec<T>, StoreError> {
        self.within(async { tables::select_in(&mut self.reader().await?, column, &[value.to_owned()]).await }).await
    }

    /// Deletes users with their keys and their places in teams and organizations, and gives the users that were there and their
    /// keys.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn delete_users(&self, ids: &[String], stamp: &Stamp) -> Result<(Vec<User>, Vec<Key>), StoreError> {
        let keys = "SELECT token FROM keys WHERE user_id = $1";
        let places = [
            (Kind::Member, "DELETE FROM members WHERE user_id = $1 RETURNING team_id, user_id"),
            (
                Kind::OrganizationMember,
                "DELETE FROM organization_members WHERE user_id = $1 RETURNING organization_id, user_id",
            ),
        ];
        self.delete_with_keys(ids, keys, &places, stamp).await
    }

    /// Deletes teams with their keys and members, and gives the teams that were there and their keys.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn delete_teams(&self, ids: &[String], stamp: &Stamp) -> Result<(Vec<Team>, Vec<Key>), StoreError> {
        let keys = "SELECT token FROM keys WHERE team_id = $1";
        let places = [(Kind::Member, "DELETE FROM members WHERE team_id = $1 RETURNING team_id, user_id")];
        self.delete_with_keys(ids, keys, &places, stamp).await
    }

    async fn delete_with_keys<T: Table>(
        &self,
        ids: &[String],
        tokens: &'static str,
        places: &[(Kind, &'static str)],
        stamp: &Stamp,
    ) -> Result<(Vec<T>, Vec<Key>), StoreError> {
        self.within_long(async {
            let mut db = self.long_writer().await?;
            let (mut gone, mut their_keys) = (Vec::new(), Vec::new());
            for id in tables::in_order(ids) {
                let Some(row) = tables::delete_row::<T>(&mut db, std::slice::from_ref(&id), stamp).await? else {
                    continue;
                };
                let tokens: Vec<String> = db.all(Statement::new(tokens).bind(id.as_str())).await?;
                their_keys.extend(keys::delete(&mut db, &tokens, stamp).await?);
                for (kind, delete) in places {
                    for Pair { whole, user } in db.all(Statement::new(delete).bind(id.as_str())).await? {
                        changes::tell(&mut db, *kind, &[whole, user], stamp).await?;
                    }
                }
                gone.push(row);
            }
            changes::note(&mut db, stamp).await?;
            db.commit().await?;
            Ok((gone, their_keys))
        })
        .await
    }
}

/// Lists of tables that are small enough to need no filter, by id.
macro_rules! lists {
    ($($list:ident of $row:ident, $what:literal;)+) => {
        impl Store {
            $(#[doc = concat!("Lists ", $what, " by id.")]
            ///
            /// # Errors
            /// If the database is not available.
            pub async fn $list(&self, page: Page) -> Result<Listed<$row>, StoreError> {
                let by = concat!("r.", first_id!($row));
                self.listed(|_| {}, by, false, page).await
            })+
        }
    };
}

/// The column of a row's id, where a text is needed that is known when it is compiled.
macro_rules! first_id {
    (Organization) => {
        "organization_id"
    };
    (Project) => {
        "project_id"
    };
    (Budget) => {
        "budget_id"
    };
    (Customer) => {
        "customer_id"
    };
    (Tag) => {
        "tag_name"
    };
    (Model) => {
        "model_id"
    };
    (Credential) => {
        "credential_name"
    };
    (ConfigRow) => {
        "param_name"
    };
}

lists! {
    list_organizations of Organization, "organizations";
    list_projects of Project, "projects";
    list_budgets of Budget, "budgets";
    list_customers of Customer, "customers";
    list_tags of Tag, "tags";
    list_models of Model, "models";
    list_credentials of Credential, "credentials";
    list_config of ConfigRow, "sections of the configuration";
}

/// Who was where.
struct Pair {
    whole: String,
    user: String,
}

impl Read for Pair {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { whole: Read::read(columns)?, user: Read::read(columns)? })
    }
}

struct WithSpent<T> {
    row: T,
    spent: Spent,
}

impl<T: Table> Read for WithSpent<T> {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { row: T::read(columns)?, spent: Spent::read(columns)? })
    }
}

fn common(sort: Sort) -> &'static str {
    match sort {
        Sort::UpdatedAt => "r.updated_at",
        Sort::Spend => "COALESCE(s.settled, 0)",
        Sort::MaxBudget => "COALESCE(r.max_budget, -1)",
        _ => "r.created_at",
    }
}

fn equal(draft: &mut Draft, condition: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        draft.push(condition).value(value);
    }
}

fn within(draft: &mut Draft, condition: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        draft.push(condition).value(value).push(")");
    }
}

fn holds(draft: &mut Draft, condition: &'static str, text: Option<&str>) {
    if let Some(text) = text {
        draft.push(condition).value(holding(&text.to_ascii_lowercase())).push(" ESCAPE '!'");
    }
}

fn one_of(draft: &mut Draft, condition: &'static str, values: Option<&[String]>) {
    match values {
        None => {}
        // An empty list in brackets is no SQL.
        Some([]) => {
            draft.push(" AND false");
        }
        Some(values) => {
            draft.push(condition).tuple(values.iter().map(|value| value.as_str().into()));
        }
    }
}
