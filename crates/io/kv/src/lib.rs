//! What instances of the gateway share: one Redis (or Valkey), asked by scripts, each of them one round trip.
//!
//! Comes in: an address and, for each question, a script with its keys, its arguments and how long it may take. Goes out:
//! the numbers that it answers, or that Redis is away. Nobody waits for a connection: while there is none, questions are
//! refused at once, and the first one after a pause tries to connect.

mod address;
mod kv;

pub use address::Address;
pub use kv::{Kv, KvError, Script, State};
