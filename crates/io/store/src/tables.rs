//! What is done to every table in the same way: add, find, change the version that was read, delete, list.

use std::collections::BTreeSet;

use crate::{
    Budget, ConfigRow, Credential, Customer, Member, Model, Organization, OrganizationMember, Project, Stamp, Store,
    StoreError, Tag, Team, User, changes,
    row::Table,
    session::Session,
    statement::{Draft, Value},
};

/// Columns that stay as they were when a row was made.
const KEPT: [&str; 2] = ["created_at", "created_by"];

/// How many ids one statement asks for at most: what SQLite takes by default is 32,766.
const IDS_AT_ONCE: usize = 1000;

/// The public methods of a table whose rows have one id.
macro_rules! table {
    ($row:ident, $what:literal, $insert:ident, $update:ident, $find:ident, $find_some:ident) => {
        impl Store {
            #[doc = concat!("Adds ", $what, ".")]
            ///
            /// # Errors
            /// [`StoreError::Taken`] if it is there already.
            pub async fn $insert(&self, row: &$row, stamp: &Stamp) -> Result<(), StoreError> {
                insert(self, row, stamp).await
            }

            #[doc = concat!("Writes ", $what, " if it still has the version that was read. Its new version.")]
            ///
            /// # Errors
            /// [`StoreError::Stale`] if it was changed since, [`StoreError::Missing`] if it is gone.
            pub async fn $update(&self, row: &$row, expected: i64, stamp: &Stamp) -> Result<i64, StoreError> {
                update(self, row, expected, <$row as Table>::ID, stamp).await
            }

            #[doc = concat!("Finds ", $what, ".")]
            ///
            /// # Errors
            /// If the database is not available.
            pub async fn $find(&self, id: &str) -> Result<Option<$row>, StoreError> {
                find(self, &[id]).await
            }

            #[doc = concat!("Finds several of the same kind as ", $what, ", in no order; those that are missing are left out.")]
            ///
            /// # Errors
            /// If the database is not available.
            pub async fn $find_some(&self, ids: &[String]) -> Result<Vec<$row>, StoreError> {
                find_some(self, ids).await
            }
        }
    };
    ($row:ident, $what:literal, $insert:ident, $update:ident, $find:ident, $find_some:ident, $delete:ident) => {
        table!($row, $what, $insert, $update, $find, $find_some);

        impl Store {
            #[doc = concat!("Deletes several of the same kind as ", $what, " and gives those that were there.")]
            ///
            /// # Errors
            /// If the database is not available.
            pub async fn $delete(&self, ids: &[String], stamp: &Stamp) -> Result<Vec<$row>, StoreError> {
                let ids: Vec<[&str; 1]> = ids.iter().map(|id| [id.as_str()]).collect();
                delete_all(self, ids.iter().map(<[&str; 1]>::as_slice), stamp).await
            }
        }
    };
}

table!(User, "a user", insert_user, update_user, user, find_users, delete_users);
table!(
    Organization,
    "an organization",
    insert_organization,
    update_organization,
    organization,
    find_organizations,
    delete_organizations
);
table!(Project, "a project", insert_project, update_project, project, find_projects, delete_projects);
table!(Budget, "a budget", insert_budget, update_budget, budget, find_budgets, delete_budgets);
table!(Customer, "a customer", insert_customer, update_customer, customer, find_customers, delete_customers);
table!(Tag, "a tag", insert_tag, update_tag, tag, find_tags, delete_tags);
table!(Model, "a model", insert_model, update_model, model, find_models, delete_models);
table!(
    Credential,
    "a credential",
    insert_credential,
    update_credential,
    credential,
    find_credentials,
    delete_credentials
);
table!(ConfigRow, "a section of the configuration", insert_config, update_config, config, find_config, delete_config);
table!(Team, "a team", insert_team, update_team, team, find_teams);

