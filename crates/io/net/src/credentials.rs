//! Accounts of the clouds, asked for tokens.

pub mod azure;
