//! The one list of providers. A new one is its name here and its row in `table/`.

use crate::provider::Provider;

macro_rules! providers {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*
        /// Every provider.
        pub static ALL: &[&Provider] = &[$(&$name::PROVIDER),*];
    };
}

providers! {
    anthropic, anthropic_text, azure, openai, text_completion_openai,
}

/// The provider of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Provider> {
    ALL.iter().copied().find(|provider| provider.name == name)
}
