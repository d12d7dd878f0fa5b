//! What a decision costs: from a call's wishes to the deployment that is asked, by strategy and size of the group, and the
//! place that the call then takes and leaves. `cargo bench -p tollgate-router`.

use std::{fmt, hint::black_box, sync::Arc, time::Duration};

use divan::{AllocProfiler, Bencher};
use tollgate_router::{
    Asked, Deployment, Event, Fleet, FleetBuilder, Flight, Landing, Limits, Pace, Plan, Rules, Strategy, Vitals, Wants,
};

/// Counts allocations: none may be made for a deployment.
#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW: Duration = Duration::from_secs(100);
const STRATEGIES: [Strategy; 7] = [
    Strategy::Shuffle,
    Strategy::TwoChoices,
    Strategy::CacheAffinity,
    Strategy::LeastBusy,
    Strategy::LeastUsed,
    Strategy::Fastest,
    Strategy::Cheapest,
];

fn main() {
    divan::main();
}

/// A group to pick from.
struct Case {
    strategy: Strategy,
    count: usize,
    limited: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:4}{}", self.strategy, self.count, if self.limited { ", limited" } else { "" })
    }
}

fn cases() -> Vec<Case> {
    let of = |strategy| {
        let case = move |count, limited| Case { strategy, count, limited };
        [case(1, false), case(10, false), case(1_000, false), case(1_000, true)]
    };
    STRATEGIES.into_iter().flat_map(of).collect()
}

/// Deployments that differ, have calls in flight and known latencies.
fn fleet(case: &Case) -> (Fleet, Vec<Flight>) {
    let mut builder = FleetBuilder::default();
    for index in 0..case.count {
        let (limit, part) = (case.limited.then_some(1_000_000), u32::try_from(index % 7).unwrap_or_default());
        builder.add(Deployment {
            id: format!("deployment-{index}"),
            group: "g".to_owned(),
            weight: Some(1.0 + f64::from(part)),
            rpm: limit,
            tpm: limit,
            price: Some(1e-6 * f64::from(part + 1)),
            ..Deployment::default()
        });
    }
    builder.rules(Rules { strategy: case.strategy, ..Rules::default() });
    let fleet = builder.build();
    let mut flights = Vec::new();
    for (index, one) in (0_u32..).zip(fleet.deployments()) {
        let begin = || one.vitals.begin(NOW, &Limits::default(), 10);
        if let Ok(flight) = begin() {
            let latency = Some((Pace::Token, 0.1 + f64::from(index % 5)));
            flight.land(NOW, Landing::Well { tokens: u64::from(index % 11), latency });
        }
        flights.extend((0..index % 3).filter_map(|_| begin().ok()));
    }
    (fleet, flights)
}

#[divan::bench(args = cases())]
fn decide(bencher: Bencher<'_, '_>, case: &Case) {
    let (fleet, _flights) = fleet(case);
    let mut number = 0_u64;
    bencher.bench_local(|| {
        number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let wants = Wants { tokens: 100, affinity: Some(number), ..Wants::default() };
        let group = fleet.find("g")?;
        let mut plan = Plan::new(&fleet, group, Asked { wants, ..Asked::default() });
        Some(black_box(plan.on(&Event::Begin, NOW, number)))
    });
}

#[divan::bench(args = [false, true])]
fn take_a_place_and_leave_it(bencher: Bencher<'_, '_>, limited: bool) {
    let vitals = Arc::<Vitals>::default();
    let limit = limited.then_some(u64::MAX);
    let limits = Limits { rpm: limit, tpm: limit, parallel: limit };
    bencher.bench_local(|| {
        let flight = vitals.begin(NOW, &limits, 100).ok()?;
        flight.land(NOW, Landing::Well { tokens: 50, latency: Some((Pace::Token, 0.5)) });
        Some(())
    });
}
