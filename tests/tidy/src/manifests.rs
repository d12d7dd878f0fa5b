//! Who may import whom: the floors, the owners of outside libraries, and what every manifest says the same way.

use toml::{Table, Value};

use crate::Repository;

/// The crates of the house, from the ground up: each may import every crate of the storeys below its own.
const STOREYS: [&[&str]; 7] = [
    &["pure/wire"],
    &["pure/providers", "pure/catalog", "pure/router", "pure/ledger", "pure/policy", "pure/config"],
    &["io/net", "io/kv", "io/journal", "io/store"],
    &["io/observe"],
    &["app/gateway"],
    &["app/server"],
    &["app/cli"],
];

/// Who may import what beside that, and what of the storeys below is closed to whom.
const BESIDE: [(&str, &str); 1] = [("pure/policy", "catalog")];
const CLOSED: [(&str, &str); 3] = [("io/observe", "kv"), ("io/observe", "journal"), ("io/observe", "store")];

/// Whether the house's plan knows the crate, and the names that it may import.
fn may_import(place: &str) -> Option<Vec<&'static str>> {
    let storey = STOREYS.iter().position(|storey| storey.contains(&place))?;
    let below = STOREYS.iter().take(storey).flat_map(|storey| storey.iter());
    let names = below.filter_map(|below| below.split_once('/').map(|(_, name)| name));
    let open = names.filter(|name| !CLOSED.contains(&(place, name)));
    Some(open.chain(BESIDE.iter().filter(|(who, _)| *who == place).map(|(_, name)| *name)).collect())
}

/// Outside libraries and the crates that own them.
const OWNERS: [(&str, &[&str]); 22] = [
    ("anyhow", &["app/cli"]),
    ("aws-config", &["io/net"]),
    ("aws-sigv4", &["pure/providers"]),
    ("aws-smithy-eventstream", &["pure/wire"]),
    ("axum", &["app/server"]),
    ("clap", &["app/cli"]),
    ("crc32c", &["io/journal"]),
    ("hyper-rustls", &["io/net"]),
    ("minijinja", &["pure/providers"]),
    ("minijinja-contrib", &["pure/providers"]),
    ("redis", &["io/kv"]),
    ("reqwest", &["io/net"]),
    ("rustix", &["io/journal"]),
    ("rustls", &["io/net"]),
    ("rustls-native-certs", &["io/net"]),
    ("rustls-pki-types", &["io/net", "app/server"]),
    ("sqlx", &["io/store"]),
    ("tiktoken-rs", &["pure/catalog"]),
    ("tokio-rustls", &["io/net", "app/server"]),
    ("tokio-tungstenite", &["io/net"]),
    ("tower", &["app/server"]),
    ("tower-http", &["app/server"]),
];

/// What does IO, keeps time or starts tasks, and therefore has no place on the pure floor, not even in its tests.
const NOT_ON_THE_PURE_FLOOR: [&str; 15] = [
    "async-std",
    "axum",
    "futures-util",
    "getrandom",
    "hyper",
    "hyper-util",
    "mio",
    "rand",
    "redis",
    "reqwest",
    "rustls",
    "socket2",
    "sqlx",
    "tokio",
    "tracing",
];

/// What the lint file of the pure floor has to ban.
const BANNED_ON_THE_PURE_FLOOR: [&str; 6] = [
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "std::env::var",
    "std::fs::read",
    "std::net::TcpStream::connect",
    "std::thread::spawn",
];

/// One dependency as a manifest names it.
struct Dependency<'manifest> {
    name: &'manifest str,
    value: &'manifest Value,
    for_tests: bool,
}

/// A member of the workspace under `crates/`: `pure/wire`, and its manifest.
struct Member {
    place: String,
    manifest: Table,
}

