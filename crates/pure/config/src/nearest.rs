//! The nearest known word to a misspelt one.

/// The word of `known` that is fewest edits away from `word`, if it is near enough to be meant.
///
/// Near enough is a third of the word's length, at least one edit and at most `limit`; swapping two neighbours is one.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, limit: usize) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, limit);
    known
        .into_iter()
        .map(|candidate| (edits(word, candidate, allowed), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) from `left` to `right`; anything above `limit` is `limit + 1`.
fn edits(left: &str, right: &str, limit: usize) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > limit {
        return limit + 1;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_left = None;
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_right = None;
        for (column, b) in right.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(limit + 1);
            let mut cost = at(&last, column) + usize::from(!a.eq_ignore_ascii_case(b));
            cost = cost.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            if column > 0 && previous_left == Some(b) && previous_right == Some(a) {
                cost = cost.min(at(&before_last, column - 1) + 1);
            }
            current.push(cost);
            previous_right = Some(b);
        }
        previous_left = Some(a);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(limit + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: Option<&str>) {
        let known = ["api_base", "api_key", "rpm", "tpm", "timeout", "num_retries"];
        assert_eq!(nearest(word, known, 3), expected, "{word}");
    }

    #[test]
    fn a_misspelt_word_finds_the_one_that_was_meant() {
        check("api_bsae", Some("api_base"));
        check("apikey", Some("api_key"));
        check("API_KEY", Some("api_key"));
        check("num_retry", Some("num_retries"));
        check("timeot", Some("timeout"));
        check("rmp", Some("rpm"));
    }

    #[test]
    fn an_unrelated_word_finds_nothing() {
        check("temperature", None);
        check("", None);
        check("käse", None);
    }
}
