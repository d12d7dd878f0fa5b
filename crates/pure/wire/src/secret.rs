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

/// Whether a member of a document by this name holds a secret, by the look of it: people write what they like there.
#[must_use]
pub fn sounds_secret(name: &str) -> bool {
    const INSIDE: [&str; 5] = ["secret", "password", "credential", "apikey", "authorization"];
    const ENDS: [&str; 3] = ["key", "keys", "token"];
    let name = name.to_ascii_lowercase();
    // `input_cost_per_token`, which may be written as text, is a price.
    !name.contains("cost_per")
        && (INSIDE.iter().any(|part| name.contains(part))
            || name.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| ENDS.contains(&word))
            || ENDS.iter().any(|end| name.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_sound_secret() {
        for name in ["api_key", "apiKey", "x-team-token", "client_secret", "Authorization", "keys", "db_password"] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in ["max_tokens", "input_cost_per_token", "model", "keyboard", "author"] {
            assert!(!sounds_secret(name), "{name}");
        }
    }

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
