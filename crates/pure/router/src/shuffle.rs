//! `simple-shuffle`: by chance, in proportion to `weight`, else to `rpm`, else to `tpm`, else all alike.

use crate::fleet::Deployment;

/// The index, among `candidates`, of the one that chance picks; `None` when there are none.
pub(crate) fn pick(candidates: &[&Deployment], seed: u64) -> Option<usize> {
    let by = |weight: fn(&Deployment) -> Option<f64>| {
        let weights: Vec<f64> = candidates.iter().map(|one| weight(one).unwrap_or(0.0).max(0.0)).collect();
        (weights.iter().sum::<f64>() > 0.0).then_some(weights)
    };
    #[expect(clippy::cast_precision_loss, reason = "a weight of more than 2^52 requests a minute is none")]
    let weights = by(|one| one.weight)
        .or_else(|| by(|one| one.rpm.map(|rpm| rpm as f64)))
        .or_else(|| by(|one| one.tpm.map(|tpm| tpm as f64)));
    let Some(weights) = weights else {
        let count = u64::try_from(candidates.len()).ok().filter(|count| *count > 0)?;
        return usize::try_from(seed % count).ok();
    };
    #[expect(clippy::cast_precision_loss, reason = "53 bits of chance are enough")]
    let chance = (seed >> 11) as f64 / (1u64 << 53) as f64;
    let mut left = chance * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return Some(index);
        }
    }
    weights.iter().rposition(|weight| *weight > 0.0)
}
