//! The store on both engines: every test of `both!` runs on SQLite and on a real PostgreSQL.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod ranges;
#[cfg(test)]
mod review;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod spend;
#[cfg(test)]
mod world;
