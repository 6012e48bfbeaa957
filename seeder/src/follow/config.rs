//! What an agent's settings say to follow.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use nova_protocol::{Reference, ReferenceError};
use serde::{Deserialize, Serialize};

use super::Follow;
use crate::{create::Preserve, deliver::Delivery, place::Place, pull::STALL_AFTER};

/// One table `[[follow]]`; `config/agent.toml` explains it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entry {
    /// The tag, `NAME:TAG`.
    pub reference: String,
    /// The directory into which its content is put.
    pub directory: Option<PathBuf>,
    /// Or the symlink that leads to its content.
    pub link: Option<PathBuf>,
    /// How it gets there from the agent's store.
    pub delivery: Delivery,
    /// What was pushed with its content and is not given to it: mode, ownership.
    pub no_preserve: Vec<Preserve>,
    /// Whether what a user has changed makes way.
    pub replace: bool,
    /// Files and directories that may have parts of it, besides what the agent has.
    pub reuse: Vec<PathBuf>,
    /// A command for the shell, run when the content is in its place.
    pub exec: Option<String>,
}

/// An entry that says nothing to follow.
#[derive(Debug, thiserror::Error)]
#[error("entry {number} of follow ({}): {fault}", if reference.is_empty() { "no reference" } else { reference })]
pub struct EntryError {
    /// Counted from one.
    pub number: usize,
    /// What it says to be about.
    pub reference: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its reference does not read.
    #[error("{0}")]
    Reference(#[from] ReferenceError),
    /// It says no place, or two.
    #[error("{0} of directory and link are given, expected one of them")]
    Place(&'static str),
    /// Another entry has the same place.
    #[error("{0} is the place of another entry too; give each its own")]
    Twice(Place),
}

/// Reads the list.
///
/// # Errors
/// [`EntryError`], for the first entry that is wrong.
pub fn read(entries: &[Entry]) -> Result<Vec<Follow>, EntryError> {
    let mut places = HashSet::new();
    let named = |(index, entry): (usize, &Entry)| {
        let read = entry.read().and_then(|follow| {
            let key =
                (follow.place.clone(), matches!(follow.place, Place::Directory(_)).then(|| follow.reference.clone()));
            if places.insert(key) { Ok(follow) } else { Err(Fault::Twice(follow.place)) }
        });
        read.map_err(|fault| EntryError { number: index + 1, reference: entry.reference.clone(), fault })
    };
    entries.iter().enumerate().map(named).collect()
}

impl Entry {
    fn read(&self) -> Result<Follow, Fault> {
        let reference: Reference = self.reference.parse()?;
        let place = match (&self.directory, &self.link) {
            (Some(directory), None) => Place::Directory(directory.clone()),
            (None, Some(link)) => Place::Link(link.clone()),
            (None, None) => return Err(Fault::Place("none")),
            (Some(_), Some(_)) => return Err(Fault::Place("both")),
        };
        Ok(Follow {
            reference,
            place,
            delivery: self.delivery,
            no_preserve: self.no_preserve.clone(),
            replace: self.replace,
            exec: self.exec.clone(),
            reuse: self.reuse.clone(),
            // Not used: an agent pulls through itself.
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            stall_after: STALL_AFTER,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reference: &str, directory: Option<&str>, link: Option<&str>) -> Entry {
        Entry {
            reference: reference.to_owned(),
            directory: directory.map(PathBuf::from),
            link: link.map(PathBuf::from),
            ..Entry::default()
        }
    }

    #[test]
    fn an_entry_that_is_wrong_is_named() {
        let good = entry("demo:v1", Some("/srv"), None);
        for (bad, error) in [
            (entry("../x", Some("/srv"), None), "entry 2 of follow (../x): "),
            (entry("", Some("/srv"), None), "entry 2 of follow (no reference): "),
            (entry("x", None, None), "entry 2 of follow (x): none of directory and link are given"),
            (entry("x", Some("a"), Some("b")), "entry 2 of follow (x): both of directory and link are given"),
            (good.clone(), "entry 2 of follow (demo:v1): /srv is the place of another entry too"),
        ] {
            let text = read(&[good.clone(), bad]).unwrap_err().to_string();
            assert!(text.starts_with(error), "{text}");
        }
    }

    #[test]
    fn tags_may_share_a_directory_but_not_a_symlink() {
        let directory = [entry("a", Some("/srv"), None), entry("b", Some("/srv"), None)];
        assert_eq!(read(&directory).unwrap().len(), 2);
        let link = [entry("a", None, Some("/srv/live")), entry("b", None, Some("/srv/live"))];
        assert!(read(&link).is_err());
    }
}
