//! The HTTP front as clients meet it: a server in this process, a fake provider behind it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be built ends with a message, and JSON documents are read by index"
)]

mod account_routes;
mod accounts;
mod bad_input;
mod batches;
mod bedrock_groups;
mod bodies;
mod booked;
mod budgets;
mod checks;
mod client_side;
mod continuing;
mod corrections;
mod costs;
mod counting;
mod entra;
mod explain;
mod failing_disk;
mod fallbacks;
mod google;
mod headers;
mod hedging;
mod inquiries;
mod kept_things;
mod key_routes;
mod keys;
mod known_keys;
mod leaving;
mod ledger;
mod limits;
mod media;
mod messages;
mod model_routes;
mod money;
mod overlays;
mod paid;
mod parties;
mod passage;
mod paths;
mod protocols;
mod realtime;
mod refusals;
mod renewal;
mod rerank;
mod responses;
mod responses_socket;
mod retries;
mod secrets;
mod seeds;
mod self_calls;
mod shared_limits;
mod slow;
mod sounds;
mod spend_routes;
mod store_away;
mod streams;
mod timeouts;
mod usage_shapes;
mod waiting;
mod world;
