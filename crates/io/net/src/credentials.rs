//! Accounts of the clouds, turned into what signs requests. What is asked on the way is asked through our own client, with
//! its proxies and certificates; who keeps the results, and for how long, is the caller's business.

pub mod aws;
pub mod azure;
pub mod google;
