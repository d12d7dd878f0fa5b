//! The client against small servers that control every byte.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod answers;
mod google;
mod keeping;
mod peer;
mod proxies;
mod secure;
mod uploads;
mod waiting;
