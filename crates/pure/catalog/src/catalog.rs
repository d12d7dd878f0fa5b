//! The catalog: every model that the source lists, found by provider and name.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::adjust::{Adjustment, Adjustments};
use crate::model::Model;
use crate::names;
use crate::table::{Row, Table};

/// Facts about all known models. Cheap to make: the data stays text in the binary until a row is asked for.
#[derive(Clone, Debug)]
pub struct Catalog {
    table: Table,
    adjustments: Arc<Adjustments>,
}

/// A map of fewer models is a broken download; `LiteLLM` refuses it as well.
const FEWEST_MODELS: usize = 50;

/// Why a map of models is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// It cannot be read.
    #[error("it is no JSON object of models: {0}")]
    Malformed(String),
    /// It lacks what should be there.
    #[error("it has {found} models, and at least {wanted} are expected: a broken download?")]
    TooFew {
        /// Models in it.
        found: usize,
        /// Models that it should have.
        wanted: usize,
    },
}

impl Catalog {
    /// The catalog that is built into the binary.
    #[must_use]
    pub fn builtin() -> Catalog {
        Catalog { table: Table::new(include_str!("../data/models.tsv")), adjustments: Arc::default() }
    }

    /// A catalog of `LiteLLM`'s map of models in JSON, in place of the one that is built in.
    ///
    /// # Errors
    /// When it is no such map, or has fewer than 50 models, or fewer than half as many as the one that is built in.
    pub fn from_json(bytes: &[u8]) -> Result<Catalog, MapError> {
        let map: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| MapError::Malformed(error.to_string()))?;
        // Its first entry only says how entries look.
        let models = map.into_iter().filter(|(name, facts)| name != "sample_spec" && facts.is_object()).collect();
        let catalog = Catalog { table: Table::of_map(&models), adjustments: Arc::default() };
        let (found, wanted) = (catalog.len(), FEWEST_MODELS.max(Catalog::builtin().len().div_ceil(2)));
        if found < wanted { Err(MapError::TooFew { found, wanted }) } else { Ok(catalog) }
    }

    /// How many models it lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.rows().count()
    }

    /// It lists none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every model with its facts, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, Map<String, Value>)> {
        self.table.rows().filter_map(|row| Some((row.name, self.table.facts(row)?)))
    }

    /// The catalog whose costs have discounts and margins.
    #[must_use]
    pub fn adjusted(mut self, adjustments: Adjustments) -> Catalog {
        self.adjustments = Arc::new(adjustments);
        self
    }

    /// What costs of this provider are changed by.
    #[must_use]
    pub fn adjustment(&self, provider: &str) -> Adjustment {
        self.adjustments.of(provider)
    }

    /// The row that prices a picture of this size and quality, as the source names it: `hd/1024-x-1792/dall-e-3`, or without the
    /// quality, or without both.
    #[must_use]
    pub fn find_picture(&self, provider: &str, model: &str, size: &str, quality: &str) -> Option<Model> {
        let quality = if quality.is_empty() { "standard" } else { quality };
        let names = [format!("{quality}/{size}/{model}"), format!("{size}/{model}")];
        names.iter().find_map(|name| {
            let row = self.row_of(provider, name)?;
            let theirs = row.provider.unwrap_or(provider);
            Some(Model::listed(row.name, theirs, self.table.facts(row)?).adjusted(self.adjustment(provider)))
        })
    }

    /// A model of a provider (`openai`, `vertex_ai`, …) by the name that is sent to it.
    ///
    /// Tried in this order: the row `provider/model`; the row `model` if it is this provider's; then the same for the
    /// name without a fine-tuner's name, and without a date.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<Model> {
        let row = self.spellings(model).find_map(|spelling| self.row_of(provider, spelling))?;
        let model = Model::listed(row.name, row.provider.unwrap_or(provider), self.table.facts(row)?);
        Some(model.adjusted(self.adjustment(provider)))
    }

    /// Whose a model is that comes without a provider: by the catalog, else by how the name begins.
    #[must_use]
    pub fn provider_of_bare_name(&self, model: &str) -> Option<&str> {
        let listed = self.spellings(model).find_map(|spelling| self.table.row(spelling)?.provider);
        listed.map(names::called).or_else(|| names::provider_by_beginning(model))
    }

    /// The names under which a provider's models are called (without `provider/`), sorted by their rows; to list what
    /// `provider/*` may stand for. Left out: fine-tuned models, and rows that price one size of an image.
    pub fn of_provider(&self, provider: &str) -> impl Iterator<Item = &str> + use<'_> {
        let family = names::family(provider).to_owned();
        let prefix = format!("{}/", names::row_prefix(&family));
        self.table.rows().filter_map(move |row| {
            let theirs = row.provider.is_some_and(|listed| names::family(listed) == family);
            if !theirs || names::is_price_row(row.name) {
                return None;
            }
            let name = row.name.strip_prefix(&prefix);
            // A model that is listed with and without its provider is one model.
            let again = name.is_none() && self.table.row(&format!("{prefix}{}", row.name)).is_some();
            Some(name.unwrap_or(row.name)).filter(|name| !again && !name.starts_with("ft:"))
        })
    }

    /// The row of exactly this model, with or without the provider before it.
    fn row_of(&self, provider: &str, model: &str) -> Option<Row<'_>> {
        let family = names::family(provider);
        let prefixes = [Some(provider), Some(names::row_prefix(family)), names::stand_in(provider)];
        let prefixed = |prefix: Option<&str>| self.table.row(&format!("{}/{model}", prefix?));
        let own = |row: &Row<'_>| row.provider.is_some_and(|theirs| names::family(theirs) == family);
        let [exact, of_family, stand_in] = prefixes;
        prefixed(exact)
            .or_else(|| prefixed(of_family))
            .or_else(|| self.table.row(model).filter(own))
            .or_else(|| prefixed(stand_in))
    }

    /// The ways to write a name, the nearest first.
    fn spellings<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let tuned = names::without_owner(model).or_else(|| model.starts_with("ft:").then_some(model));
        let base = tuned.unwrap_or(model);
        let undated = names::without_date(base);
        // OpenAI's fine-tuned models have prices by dated names only: the newest stands for the undated one.
        let newest = tuned.map(|tuned| undated.unwrap_or(tuned)).and_then(|undated| {
            let dated = self.table.rows_beginning(undated).map(|row| row.name);
            dated.filter(|name| names::without_date(name) == Some(undated)).last()
        });
        [Some(model), Some(base), names::without_hash(model), undated, newest].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests;
