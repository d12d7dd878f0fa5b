//! The catalog: every model that the source lists, found by provider and name.

use crate::model::Model;
use crate::names;
use crate::table::{Row, Table};

/// Facts about all known models. Cheap to make: the data stays text in the binary until a row is asked for.
#[derive(Clone, Debug)]
pub struct Catalog {
    table: Table,
}

impl Catalog {
    /// The catalog that is built into the binary.
    #[must_use]
    pub fn builtin() -> Catalog {
        Catalog { table: Table::new(include_str!("../data/models.tsv")) }
    }

    /// A model of a provider (`openai`, `vertex_ai`, …) by the name that is sent to it.
    ///
    /// Tried in this order: the row `provider/model`; the row `model` if it is this provider's; then the same for the
    /// name without a fine-tuner's name, and without a date.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<Model> {
        let row = self.spellings(model).find_map(|spelling| self.row_of(provider, spelling))?;
        Some(Model::listed(row.name, row.provider.unwrap_or(provider), self.table.facts(row)?))
    }

    /// Whose a model is that comes without a provider: by the catalog, else by how the name begins.
    #[must_use]
    pub fn provider_of_bare_name(&self, model: &str) -> Option<&'static str> {
        let listed = self.spellings(model).find_map(|spelling| self.table.row(spelling)?.provider);
        listed.map(names::called).or_else(|| names::provider_by_beginning(model))
    }

    /// The names under which a provider's models are called (without `provider/`), sorted by their rows; to list what
    /// `provider/*` may stand for. Left out: fine-tuned models, and rows that price one size of an image.
    pub fn of_provider(&self, provider: &str) -> impl Iterator<Item = &'static str> + '_ {
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
    fn row_of(&self, provider: &str, model: &str) -> Option<Row> {
        let family = names::family(provider);
        let prefixes = [Some(provider), Some(names::row_prefix(family)), names::stand_in(provider)];
        let prefixed = |prefix: Option<&str>| self.table.row(&format!("{}/{model}", prefix?));
        let own = |row: &Row| row.provider.is_some_and(|theirs| names::family(theirs) == family);
        let [exact, of_family, stand_in] = prefixes;
        prefixed(exact)
            .or_else(|| prefixed(of_family))
            .or_else(|| self.table.row(model).filter(own))
            .or_else(|| prefixed(stand_in))
    }

    /// The ways to write a name, the nearest first.
    fn spellings<'a>(&self, model: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
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
