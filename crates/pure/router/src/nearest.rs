//! What somebody may have meant.

/// The names most like `asked`, best first: at most `most`, and none that is far off.
#[must_use]
pub fn nearest<'n>(asked: &str, names: impl Iterator<Item = &'n str>, most: usize) -> Vec<&'n str> {
    let bound = (asked.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let away = distance(asked, name);
            (away <= bound || (asked.len() > 3 && name.contains(asked))).then_some((away, name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(most).map(|(_, name)| name).collect()
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, from) in left.chars().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (slot, to) in row.iter_mut().skip(1).zip(&right) {
            let cost = diagonal + usize::from(from != *to);
            diagonal = *slot;
            before = cost.min(before + 1).min(*slot + 1);
            *slot = before;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_model_and_a_stranger_finds_none() {
        let names = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5"];
        assert_eq!(nearest("gpt4o", names.into_iter(), 3), ["gpt-4o"]);
        assert_eq!(nearest("claude-sonet-4-5", names.into_iter(), 3), ["claude-sonnet-4-5"]);
        assert!(nearest("no-such-model", names.into_iter(), 3).is_empty());
    }
}
