//! The journal from outside: its rules, every crash point, real kills, a real full disk.

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod smalldisk;
