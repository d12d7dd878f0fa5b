//! The money machine: values in, values out. Records say what happened; the books are a fold of them.
//!
//! Comes in: records, moments and amounts. Goes out: whether an attempt may be paid for, what is spent, held and unknown of
//! each budget window, how much to lower `max_tokens`, how much money to ask the store for. What is written down and when
//! is not decided here.

pub mod book;
pub mod estimate;
pub mod lease;
mod nanos;
pub mod records;
mod scope;
pub mod windows;

pub use book::Book;
pub use nanos::Nanos;
pub use records::Record;
pub use scope::{NoScope, Scope, ScopeKind, Slot};
