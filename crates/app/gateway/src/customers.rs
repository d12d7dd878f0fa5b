//! The customers for whom calls are made (`LiteLLM`'s end users), and what holds for each: looked up once however many calls
//! name one, remembered for a while, forgotten when the store says that they have changed. Whoever has no row costs no look-up.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture, future::Shared};
use moka::sync::Cache;
use tollgate_policy::{Budget, BudgetOf, KeyDigest, Limit, LimitScope, Models};
use tollgate_store::{Budget as BudgetRow, Customer as Row, EpochMs, Store, StoreError};
use tollgate_wire::{Failure, FailureKind, clock::Clock};

use crate::{
    admin::{budgets, rows::document},
    callers::{KeyBounds, unavailable},
    known::{KnownIds, PAGE, Verdict},
    limits::of_rows,
    whom::WhomRules,
    workers::Workers,
};

/// Rows that are looked up at one time.
const MOST_ASKED: usize = 100;

/// A customer as calls see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Customer {
    pub(crate) id: String,
    blocked: bool,
    /// Where its deployments must be.
    pub(crate) region: Option<String>,
    /// Who answers where none of the group is there.
    pub(crate) default_model: Option<String>,
    pub(crate) models: Models,
    pub(crate) limit: Option<Limit>,
    /// What it may spend.
    pub(crate) budgets: Vec<Budget>,
}

impl Customer {
    /// Whether calls may be made for it.
    ///
    /// # Errors
    /// 403 in `LiteLLM`'s words.
    pub(crate) fn admit(&self) -> Result<(), Failure> {
        if !self.blocked {
            return Ok(());
        }
        let words = format!("User blocked from making LLM API Calls. User={}", self.id);
        Err(Failure::new(FailureKind::RouteDenied, words).with_param("user"))
    }
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    Customer(String),
    Budget(String),
}

/// What there is, each with its budget.
#[derive(Clone, Debug)]
enum Found {
    Customer(Option<Arc<(Row, Option<BudgetRow>)>>),
    Budget(Option<Arc<BudgetRow>>),
}

#[derive(Clone, Debug)]
struct Kept {
    found: Found,
    /// When the store said so, by the monotonic clock.
    heard: Duration,
}

/// The store does not answer.
#[derive(Clone, Copy, Debug)]
struct Away;

type Asking = Shared<BoxFuture<'static, Result<Found, Away>>>;

/// What is known of customers.
pub(crate) struct Customers {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    workers: Workers,
    bounds: KeyBounds,
    ids: KnownIds,
    kept: Cache<Wanted, Kept>,
    asking: Mutex<HashMap<Wanted, Asking>>,
    /// How often something was forgotten.
    era: AtomicU64,
}

