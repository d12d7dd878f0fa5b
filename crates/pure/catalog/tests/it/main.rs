//! What the catalog promises whoever hands it what strangers wrote.

#[cfg(test)]
mod fuzz;
