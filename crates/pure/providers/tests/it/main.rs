//! What the providers' crate promises, proved from outside: recorded cases, the two lanes, the table, its reference page.

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod lanes;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod pairs;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod world;