/// The manifests of all crates: whom they import, on which floor.
#[must_use]
pub fn floors(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for member in members(repository, &mut found) {
        let Some(allowed) = may_import(&member.place) else {
            found.push(format!("crates/{} is not in the plan of the house (manifests.rs)", member.place));
            continue;
        };
        for dependency in member.dependencies() {
            let Some(name) = dependency.name.strip_prefix("tollgate-") else { continue };
            let for_tests = dependency.for_tests && name == "kit";
            if !for_tests && !allowed.contains(&name) {
                found.push(format!("crates/{} may not import {name}", member.place));
            }
        }
    }
    found.extend(kit_knows_only_wire(repository));
    found
}

/// Outside libraries are named by their owners only.
#[must_use]
pub fn owners(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for member in members(repository, &mut found) {
        for dependency in member.dependencies().filter(|dependency| !dependency.for_tests) {
            let owners = OWNERS.iter().find(|(library, _)| *library == dependency.name).map(|(_, owners)| *owners);
            if owners.is_some_and(|owners| !owners.contains(&member.place.as_str())) {
                found
                    .push(format!("crates/{} may not name {}, which has another owner", member.place, dependency.name));
            }
            let is_client = dependency.features().any(|feature| feature.starts_with("client"));
            if dependency.name.starts_with("hyper") && is_client && member.place != "io/net" {
                found.push(format!("crates/{}: the client side of {} belongs to net", member.place, dependency.name));
            }
        }
    }
    found
}

/// The pure floor names nothing that does IO, and its lint file bans what the standard library could do.
#[must_use]
pub fn purity(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for member in members(repository, &mut found).iter().filter(|member| member.place.starts_with("pure/")) {
        for dependency in member.dependencies().filter(|dependency| NOT_ON_THE_PURE_FLOOR.contains(&dependency.name)) {
            found.push(format!("crates/{}: {} has no place on the pure floor", member.place, dependency.name));
        }
    }
    let lints = repository.text("crates/pure/clippy.toml").unwrap_or_default();
    for path in BANNED_ON_THE_PURE_FLOOR {
        if !lints.contains(&format!("\"{path}\"")) {
            found.push(format!("crates/pure/clippy.toml does not ban {path}"));
        }
    }
    // The nearest lint file wins, so one inside a crate would lift the ban.
    for file in repository.files().filter(|file| file.path.starts_with("crates/pure/")) {
        if file.path.ends_with("/clippy.toml") && file.path != "crates/pure/clippy.toml" {
            found.push(format!("{} lifts the lints of the pure floor", file.path));
        }
    }
    found
}

/// Versions and lints stand once, in the workspace.
#[must_use]
pub fn shared_settings(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for member in members(repository, &mut found) {
        let is_shared = |value: Option<&Value>| value.and_then(|value| value.get("workspace")?.as_bool()) == Some(true);
        for dependency in member.dependencies().filter(|dependency| !is_shared(Some(dependency.value))) {
            found.push(format!("crates/{}: the version of {} belongs to the workspace", member.place, dependency.name));
        }
        if !is_shared(member.manifest.get("lints")) {
            found.push(format!("crates/{} does not take the lints of the workspace", member.place));
        }
    }
    found
}

impl Member {
    fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        let tables = [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)];
        let for_all = tables.into_iter().map(|(key, for_tests)| (self.manifest.get(key), for_tests));
        let targets = self.manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let for_some = targets.flat_map(move |target| tables.map(|(key, for_tests)| (target.get(key), for_tests)));
        for_all
            .chain(for_some)
            .filter_map(|(table, for_tests)| Some((table?.as_table()?, for_tests)))
            .flat_map(|(table, for_tests)| table.iter().map(move |(name, value)| Dependency { name, value, for_tests }))
    }
}

