//! The money machine from outside.

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod sim;
