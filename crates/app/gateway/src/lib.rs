//! The journey of a call: who asks, may they, who answers, what it cost. No HTTP framework, no sockets of its own:
//! requests come in as [`Inbound`], answers go out as [`Answer`].

mod answer;
mod byte_stream;
mod caller;
mod credentials;
mod deployment;
mod dispatch;
mod documents;
mod drain;
mod event_stream;
mod exchange;
mod forms;
mod gateway;
pub mod headers;
mod health;
mod hops;
mod inbound;
mod journey;
mod kept;
mod late;
mod ledger;
mod media;
mod meter;
mod mock;
mod models;
mod options;
mod passage;
mod passing;
mod probe;
mod restream;
mod snapshot;
mod upload;
mod workers;

pub use answer::{Answer, AnswerBody};
pub use byte_stream::ByteStream;
pub use caller::identify;
pub use drain::DrainedStream;
pub use event_stream::EventStream;
pub use gateway::{Gateway, Parts};
pub use inbound::{Inbound, Route};
pub use late::LateStream;
pub use ledger::Totals;
pub use passage::{Passing, Way};
pub use snapshot::{Environment, Snapshot, SnapshotSettings};
pub use upload::UploadBody;
pub use workers::Workers;