impl<'manifest> Dependency<'manifest> {
    fn features(&self) -> impl Iterator<Item = &'manifest str> {
        self.value.get("features").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

fn members(repository: &Repository, found: &mut Vec<String>) -> Vec<Member> {
    let mut members = Vec::new();
    for (path, text) in repository.texts() {
        let Some(place) = path.strip_prefix("crates/").and_then(|path| path.strip_suffix("/Cargo.toml")) else {
            continue;
        };
        match text.parse::<Table>() {
            Ok(manifest) => members.push(Member { place: place.to_owned(), manifest }),
            Err(error) => found.push(format!("{path}: {error}")),
        }
    }
    if members.is_empty() {
        found.push("there are no crates under crates/".to_owned());
    }
    members
}

fn kit_knows_only_wire(repository: &Repository) -> Vec<String> {
    let manifest = repository.text("tests/kit/Cargo.toml").and_then(|text| text.parse::<Table>().ok());
    let Some(manifest) = manifest else { return Vec::new() };
    let kit = Member { place: "tests/kit".to_owned(), manifest };
    let ours = kit.dependencies().filter_map(|dependency| dependency.name.strip_prefix("tollgate-"));
    ours.filter(|name| *name != "wire").map(|name| format!("tests/kit may not import {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(place: &str, lines: &str) -> Repository {
        let path = format!("crates/{place}/Cargo.toml");
        Repository::of(&[(&path, &format!("[lints]\nworkspace = true\n{lines}"))])
    }

    #[test]
    fn an_import_upwards_is_found() {
        let house = house("pure/router", "[dependencies]\ntollgate-gateway.workspace = true\n");

        assert_eq!(floors(&house), ["crates/pure/router may not import gateway"]);
    }

    #[test]
    fn the_imports_of_the_plan_are_allowed() {
        let policy = house("pure/policy", "[dependencies]\ntollgate-catalog.workspace = true\n");
        let tests = house("io/net", "[dev-dependencies]\ntollgate-kit.workspace = true\n");

        assert!(floors(&policy).is_empty() && floors(&tests).is_empty());
    }

    #[test]
    fn an_import_between_io_crates_is_found_unless_observe_sends() {
        let net = house("io/net", "[dependencies]\ntollgate-observe.workspace = true\n");
        let observe = house("io/observe", "[dependencies]\ntollgate-net.workspace = true\n");

        assert_eq!(floors(&net), ["crates/io/net may not import observe"]);
        assert!(floors(&observe).is_empty());
    }

    #[test]
    fn the_kit_outside_tests_is_found() {
        let house = house("io/net", "[dependencies]\ntollgate-kit.workspace = true\n");

        assert_eq!(floors(&house), ["crates/io/net may not import kit"]);
    }

    #[test]
    fn a_crate_that_is_not_in_the_plan_is_found() {
        assert_eq!(floors(&house("io/mail", "")), ["crates/io/mail is not in the plan of the house (manifests.rs)"]);
    }

    #[test]
    fn a_library_of_another_owner_is_found_also_behind_a_target() {
        let house = house("app/cli", "[target.'cfg(unix)'.dependencies]\naxum.workspace = true\n");

        assert_eq!(owners(&house), ["crates/app/cli may not name axum, which has another owner"]);
    }

    #[test]
    fn the_client_side_of_hyper_belongs_to_net() {
        let server =
            house("app/server", "[dependencies]\nhyper-util = { workspace = true, features = [\"client-legacy\"] }\n");
        let net = house("io/net", "[dependencies]\nhyper = { workspace = true, features = [\"client\"] }\n");

        assert_eq!(owners(&server), ["crates/app/server: the client side of hyper-util belongs to net"]);
        assert!(owners(&net).is_empty());
    }

    #[test]
    fn a_runtime_on_the_pure_floor_is_found_even_in_tests() {
        let house = house("pure/wire", "[dev-dependencies]\ntokio.workspace = true\n");

        assert!(purity(&house).contains(&"crates/pure/wire: tokio has no place on the pure floor".to_owned()));
    }

    #[test]
    fn a_lint_file_inside_a_pure_crate_is_found() {
        let house = Repository::of(&[("crates/pure/wire/clippy.toml", "")]);

        assert!(purity(&house).contains(&"crates/pure/wire/clippy.toml lifts the lints of the pure floor".to_owned()));
    }

    #[test]
    fn a_version_in_a_crate_is_found() {
        let house = house("io/net", "[dependencies]\nbytes = \"1\"\n");

        assert_eq!(shared_settings(&house), ["crates/io/net: the version of bytes belongs to the workspace"]);
    }
}
