//! YAML as LiteLLM's users know it: read the way Python's YAML 1.1 loader reads it, but with every place kept.
//!
//! Text comes in; a tree of [`Node`]s goes out, or the one finding that says why not, with the line as it should be.

mod node;
mod read;
mod repair;
mod scalar;

pub(crate) use node::{Entry, Node, Value};
pub(crate) use read::read;
pub use read::{MAX_DEPTH, MAX_EXPANDED_BYTES, MAX_FILE_BYTES};
