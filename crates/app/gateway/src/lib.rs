//! The journey of a call: who asks, may they, who answers, what it cost. No HTTP framework, no sockets of its own:
//! requests come in as [`Inbound`], answers go out as [`Answer`].

mod answer;
mod caller;
mod credentials;
mod deployment;
mod dispatch;
mod documents;
mod drain;
mod event_stream;
mod exchange;
mod gateway;
pub mod headers;
mod health;
mod hops;
mod inbound;
mod journey;
mod late;
mod ledger;
mod media;
mod meter;
mod mock;
mod models;
mod options;
mod probe;
mod restream;
mod snapshot;
mod workers;

pub use answer::{Answer, AnswerBody};
pub use caller::identify;
pub use deployment::settings_of;
pub use drain::DrainedStream;
pub use event_stream::EventStream;
pub use gateway::{Gateway, Parts};
pub use inbound::{Inbound, Route};
pub use late::LateStream;
pub use ledger::Totals;
pub use snapshot::{Environment, Snapshot, SnapshotSettings};
pub use workers::Workers;
