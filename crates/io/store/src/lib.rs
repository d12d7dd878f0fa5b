//! What must survive: keys and whom they belong to, what was spent, who may spend how much, models and configuration; in a
//! SQLite file, in memory, or in PostgreSQL, by one text of SQL for both (ADR 0012).
//!
//! Comes in: rows of this crate's own types, and the time. Goes out: rows, or a [`StoreError`] that says what may be done
//! about it. Nothing here waits without bound, and nothing is decided here: who may do what is the gateway's matter.

mod accounts;
mod audits;
mod changes;
mod error;
mod idempotency;
mod ids;
mod keys;
mod leases;
mod lists;
mod many;
mod migrations;
mod pool;
mod record;
mod row;
mod rows;
mod session;
mod settings;
mod spend;
mod statement;
mod store;
mod tables;
mod values;

pub use audits::{AuditEntry, AuditFilter, AuditSort};
pub use changes::{Audit, Change, Changes, Kind, Stamp};
pub use error::StoreError;
pub use idempotency::{Known, Once};
pub use keys::{DeletedKey, Key, KeyFilter, KeyListing, KeyPage, KeyPlace, KeySort, KeyState, KeyView};
pub use leases::{Burial, Grant, Instance, Leased, Wish};
pub use lists::{Listed, Page, Sort, TeamFilter, UserFilter};
pub use rows::{
    Budget, ConfigRow, Credential, Customer, Member, Model, Organization, OrganizationMember, Project, Tag, Team, User,
};
pub use settings::{Place, StoreSettings};
pub use spend::{
    Activity, ActivityFilter, Batch, Booked, By, CacheUse, Difference, Entry, Failures, Found, Lease, LogFilter,
    LogListing, LogSort, Of, Projected, Quarantined, SpendRow, Total, UnknownAttempt, Unread, Watermark, Window,
    Windows,
};
pub use store::Store;
pub use values::{EpochMs, Json, NanoDollars, Spent};
