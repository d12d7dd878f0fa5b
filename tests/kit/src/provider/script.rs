//! Which answer a call gets: the first rule that fits and still has one.

use std::{collections::VecDeque, fmt};

use crate::{answer::Answer, call::Call};

/// The rules of one test, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Vec<Rule>,
}

/// Some answers and the calls that they are for.
pub(super) struct Rule {
    fits: Box<dyn Fn(&Call) -> bool + Send>,
    answers: VecDeque<Answer>,
    forever: bool,
    made: Option<Box<dyn Fn(&Call) -> Answer + Send>>,
}

impl Script {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(super) fn next(&mut self, call: &Call) -> Option<Answer> {
        self.rules.iter_mut().filter(|rule| (rule.fits)(call)).find_map(|rule| rule.take(call))
    }
}

impl Rule {
    pub(super) fn for_route(route: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        let (method, path) = match route.split_once(' ') {
            Some((method, path)) => (Some(method.to_owned()), path.to_owned()),
            None => (None, route.to_owned()),
        };
        Self::when(
            move |call| {
                method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(&call.method))
                    && matches(&path, &call.path)
            },
            answers,
        )
    }

    pub(super) fn when(
        fits: impl Fn(&Call) -> bool + Send + 'static,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        Self { fits: Box::new(fits), answers: answers.into_iter().collect(), forever: false, made: None }
    }

    pub(super) fn forever(mut self) -> Self {
        self.forever = true;
        self
    }

    pub(super) fn made_by(make: impl Fn(&Call) -> Answer + Send + 'static) -> Self {
        Self { made: Some(Box::new(make)), ..Self::when(|_| true, []) }
    }

    fn take(&mut self, call: &Call) -> Option<Answer> {
        if let Some(make) = &self.made {
            return Some(make(call));
        }
        if self.forever { self.answers.front().cloned() } else { self.answers.pop_front() }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rule").field("answers", &self.answers).field("forever", &self.forever).finish()
    }
}

/// Whether a text fits a pattern in which a star stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(head) else { return false };
    loop {
        if matches(rest, left) {
            return true;
        }
        let mut characters = left.chars();
        if characters.next().is_none() {
            return false;
        }
        left = characters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(matches("*", "/v1/models"));
        assert!(matches("/v1/*", "/v1/"));
        assert!(matches("/openai/deployments/*/chat/*", "/openai/deployments/a/b/chat/completions"));
        assert!(matches("*/messages", "/v1/messages"));
    }

    #[test]
    fn a_pattern_without_a_star_is_the_whole_path() {
        assert!(matches("/v1/models", "/v1/models"));
        assert!(!matches("/v1/models", "/v1/models/gpt-4o"));
        assert!(!matches("*/messages", "/v1/messages/count"));
    }
}
