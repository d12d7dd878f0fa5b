//! The router from outside.

#[cfg(test)]
mod kit;
#[cfg(test)]
mod picking;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod sim;
