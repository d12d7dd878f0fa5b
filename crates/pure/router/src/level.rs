//! The servable deployments of a group that have the same `order`, made ready for picking: nothing is allocated, and little
//! is read, when one of a thousand is picked.

use crate::fleet::Deployment;

/// One level.
#[derive(Debug)]
pub(crate) struct Level {
    /// Indices into the fleet.
    pub(crate) members: Vec<usize>,
    /// The sum of the weights up to and with each member.
    pub(crate) sums: Vec<f64>,
    /// A number for each member that stays the same as long as its id does.
    pub(crate) marks: Vec<u64>,
}

impl Level {
    /// The share of a member.
    pub(crate) fn weight(&self, at: usize) -> f64 {
        let sum = |at: usize| self.sums.get(at).copied().unwrap_or_default();
        sum(at) - at.checked_sub(1).map_or(0.0, sum)
    }

    /// The member that a number between 0 and 1 falls on.
    pub(crate) fn at(&self, chance: f64) -> Option<usize> {
        let total = self.sums.last()?;
        let at = self.sums.partition_point(|sum| *sum <= chance * total);
        (at < self.members.len() && *total > 0.0).then_some(at)
    }
}

/// The levels of a group, the first to be used first; those without an order come last.
pub(crate) fn levels(deployments: &[Deployment], members: &[usize]) -> Vec<Level> {
    let servable = |index: &&usize| deployments.get(**index).is_some_and(|one| one.unservable.is_none());
    let order = |index: &usize| deployments.get(*index).and_then(|one| one.order).unwrap_or(u64::MAX);
    let mut sorted: Vec<usize> = members.iter().filter(servable).copied().collect();
    sorted.sort_by_key(order);
    sorted.chunk_by(|one, other| order(one) == order(other)).map(|members| level(deployments, members)).collect()
}

fn level(deployments: &[Deployment], members: &[usize]) -> Level {
    let found: Vec<&Deployment> = members.iter().filter_map(|index| deployments.get(*index)).collect();
    let by = |weight: fn(&Deployment) -> Option<f64>| {
        let weights: Vec<f64> = found.iter().map(|one| weight(one).unwrap_or(0.0).max(0.0)).collect();
        (weights.iter().sum::<f64>() > 0.0).then_some(weights)
    };
    #[expect(clippy::cast_precision_loss, reason = "a weight of more than 2^52 requests a minute is none")]
    let weights = by(|one| one.weight)
        .or_else(|| by(|one| one.rpm.map(|rpm| rpm as f64)))
        .or_else(|| by(|one| one.tpm.map(|tpm| tpm as f64)))
        .unwrap_or_else(|| vec![1.0; members.len()]);
    let sums = weights.iter().scan(0.0, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    let marks = found.iter().map(|one| spread(mark(one.id.as_bytes()))).collect();
    Level { members: members.to_vec(), sums: sums.collect(), marks }
}

/// FNV-1a: the same on every instance, whatever the order of the configuration.
#[must_use]
pub fn mark(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}

/// Spreads a number over all bits (SplitMix64's last steps).
pub(crate) fn spread(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// Chance as a number from 0 up to, not with, 1.
pub(crate) fn fraction(seed: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits of chance are enough")]
    let (seed, all) = ((seed >> 11) as f64, (1u64 << 53) as f64);
    seed / all
}
