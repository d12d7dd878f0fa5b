//! Facts about models: windows, modes, capabilities, prices; and what a call used turned into money.
//!
//! Who comes in: a provider and a model name, or a [`Usage`](tollgate_wire::Usage). Who goes out: a [`Model`] with its
//! facts and [`Price`], or a [`Cost`]. The data is text inside the binary (`data/models.tsv`, made by
//! `scripts/import-prices`); nothing is parsed before somebody asks for a row.

mod adjust;
mod catalog;
mod cost;
mod decimal;
mod model;
mod money;
mod names;
mod price;
mod table;
pub mod tokens;
mod units;

pub use adjust::{Adjusted, Adjustment, Adjustments, Share};
pub use catalog::{Catalog, MapError};
pub use cost::{Breakdown, Cost, cost, cost_breakdown};
pub use model::{Model, is_price_key};
pub use money::Money;
pub use price::{PicoPrice, Price, Rates};
