//! The ids of what is kept at providers, between a client and a provider: the client's are sealed (decision 30), and say
//! whose a thing is and at which deployment; the provider's stand in what the provider reads.

use std::convert::Infallible;

use tollgate_policy::Caller;
use tollgate_providers::kept_ids;
use tollgate_router::Group;
use tollgate_wire::{Failure, RawBody};

use crate::{
    deployment::{Place, Served},
    dispatch::Ask,
    gateway::Gateway,
    options::ClientSide,
    passing::{self, Account, Chosen},
    sealed::{SealKey, Thing},
    snapshot::Snapshot,
};

/// The ids of one call.
pub(crate) struct Ids {
    key: SealKey,
    caller: Caller,
    /// What the client named, and by which ids.
    opened: Vec<(String, Thing)>,
}

impl Ids {
    pub(crate) fn of(gateway: &Gateway, snapshot: &Snapshot, caller: &Caller) -> Self {
        Self { key: gateway.seal_key(snapshot).clone(), caller: caller.clone(), opened: Vec::new() }
    }

    /// The provider's id for what the client names, where the id is one that we gave.
    ///
    /// # Errors
    /// 404 for what is somebody else's, and for a provider's own id from whom its account is none of.
    pub(crate) fn open(&mut self, id: &str) -> Result<Option<String>, Failure> {
        let Some(thing) = self.key.open_thing(id) else {
            return if self.caller.owns_accounts() { Ok(None) } else { Err(unknown(id)) };
        };
        if thing.owner != self.caller.owner() {
            return Err(unknown(id));
        }
        let own = thing.id.clone();
        if !self.opened.iter().any(|(known, _)| known == id) {
            self.opened.push((id.to_owned(), thing));
        }
        Ok(Some(own))
    }

    /// The path of a thing (`/files/{id}/content`) under the provider's ids. Words and ids take turns.
    ///
    /// # Errors
    /// As [`Self::open`]; 404 for an id that cannot stand in a path.
    pub(crate) fn open_path(&mut self, what: &str, path: &str) -> Result<String, Failure> {
        let rest = path.strip_prefix(what).unwrap_or(path);
        let mut opened = what.to_owned();
        for (at, segment) in rest.trim_matches('/').split('/').filter(|segment| !segment.is_empty()).enumerate() {
            opened.push('/');
            // `/threads/runs` is the one path in which a word stands in an id's place.
            let names = at % 2 == 0 && segment != "runs";
            match names.then(|| self.open(segment)).transpose()?.flatten() {
                Some(id) if is_plain(&id) => opened.push_str(&id),
                Some(_) => return Err(unknown(segment)),
                None => opened.push_str(segment),
            }
        }
        Ok(opened)
    }

    /// Where what was named is kept, if anything was.
    ///
    /// # Errors
    /// 400 when things of two accounts are named together.
    pub(crate) fn home(&self, snapshot: &Snapshot, model: Option<&str>) -> Result<Option<Chosen>, Failure> {
        let Some(((_, first), others)) = self.opened.split_first() else { return Ok(None) };
        let home = passing::choose_for(snapshot, first, model)?;
        for (id, other) in others.iter().filter(|(_, other)| other.deployment != first.deployment) {
            if other.account != first.account {
                let words = format!("'{}' is kept at another provider's account than the rest", shown(id));
                return Err(Failure::invalid(words));
            }
        }
        Ok(Some(home))
    }

    /// What was named, if it was one thing at least.
    pub(crate) fn first(self) -> Option<(String, Thing)> {
        self.opened.into_iter().next()
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// An answer about things, under the ids that the client gets.
    pub(crate) fn seal(&self, body: &mut RawBody, what: &str, deployment: &str, place: &Place) {
        let account = Account::of(place);
        let sealed: Result<(), Infallible> = kept_ids::in_answer(body, what, &mut |id, kind| {
            let named = self.opened.iter().find(|(_, thing)| thing.id == id);
            Ok(named.map(|(sealed, _)| sealed.clone()).or_else(|| {
                let thing = Thing {
                    owner: self.caller.owner().into_owned(),
                    deployment: deployment.to_owned(),
                    provider: place.target.provider.name.to_owned(),
                    account: account.clone(),
                    id: id.to_owned(),
                };
                self.key.seal_thing(&thing, kind)
            }))
        });
        let Ok(()) = sealed;
    }

    /// A refusal's words, in which the provider repeats the id that it was asked for.
    pub(crate) fn retold(&self, words: String) -> String {
        self.opened.iter().fold(words, |words, (sealed, thing)| words.replace(&thing.id, sealed))
    }
}

/// Whether an id can stand in a path.
pub(crate) fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A thing that is not there, or somebody else's: nobody learns which.
pub(crate) fn unknown(id: &str) -> Failure {
    let kind = kept_ids::beginning_of(id).unwrap_or_default();
    let mut failure = match kind {
        "file-" => Failure::invalid(format!("No such File object: {}", shown(id))).with_param("id"),
        "batch_" => Failure::invalid(format!("No batch found with id '{}'.", shown(id))),
        _ => Failure::invalid(format!("No object found with id '{}'.", shown(id))).with_param("id"),
    };
    failure.status = Some(404);
    failure
}

fn shown(id: &str) -> String {
    id.chars().take(64).collect()
}

/// Puts the provider's ids of files and vector stores into a prompt, and says where these are.
///
/// # Errors
/// As [`Ids::open`].
pub(crate) fn in_prompt(
    gateway: &Gateway,
    snapshot: &Snapshot,
    caller: &Caller,
    body: &mut RawBody,
) -> Result<Option<Box<(String, Thing)>>, Failure> {
    let mut ids = Ids::of(gateway, snapshot, caller);
    kept_ids::in_prompt(body, &mut |id, _| ids.open(id))?;
    Ok(ids.first().map(Box::new))
}

impl Ask {
    /// The member of a group that is this deployment, else one of this account.
    pub(crate) fn holder(&self, group: &Group<'_>, deployment: &str, account: Option<&Account>) -> Option<usize> {
        let is = |index: &&usize| self.snapshot.served.get(**index).is_some_and(|served| *served.id == *deployment);
        let has = |index: &&usize| {
            let of_member = self.snapshot.served.get(**index).and_then(|served| self.account_of(served, group));
            account.is_some() && of_member.as_ref() == account
        };
        let members = || group.members.iter();
        members().find(is).or_else(|| members().find(has)).copied()
    }

    /// With which account a deployment is asked in a group.
    pub(crate) fn account_of(&self, served: &Served, group: &Group<'_>) -> Option<Account> {
        let (captured, client) = (group.captured.as_ref(), ClientSide::default());
        let place = served.place_for(captured, &client, &self.snapshot.catalog, &self.snapshot.environment);
        place.ok().map(|place| Account::of(&place))
    }

    /// The group's one deployment that has what the prompt names, where it names anything.
    ///
    /// # Errors
    /// 400 when none has.
    pub(crate) fn keeper(&self, group: &Group<'_>) -> Result<Option<usize>, Failure> {
        let Some((id, thing)) = self.names.as_deref() else { return Ok(None) };
        self.holder(group, &thing.deployment, Some(&thing.account)).map(Some).ok_or_else(|| {
            let words = format!("'{}' is not kept where the model '{}' is; send it there first", shown(id), group.name);
            Failure::invalid(words).with_param("file_id")
        })
    }
}
