//! Accounts of the clouds, turned into what signs requests. Each cloud has settings of its own; who keeps the results, and
//! for how long, is the caller's business.

pub mod azure;
pub mod google;
