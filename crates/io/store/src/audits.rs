//! The audit log: who changed what, when, and what it was before and after.

use crate::{
    Audit, EpochMs, Store, StoreError,
    keys::holding,
    lists::Page,
    session::{Columns, Read},
    statement::{Draft, Statement},
    values::Field,
};

const COLUMNS: &[&str] =
    &["at", "id", "changed_by", "changed_by_key", "action", "table_name", "object_id", "before_value", "after_value"];

/// Which entries. What is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only by this user.
    pub changed_by: Option<String>,
    /// Only with the key of this hash.
    pub changed_by_key: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only of this table.
    pub table_name: Option<String>,
    /// Only of this object.
    pub object_id: Option<String>,
    /// Only entries in whose values this stands, such as `"team_id":"t1"`.
    pub value: Option<String>,
    /// Only entries that hold this in the object's id, the user, the action or the table, in whatever case.
    pub words: Option<String>,
    /// From this moment on.
    pub from: Option<EpochMs>,
    /// Until before this moment.
    pub to: Option<EpochMs>,
}

/// By what entries are sorted; those that are equal, by when they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditSort {
    /// When they were made.
    #[default]
    At,
    /// By user.
    ChangedBy,
    /// By action.
    Action,
    /// By table.
    TableName,
    /// By object.
    ObjectId,
}

/// An entry, and when it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// When.
    pub at: EpochMs,
    /// What.
    pub audit: Audit,
}

impl Store {
    /// A page of the audit log, and how many entries there are in all that are looked for.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        (sort, descending): (AuditSort, bool),
        page: Page,
    ) -> Result<(Vec<AuditEntry>, i64), StoreError> {
        let mut counted = Draft::new("SELECT COUNT(*) FROM audit WHERE true");
        conditions(&mut counted, filter);
        let mut draft = Draft::new("SELECT ");
        draft.names("", COLUMNS).push(" FROM audit WHERE true");
        conditions(&mut draft, filter);
        let (column, direction) = (sort.column(), if descending { " DESC" } else { "" });
        draft.push(" ORDER BY ").push(column).push(direction);
        draft.push(", at").push(direction).push(", id").push(direction);
        draft.push(" LIMIT ").value(page.limit).push(" OFFSET ").value(page.offset);
        self.within(async {
            let mut db = self.reader().await?;
            let total = db.one(counted.done()).await?;
            Ok((db.all(draft.done()).await?, total))
        })
        .await
    }

    /// One entry of the audit log.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn audit_entry(&self, id: &str) -> Result<Option<AuditEntry>, StoreError> {
        let mut draft = Draft::new("SELECT ");
        draft.names("", COLUMNS).push(" FROM audit WHERE id = ").value(id);
        self.within(async { self.reader().await?.first(draft.done()).await }).await
    }

    /// Forgets entries of the audit log from before a moment, at most `limit` of them, and says how many.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn prune_audit(&self, before: EpochMs, limit: i64) -> Result<u64, StoreError> {
        let pruned = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)";
        self.change(Statement::new(pruned).bind(before).bind(limit)).await
    }
}

impl AuditSort {
    fn column(self) -> &'static str {
        match self {
            Self::At => "at",
            Self::ChangedBy => "changed_by",
            Self::Action => "action",
            Self::TableName => "table_name",
            Self::ObjectId => "object_id",
        }
    }
}

fn conditions(draft: &mut Draft, filter: &AuditFilter) {
    let equal = [
        (" AND changed_by = ", &filter.changed_by),
        (" AND changed_by_key = ", &filter.changed_by_key),
        (" AND action = ", &filter.action),
        (" AND table_name = ", &filter.table_name),
        (" AND object_id = ", &filter.object_id),
    ];
    for (condition, text) in equal {
        if let Some(text) = text {
            draft.push(condition).value(text.as_str());
        }
    }
    for (condition, moment) in [(" AND at >= ", filter.from), (" AND at < ", filter.to)] {
        if let Some(moment) = moment {
            draft.push(condition).value(moment);
        }
    }
    if let Some(value) = &filter.value {
        holds(draft, &["before_value", "after_value"], value);
    }
    if let Some(words) = &filter.words {
        let columns = ["lower(object_id)", "lower(COALESCE(changed_by, ''))", "lower(action)", "lower(table_name)"];
        holds(draft, &columns, &words.to_ascii_lowercase());
    }
}

fn holds(draft: &mut Draft, columns: &[&'static str], text: &str) {
    for (number, column) in columns.iter().enumerate() {
        draft.push(if number == 0 { " AND (" } else { " OR " }).push(column);
        draft.push(" LIKE ").value(holding(text)).push(" ESCAPE '!'");
    }
    draft.push(")");
}

impl Read for AuditEntry {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        let at = Field::take(columns)?;
        let (id, changed_by, changed_by_key) = (Field::take(columns)?, Field::take(columns)?, Field::take(columns)?);
        let (action, table_name, object_id) = (Field::take(columns)?, Field::take(columns)?, Field::take(columns)?);
        let (before, after) = (Field::take(columns)?, Field::take(columns)?);
        let audit = Audit { id, changed_by, changed_by_key, action, table_name, object_id, before, after };
        Ok(Self { at, audit })
    }
}
