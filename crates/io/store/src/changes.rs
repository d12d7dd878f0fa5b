//! What was changed, for the other instances: each write tells it in its own transaction, and instances ask for what came
//! after the last change that they know.

use crate::{
    EpochMs, Store, StoreError,
    session::{Columns, Read, Session},
    statement::Statement,
    values::{Field, Json},
};

/// What a change was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A key; the id is its token.
    Key,
    /// A user.
    User,
    /// A team.
    Team,
    /// A user's place in a team; the id is the team, then the user.
    Member,
    /// An organization.
    Organization,
    /// A user's place in an organization; the id is the organization, then the user.
    OrganizationMember,
    /// A project.
    Project,
    /// A budget that others refer to.
    Budget,
    /// A customer (LiteLLM's end user).
    Customer,
    /// A tag.
    Tag,
    /// A model of the store.
    Model,
    /// A credential of the store.
    Credential,
    /// A row of the configuration.
    Config,
    /// Something that only a newer program knows.
    Other,
}

const KINDS: [(Kind, &str); 13] = [
    (Kind::Key, "key"),
    (Kind::User, "user"),
    (Kind::Team, "team"),
    (Kind::Member, "member"),
    (Kind::Organization, "organization"),
    (Kind::OrganizationMember, "organization_member"),
    (Kind::Project, "project"),
    (Kind::Budget, "budget"),
    (Kind::Customer, "customer"),
    (Kind::Tag, "tag"),
    (Kind::Model, "model"),
    (Kind::Credential, "credential"),
    (Kind::Config, "config"),
];

impl Kind {
    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("other", |(_, name)| name)
    }

    fn named(name: &str) -> Self {
        KINDS.iter().find(|(_, known)| *known == name).map_or(Self::Other, |(kind, _)| *kind)
    }
}

/// Who writes, when, and what is kept of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stamp {
    /// Now.
    pub at: EpochMs,
    /// Who it is: a user's id, as in `updated_by`.
    pub by: Option<String>,
    /// What the audit log keeps of it, in the same transaction.
    pub audit: Option<Audit>,
}

/// An entry of the audit log (LiteLLM's `LiteLLM_AuditLog`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    /// An id of its own.
    pub id: String,
    /// Who did it, as the header `litellm-changed-by` says, else the user.
    pub changed_by: Option<String>,
    /// The hash of the key that was used.
    pub changed_by_key: Option<String>,
    /// `created`, `updated`, `deleted`, `blocked`, `rotated` and so on.
    pub action: String,
    /// The table, by LiteLLM's name for it.
    pub table_name: String,
    /// The id of the row.
    pub object_id: String,
    /// What was there.
    pub before: Option<Json>,
    /// What is there now.
    pub after: Option<Json>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number; the next change has the next one.
    pub seq: i64,
    /// What was changed.
    pub kind: Kind,
    /// The row's id, or the first part of it.
    pub id: String,
    /// The second part of the id, where it has two.
    pub other: Option<String>,
    /// When.
    pub at: EpochMs,
}

/// What was changed since an instance last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The changes, oldest first.
    pub changes: Vec<Change>,
    /// The number to ask with next time.
    pub last: i64,
    /// Some changes are not told: they are pruned already, or the database is an older one. Nothing that is remembered can
    /// be relied on.
    pub gap: bool,
}

/// How many changes one answer holds at most; the rest comes with the next one.
const AT_ONCE: i64 = 1000;

impl Store {
    /// The changes after number `seq`; at most a thousand.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn changes_since(&self, seq: i64) -> Result<Changes, StoreError> {
        self.within(async {
            let mut db = self.reader().await?;
            // One statement sees one state. The outer join tells the head even if nothing is new.
            let asked = Statement::new(
                "SELECT h.seq, c.seq, c.kind, c.id, c.other, c.at FROM change_head AS h \
                 LEFT JOIN changes AS c ON c.seq > $1 ORDER BY c.seq LIMIT $2",
            );
            let rows: Vec<Told> = db.all(asked.bind(seq).bind(AT_ONCE)).await?;
            let head = rows.first().map_or(0, |row| row.head);
            let changes: Vec<Change> = rows.into_iter().filter_map(|row| row.change).collect();
            let gap = match changes.first() {
                Some(first) => first.seq != seq + 1,
                None => head != seq,
            };
            let last = changes.last().map_or(head, |change| change.seq);
            Ok(Changes { changes, last, gap })
        })
        .await
    }

    /// Tells the other instances, and the audit log, of something that was not changed by a row of its own table, such as
    /// what a key has spent.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn announce(&self, kind: Kind, id: &str, stamp: &Stamp) -> Result<(), StoreError> {
        self.within(async {
            let mut db = self.writer().await?;
            tell(&mut db, kind, &[id.to_owned()], stamp).await?;
            note(&mut db, stamp).await?;
            db.commit().await
        })
        .await
    }

    /// The number of the last change: where a new instance begins, before it reads anything else.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn last_change(&self) -> Result<i64, StoreError> {
        self.within(async { self.reader().await?.one(Statement::new("SELECT seq FROM change_head")).await }).await
    }

    /// Forgets changes from before `before`, at most `limit` of them, and says how many.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn prune_changes(&self, before: EpochMs, limit: i64) -> Result<u64, StoreError> {
        let pruned = "DELETE FROM changes WHERE seq IN (SELECT seq FROM changes WHERE at < $1 ORDER BY seq LIMIT $2)";
        self.change(Statement::new(pruned).bind(before).bind(limit)).await
    }
}

/// Tells the other instances, and the audit log, of a change in this transaction.
pub(crate) async fn tell(db: &mut Session, kind: Kind, id: &[String], stamp: &Stamp) -> Result<(), StoreError> {
    // The row of the head is locked until the commit: numbers become visible in their order and without gaps, which a
    // sequence does not promise.
    let next = Statement::new("UPDATE change_head SET seq = seq + 1 RETURNING seq");
    let seq: i64 = db.one(next).await?;
    let told = Statement::new("INSERT INTO changes (seq, kind, id, other, at) VALUES ($1, $2, $3, $4, $5)");
    let (first, second) = (id.first().cloned().unwrap_or_default(), id.get(1).cloned());
    db.run(told.bind(seq).bind(kind.name()).bind(first).bind(second).bind(stamp.at)).await?;
    Ok(())
}

/// Keeps what the stamp has for the audit log.
pub(crate) async fn note(db: &mut Session, stamp: &Stamp) -> Result<(), StoreError> {
    let Some(audit) = &stamp.audit else { return Ok(()) };
    let noted = Statement::new(
        "INSERT INTO audit (id, at, changed_by, changed_by_key, action, table_name, object_id, before_value, after_value) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let noted = noted.bind(audit.id.clone()).bind(stamp.at).bind(audit.changed_by.clone());
    let noted = noted.bind(audit.changed_by_key.clone()).bind(audit.action.clone()).bind(audit.table_name.clone());
    db.run(noted.bind(audit.object_id.clone()).bind(audit.before.clone()).bind(audit.after.clone())).await?;
    Ok(())
}

struct Told {
    head: i64,
    change: Option<Change>,
}

impl Read for Told {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        let head = Field::take(columns)?;
        let Some(seq) = Field::take(columns)? else { return Ok(Self { head, change: None }) };
        let kind = Kind::named(&String::take(columns)?);
        let (id, other, at) = (Field::take(columns)?, Field::take(columns)?, Field::take(columns)?);
        Ok(Self { head, change: Some(Change { seq, kind, id, other, at }) })
    }
}
