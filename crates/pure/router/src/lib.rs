//! Who answers: from a model name to a group of deployments ([`Fleet`]), from a group to the next attempt ([`Plan`]), and how
//! each deployment is doing ([`Vitals`]). Pure: time and chance come in as arguments; state is atomics, nothing waits.

mod budget;
mod cooldown;
mod fallbacks;
mod fleet;
mod hedging;
mod level;
mod look;
mod nearest;
mod pace;
mod pick;
mod plan;
mod purse;
mod rules;
mod share;
mod vitals;

pub use budget::RetryBudget;
pub use fallbacks::{Fallback, FallbackList, Fallbacks};
pub use fleet::{Captured, Deployment, Fleet, FleetBuilder, Group};
pub use hedging::{Awaits, HedgeBudget, Hedging};
pub use level::mark;
pub use look::{Wants, Why};
pub use nearest::nearest;
pub use pace::Pace;
pub use plan::{Asked, Event, Plan, Step};
pub use purse::{Nanos, Payer, Purse, Purses};
pub use rules::{Policy, RestRules, Rules, Strategy};
pub use share::{Claim, Others, Share, Told};
pub use tollgate_wire::window::Counts;
pub use vitals::{Busy, Flight, Landed, Landing, Limits, Vitals};