/// The public methods of a table whose rows tie a user to something.
macro_rules! membership {
    ($row:ident, $what:literal, $insert:ident, $update:ident, $find:ident, $delete:ident) => {
        impl Store {
            #[doc = concat!("Adds ", $what, ".")]
            ///
            /// # Errors
            /// [`StoreError::Taken`] if it is there already.
            pub async fn $insert(&self, row: &$row, stamp: &Stamp) -> Result<(), StoreError> {
                insert(self, row, stamp).await
            }

            #[doc = concat!("Writes ", $what, " if it still has the version that was read. Its new version.")]
            ///
            /// # Errors
            /// [`StoreError::Stale`] if it was changed since, [`StoreError::Missing`] if it is gone.
            pub async fn $update(&self, row: &$row, expected: i64, stamp: &Stamp) -> Result<i64, StoreError> {
                update(self, row, expected, <$row as Table>::ID, stamp).await
            }

            #[doc = concat!("Finds ", $what, ": first the whole, then the user.")]
            ///
            /// # Errors
            /// If the database is not available.
            pub async fn $find(&self, whole: &str, user: &str) -> Result<Option<$row>, StoreError> {
                find(self, &[whole, user]).await
            }

            #[doc = concat!("Deletes ", $what, " and gives it if it was there: first the whole, then the user.")]
            ///
            /// # Errors
            /// If the database is not available.
            pub async fn $delete(&self, whole: &str, user: &str, stamp: &Stamp) -> Result<Option<$row>, StoreError> {
                let id = [whole, user];
                Ok(delete_all(self, std::iter::once(id.as_slice()), stamp).await?.pop())
            }
        }
    };
}

membership!(Member, "a member of a team", insert_member, update_member, member, delete_member);
membership!(
    OrganizationMember,
    "a member of an organization",
    insert_organization_member,
    update_organization_member,
    organization_member,
    delete_organization_member
);

pub(crate) async fn insert<T: Table + Clone>(store: &Store, row: &T, stamp: &Stamp) -> Result<(), StoreError> {
    store
        .within(async {
            let mut db = store.writer().await?;
            insert_row(&mut db, row.clone(), stamp).await?;
            changes::note(&mut db, stamp).await?;
            db.commit().await
        })
        .await
}

/// Adds a row, with version 1, in this transaction.
pub(crate) async fn insert_row<T: Table>(db: &mut Session, mut row: T, stamp: &Stamp) -> Result<(), StoreError> {
    row.touch(1, stamp);
    let mut draft = Draft::new("INSERT INTO ");
    draft.push(T::NAME).push(" (").names("", T::COLUMNS).push(") VALUES ").tuple(row.values());
    db.run(draft.done()).await?;
    changes::tell(db, T::KIND, &row.id(), stamp).await
}

pub(crate) async fn update<T: Table + Clone>(
    store: &Store,
    row: &T,
    expected: i64,
    except: &[&str],
    stamp: &Stamp,
) -> Result<i64, StoreError> {
    store
        .within(async {
            let mut db = store.writer().await?;
            update_row(&mut db, row.clone(), &row.id(), expected, except, stamp).await?;
            changes::note(&mut db, stamp).await?;
            db.commit().await?;
            Ok(expected + 1)
        })
        .await
}

/// Writes the row with this id in this transaction, if it still has the expected version.
pub(crate) async fn update_row<T: Table>(
    db: &mut Session,
    mut row: T,
    id: &[String],
    expected: i64,
    except: &[&str],
    stamp: &Stamp,
) -> Result<(), StoreError> {
    row.touch(expected + 1, stamp);
    let mut draft = Draft::new("UPDATE ");
    draft.push(T::NAME).push(" SET ");
    let written = T::COLUMNS.iter().zip(row.values());
    let written = written.filter(|(name, _)| !except.contains(name) && !KEPT.contains(name));
    for (number, (name, value)) in written.enumerate() {
        draft.push(if number == 0 { "" } else { ", " }).push(name).push(" = ").value(value);
    }
    named::<T>(&mut draft, id);
    draft.push(" AND version = ").value(expected);
    if db.run(draft.done()).await? == 0 {
        let id: Vec<&str> = id.iter().map(String::as_str).collect();
        let there: Option<T> = select_one(db, &id).await?;
        return Err(if there.is_some() { StoreError::Stale } else { StoreError::Missing });
    }
    changes::tell(db, T::KIND, id, stamp).await
}

