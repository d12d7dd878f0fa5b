//! Who answers: from a model name to a group of deployments ([`Fleet`]), from a group to the next attempt ([`Plan`]).
//! Pure: the world's state and chance come in as arguments.

mod fleet;
mod nearest;
mod plan;
mod shuffle;

pub use fleet::{Deployment, Fleet, FleetBuilder, Group};
pub use nearest::nearest;
pub use plan::{Event, Plan, Step};