impl Customers {
    pub(crate) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, workers: Workers, bounds: KeyBounds) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            workers,
            bounds,
            ids: KnownIds::default(),
            kept: Cache::new(bounds.most),
            asking: Mutex::default(),
            era: AtomicU64::new(0),
        })
    }

    /// What holds for a customer; none: nothing does.
    ///
    /// # Errors
    /// 503 for one of whom there is a row that cannot be read now.
    pub(crate) async fn find(self: &Arc<Self>, id: &str, rules: &WhomRules) -> Result<Option<Customer>, Failure> {
        let row = match self.ids.verdict(prefix(id)) {
            Verdict::NotHere => None,
            verdict => match self.look(Wanted::Customer(id.to_owned())).await {
                Ok(Found::Customer(row)) => row,
                Err(Away) if verdict == Verdict::Here && !self.bounds.outlive_store => return Err(unavailable()),
                _ => None,
            },
        };
        let own = row.as_ref().and_then(|row| row.1.as_ref());
        let default = match (&rules.default_budget_id, own) {
            (Some(budget), None) => self.look(Wanted::Budget(budget.clone())).await.ok(),
            _ => None,
        };
        let shared = match &default {
            Some(Found::Budget(Some(budget))) => Some(budget.as_ref()),
            _ => None,
        };
        let budget = own.or(shared);
        let of = BudgetOf::Customer(id.into());
        let now = EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX));
        let budgets = match (budget, rules.default_budget) {
            (Some(budget), _) => budgets::of_row(budget, &of, now),
            (None, Some(most)) => vec![Budget { of, most, duration: None, began: 0 }],
            (None, None) => Vec::new(),
        };
        let limit = of_rows::under(budget, LimitScope::Customer, id);
        if row.is_none() && budgets.is_empty() && limit.is_none() {
            return Ok(None);
        }
        let customer = Customer { id: id.to_owned(), limit, budgets, ..Customer::default() };
        let Some((row, _)) = row.as_deref() else { return Ok(Some(customer)) };
        Ok(Some(Customer {
            blocked: row.blocked,
            region: row.allowed_model_region.clone(),
            default_model: row.default_model.clone(),
            models: Models(document(row.models.as_ref())),
            ..customer
        }))
    }

    async fn look(self: &Arc<Self>, wanted: Wanted) -> Result<Found, Away> {
        let now = self.clock.monotonic();
        let kept = self.kept.get(&wanted);
        if let Some(kept) = kept.as_ref().filter(|kept| now.saturating_sub(kept.heard) < self.bounds.ttl) {
            return Ok(kept.found.clone());
        }
        let answer = match self.ask(wanted) {
            Some(asking) => tokio::time::timeout(self.bounds.patience, asking).await.unwrap_or(Err(Away)),
            None => Err(Away),
        };
        let lasts = self.bounds.ttl + self.bounds.stale_ttl;
        let stale = kept.filter(|kept| self.bounds.outlive_store || now.saturating_sub(kept.heard) < lasts);
        answer.or_else(|away| stale.map(|kept| kept.found).ok_or(away))
    }

    /// The look-up, begun by whoever comes first.
    fn ask(self: &Arc<Self>, wanted: Wanted) -> Option<Asking> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = asking.get(&wanted) {
            return Some(running.clone());
        }
        if asking.len() >= MOST_ASKED {
            return None;
        }
        let (customers, named) = (Arc::clone(self), wanted.clone());
        let asked = async move {
            let answer = customers.read(&named).await;
            customers.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&named);
            answer
        };
        let asked = asked.boxed().shared();
        asking.insert(wanted, asked.clone());
        let driven = asked.clone();
        self.workers.spawn(async move {
            let _ = driven.await;
        });
        Some(asked)
    }

    async fn read(&self, wanted: &Wanted) -> Result<Found, Away> {
        let (heard, era) = (self.clock.monotonic(), self.era.load(Ordering::SeqCst));
        let asked = async {
            Ok::<Found, StoreError>(match wanted {
                Wanted::Budget(id) => Found::Budget(self.store.budget(id).await?.map(Arc::new)),
                Wanted::Customer(id) => {
                    let Some(row) = self.store.customer(id).await? else { return Ok(Found::Customer(None)) };
                    let budget = match &row.budget_id {
                        Some(budget) => self.store.budget(budget).await?,
                        None => None,
                    };
                    Found::Customer(Some(Arc::new((row, budget))))
                }
            })
        };
        let found = asked.await.map_err(|_| Away)?;
        self.kept.insert(wanted.clone(), Kept { found: found.clone(), heard });
        if self.era.load(Ordering::SeqCst) != era {
            self.kept.invalidate(wanted);
        }
        Ok(found)
    }

    /// One is another now, or there is one.
    pub(crate) fn forget(&self, id: &str) {
        self.ids.add(prefix(id));
        self.era.fetch_add(1, Ordering::SeqCst);
        self.kept.invalidate(&Wanted::Customer(id.to_owned()));
    }

    /// Budgets have changed, whosever they are, or nobody knows what.
    pub(crate) fn forget_all(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
        self.kept.invalidate_all();
    }

    /// Changes were missed.
    pub(crate) fn doubt(&self) {
        self.ids.doubt();
        self.forget_all();
    }

    /// Reads which there are.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn read_ids(&self) -> Result<(), StoreError> {
        let page = |last: String| async move { self.store.customer_ids_after(&last, PAGE).await }.boxed();
        if let Some(all) = self.ids.read(page, |id| Some(prefix(id))).await? {
            self.ids.complete(all);
        }
        Ok(())
    }
}

fn prefix(id: &str) -> u64 {
    KeyDigest::of(id).prefix()
}
