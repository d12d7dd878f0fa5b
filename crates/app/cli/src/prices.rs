//! The price map: `prices update` takes a newer one into the data directory, and a start or a reload reads it there. Nothing is
//! fetched unless a person, or `LITELLM_MODEL_COST_MAP_URL`, asks for it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};
use tollgate_catalog::{Catalog, is_price_key};
use tollgate_net::{Bounds, Client, ClientSettings, clock::SystemClock};
use tollgate_wire::http::Outgoing;

use crate::{
    args::{Options, PriceUpdate},
    environment::{Environment, get},
    out, store,
};

/// The map in the data directory.
const FILE: &str = "model_prices.json";
/// Largest map that is read, bytes; today's has 2 MB.
const LARGEST: usize = 64 << 20;
/// How long a person waits for a map, and how long a start does.
const PATIENCE: Duration = Duration::from_secs(60);
const AT_START: Duration = Duration::from_secs(5);
/// Changes of one kind that are listed.
const LISTED: usize = 40;

/// `prices update`.
pub(crate) fn update(options: &Options, asked: &PriceUpdate, environment: &Environment) -> anyhow::Result<ExitCode> {
    let bytes = read(&asked.from)?;
    let catalog =
        Catalog::from_json(&bytes).with_context(|| format!("{} is not taken; nothing was changed", asked.from))?;
    let Some(folder) = store::data_dir(options, environment)? else {
        bail!("there is no data directory to keep the map in: name one with --data-dir");
    };
    let path = folder.join(FILE);
    let before = of_file(&path).unwrap_or_else(Catalog::builtin);
    tell(&before, &catalog);
    write(&path, &bytes).with_context(|| format!("{} cannot be written; nothing was changed", path.display()))?;
    out::line(&format!(
        "{} models are in {}; a running gateway takes them at its next reload",
        catalog.len(),
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The map of the data directory, if there is one to look for.
pub(crate) fn path(options: &Options, environment: &Environment) -> Option<PathBuf> {
    Some(store::named_data_dir(options, environment)?.join(FILE))
}

/// The catalog to start with: of the URL, where one is set and answers in time; else of the data directory; else the binary's.
pub(crate) async fn at_start(
    options: &Options,
    environment: &Environment,
    client: &Client,
) -> (Catalog, Option<Catalog>) {
    let is_local =
        get(environment, "LITELLM_LOCAL_MODEL_COST_MAP").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if let Some(url) = get(environment, "LITELLM_MODEL_COST_MAP_URL").filter(|url| !url.is_empty() && !is_local) {
        let fetched = match fetch(client, url, AT_START).await {
            Ok(bytes) => Catalog::from_json(&bytes).map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        match fetched {
            Ok(catalog) => return (catalog.clone(), Some(catalog)),
            Err(error) => out::aside(&format!(
                "warning: the price map of LITELLM_MODEL_COST_MAP_URL is not taken ({error:#}); the one at hand is used"
            )),
        }
    }
    (at_hand(options, environment), None)
}

/// The catalog of the data directory, else the binary's.
pub(crate) fn at_hand(options: &Options, environment: &Environment) -> Catalog {
    path(options, environment).and_then(|path| of_file(&path)).unwrap_or_else(Catalog::builtin)
}

/// The catalog of a file; none if it is not there, or cannot be used, which is said.
fn of_file(path: &Path) -> Option<Catalog> {
    let bytes = fs::read(path).ok()?;
    match Catalog::from_json(&bytes) {
        Ok(catalog) => Some(catalog),
        Err(error) => {
            let path = path.display();
            out::aside(&format!(
                "warning: {path} is not used ({error}); the price map of the binary is. Load another with `tollgate prices update`"
            ));
            None
        }
    }
}

fn read(from: &str) -> anyhow::Result<Bytes> {
    if !from.starts_with("http://") && !from.starts_with("https://") {
        let size = fs::metadata(from).with_context(|| format!("{from} cannot be read"))?.len();
        if size > LARGEST as u64 {
            bail!("{from} has {size} bytes, and a price map at most {LARGEST}");
        }
        return Ok(fs::read(from).with_context(|| format!("{from} cannot be read"))?.into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::new(ClientSettings::default(), Arc::new(SystemClock::new()))?;
        fetch(&client, from, PATIENCE).await
    })
}

async fn fetch(client: &Client, url: &str, patience: Duration) -> anyhow::Result<Bytes> {
    let outgoing = Outgoing { method: Method::GET, url: url.to_owned(), headers: HeaderMap::new(), body: Bytes::new() };
    let bounds = Bounds { first_byte: patience, idle: patience, total: Some(patience), max_body: LARGEST };
    let response = client.send(&outgoing, &bounds).await.with_context(|| format!("{url} cannot be fetched"))?;
    if !response.status.is_success() {
        bail!("{url} answered {}", response.status);
    }
    response.collect().await.with_context(|| format!("{url} cannot be fetched"))
}

/// Whole, or not at all: a reader finds the old file or the new one.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Prints what becomes another.
fn tell(before: &Catalog, after: &Catalog) {
    let of = |catalog: &Catalog| -> BTreeMap<String, Map<String, Value>> {
        catalog.all().map(|(name, facts)| (name.to_owned(), facts)).collect()
    };
    let (before, after) = (of(before), of(after));
    let added: Vec<String> = after.keys().filter(|name| !before.contains_key(*name)).cloned().collect();
    let gone: Vec<String> = before.keys().filter(|name| !after.contains_key(*name)).cloned().collect();
    let changed = after.iter().filter_map(|(name, facts)| Some((name, changes(before.get(name)?, facts))));
    let changed: Vec<String> = changed
        .filter(|(_, changes)| !changes.is_empty())
        .map(|(name, all)| format!("{name}: {}", all.join(", ")))
        .collect();
    for (what, names) in [("new", &added), ("gone", &gone), ("other prices", &changed)] {
        out::line(&format!("{what}: {}", names.len()));
        names.iter().take(LISTED).for_each(|name| out::line(&format!("    {name}")));
        if names.len() > LISTED {
            out::line(&format!("    … and {} more", names.len() - LISTED));
        }
    }
}

/// What prices of a model become: `input_cost_per_token 2.5e-6 → 2e-6`.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let told =
        |facts: &Map<String, Value>, key: &str| facts.get(key).map_or_else(|| "none".to_owned(), Value::to_string);
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).filter(|key| is_price_key(key)).collect();
    keys.sort();
    keys.dedup();
    let differ = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    differ.map(|key| format!("{key} {} → {}", told(before, key), told(after, key))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_prices_are_told_of() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let before = map(json!({"input_cost_per_token": 2e-6, "max_tokens": 1, "output_cost_per_token": 1e-6}));
        let after = map(
            json!({"input_cost_per_token": 3e-6, "max_tokens": 2, "cache_read_input_token_cost": 1e-7, "output_cost_per_token": 1e-6}),
        );
        assert_eq!(
            changes(&before, &after),
            ["cache_read_input_token_cost none → 1e-7", "input_cost_per_token 2e-6 → 3e-6"]
        );
    }

    #[test]
    fn a_map_is_replaced_whole() {
        let folder = tollgate_kit::TempFolder::new();
        let path = folder.path().join(FILE);
        write(&path, b"one").unwrap();
        write(&path, b"other").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
