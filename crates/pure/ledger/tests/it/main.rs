//! The money machine from outside.

#[cfg(test)]
mod fuzz;
