//! What is asked of many users, teams or organizations at once, so that a page of them costs few statements.

use crate::{
    Member, OrganizationMember, Store, StoreError,
    session::{Columns, Read},
    statement::Draft,
    tables,
};

/// How many ids one statement asks for at most.
const IDS_AT_ONCE: usize = 1000;

impl Store {
    /// The members of all these teams.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn members_of_teams(&self, teams: &[String]) -> Result<Vec<Member>, StoreError> {
        self.within(async { tables::select_in(&mut self.reader().await?, "team_id", teams).await }).await
    }

    /// The places of all these users in teams.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn memberships_of_users(&self, users: &[String]) -> Result<Vec<Member>, StoreError> {
        self.within(async { tables::select_in(&mut self.reader().await?, "user_id", users).await }).await
    }

    /// The members of all these organizations.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn members_of_organizations(&self, ids: &[String]) -> Result<Vec<OrganizationMember>, StoreError> {
        self.within(async { tables::select_in(&mut self.reader().await?, "organization_id", ids).await }).await
    }

    /// How many keys each of these users has; those without any are left out.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn key_counts(&self, users: &[String]) -> Result<Vec<(String, i64)>, StoreError> {
        self.within(async {
            let (mut db, mut counts) = (self.reader().await?, Vec::new());
            for some in users.chunks(IDS_AT_ONCE) {
                let mut draft = Draft::new("SELECT user_id, COUNT(*) FROM keys WHERE user_id IN ");
                draft.tuple(some.iter().map(|user| user.as_str().into())).push(" GROUP BY user_id");
                let rows: Vec<Count> = db.all(draft.done()).await?;
                counts.extend(rows.into_iter().map(|row| (row.user, row.keys)));
            }
            Ok(counts)
        })
        .await
    }
}

struct Count {
    user: String,
    keys: i64,
}

impl Read for Count {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { user: Read::read(columns)?, keys: Read::read(columns)? })
    }
}
