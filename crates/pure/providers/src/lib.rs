//! Who speaks what, and how it is said. Providers are data: one row per file in `table/`. Dialects are code: folders of
//! pure functions in `dialects/`. Calls come in through [`translate::draft`]; nothing here waits or opens a socket.

mod answer_stream;
mod answers;
pub mod auth;
pub mod batches;
pub mod codec;
pub mod continuation;
pub mod dialects;
mod entra;
pub mod errand;
pub mod forms;
mod functions;
pub mod gauge;
pub mod kept_ids;
pub mod locate;
pub mod params;
pub mod passage;
pub mod provider;
pub mod realtime;
pub mod resolve;
mod retold;
pub mod table;
pub mod target;
pub mod thinkers;
pub mod translate;

pub use provider::Provider;
pub use target::Target;
