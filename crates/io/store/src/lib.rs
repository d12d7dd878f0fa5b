//! What must survive: keys and whom they belong to, what was spent, who may spend how much, models and configuration; in a
//! SQLite file, in memory, or in PostgreSQL, by one text of SQL for both (ADR 0012).
//!
//! Comes in: rows of this crate's own types, and the time. Goes out: rows, or a [`StoreError`] that says what may be done
//! about it. Nothing here waits without bound, and nothing is decided here: who may do what is the gateway's matter.

mod changes;
mod error;
mod idempotency;
mod keys;
mod lists;
mod migrations;
mod pool;
mod row;
mod rows;
mod session;
mod settings;
mod statement;
mod store;
mod tables;
mod values;

pub use changes::{Audit, Change, Changes, Kind, Stamp};
pub use error::StoreError;
pub use idempotency::{Known, Once};
pub use keys::{DeletedKey, Key, KeyFilter, KeyListing, KeyPage, KeyPlace, KeySort, KeyState, KeyView};
pub use lists::{Listed, Page, Sort, TeamFilter, UserFilter};
pub use rows::{
    Budget, ConfigRow, Credential, Customer, Member, Model, Organization, OrganizationMember, Project, Tag, Team, User,
};
pub use settings::{Place, StoreSettings};
pub use store::Store;
pub use values::{EpochMs, Json, NanoDollars};
