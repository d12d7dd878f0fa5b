//! The configuration from text to findings and typed settings, as the app uses the crate.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod ids;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod world;
