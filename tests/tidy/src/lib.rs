//! The rules of the house. Each is a function from the repository's files to what breaks it; `tests/house.rs` holds
//! the repository to them, the tests beside each rule prove that it catches what it should.

pub mod documents;
pub mod examples;
pub mod links;
pub mod manifests;
pub mod providers;
pub mod repository;
pub mod seeds;
pub mod sources;
pub mod words;

pub use repository::Repository;
