//! A value that must not be printed: provider keys, the master key, tokens.

use secrecy::{ExposeSecret, SecretString};

/// A secret text. `Debug` prints `[secret]`; there is no `Display`; memory is wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself: only for the place that puts it on the wire or compares it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// How a secret is shown to its owner: the first `shown` characters, the rest as stars (SEED-132).
#[must_use]
pub fn masked(text: &str, shown: usize) -> String {
    let total = text.chars().count();
    // A short secret shows at most a third of itself.
    let shown = shown.min(total / 3);
    text.chars().take(shown).chain(std::iter::repeat_n('*', total - shown)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed() {
        assert_eq!(format!("{:?}", Secret::new("sk-very-secret")), "[secret]");
    }

    #[test]
    fn masking_keeps_the_length_and_shows_little_of_short_secrets() {
        assert_eq!(masked("sk-qnWGUIW9abcdefghijklmnop", 11), format!("sk-qnWGUI{}", "*".repeat(18)));
        assert_eq!(masked("abc", 10), "a**");
        assert_eq!(masked("", 10), "");
    }
}
