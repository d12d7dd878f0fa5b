//! Accounts of the clouds, turned into keys and tokens by what the vendors' libraries know. What is asked on the way is
//! asked through our own client, with its proxies and certificates.

pub mod aws;