pub(crate) async fn find<T: Table>(store: &Store, id: &[&str]) -> Result<Option<T>, StoreError> {
    store.within(async { select_one(&mut store.reader().await?, id).await }).await
}

pub(crate) async fn find_some<T: Table>(store: &Store, ids: &[String]) -> Result<Vec<T>, StoreError> {
    store
        .within(async {
            let mut db = store.reader().await?;
            let Some(column) = T::ID.first() else { return Ok(Vec::new()) };
            select_in(&mut db, column, ids).await
        })
        .await
}

pub(crate) async fn select_one<T: Table>(db: &mut Session, id: &[&str]) -> Result<Option<T>, StoreError> {
    let mut draft = Draft::new("SELECT ");
    draft.names("", T::COLUMNS).push(" FROM ").push(T::NAME);
    let id: Vec<String> = id.iter().map(|part| (*part).to_owned()).collect();
    named::<T>(&mut draft, &id);
    db.first(draft.done()).await
}

/// The rows whose column has one of the values.
pub(crate) async fn select_in<T: Table>(
    db: &mut Session,
    column: &'static str,
    values: &[String],
) -> Result<Vec<T>, StoreError> {
    let mut rows = Vec::new();
    for some in in_order(values).chunks(IDS_AT_ONCE) {
        let mut draft = Draft::new("SELECT ");
        draft.names("", T::COLUMNS).push(" FROM ").push(T::NAME).push(" WHERE ").push(column).push(" IN ");
        draft.tuple(some.iter().map(|value| Value::from(value.as_str())));
        rows.extend(db.all::<T>(draft.done()).await?);
    }
    Ok(rows)
}

async fn delete_all<'id, T: Table>(
    store: &Store,
    ids: impl Iterator<Item = &'id [&'id str]>,
    stamp: &Stamp,
) -> Result<Vec<T>, StoreError> {
    let ids: BTreeSet<Vec<String>> = ids.map(|id| id.iter().map(|part| (*part).to_owned()).collect()).collect();
    store
        .within(async {
            let mut db = store.writer().await?;
            let mut gone = Vec::new();
            for id in &ids {
                gone.extend(delete_row(&mut db, id, stamp).await?);
            }
            changes::note(&mut db, stamp).await?;
            db.commit().await?;
            Ok(gone)
        })
        .await
}

/// Deletes a row in this transaction.
pub(crate) async fn delete_row<T: Table>(
    db: &mut Session,
    id: &[String],
    stamp: &Stamp,
) -> Result<Option<T>, StoreError> {
    let mut draft = Draft::new("DELETE FROM ");
    draft.push(T::NAME);
    named::<T>(&mut draft, id);
    draft.push(" RETURNING ").names("", T::COLUMNS);
    let gone: Option<T> = db.first(draft.done()).await?;
    if gone.is_some() {
        changes::tell(db, T::KIND, id, stamp).await?;
    }
    Ok(gone)
}

fn named<T: Table>(draft: &mut Draft, id: &[String]) {
    for (number, (name, part)) in T::ID.iter().zip(id).enumerate() {
        draft.push(if number == 0 { " WHERE " } else { " AND " }).push(name).push(" = ").value(part.as_str());
    }
}

/// Each value once, in the order in which everybody locks.
pub(crate) fn in_order(values: &[String]) -> Vec<String> {
    values.iter().cloned().collect::<BTreeSet<String>>().into_iter().collect()
}
