//! When each torrent was of use last, and by which references: one small file each, whose time is the last use.
//!
//! A reference is with the torrent that it led to last, so that a pin of `NAME:TAG` holds one version and not all that
//! there were.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use nova_protocol::{InfoHash, Reference};

/// References that are remembered for one torrent.
const REFERENCES_MAX: usize = 64;

/// Uses of the torrents of an agent.
pub(super) struct Uses {
    folder: PathBuf,
    known: Mutex<BTreeMap<InfoHash, Use>>,
}

/// When a torrent was pulled or delivered last, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    pub at: SystemTime,
    pub references: Vec<Reference>,
}

impl Uses {
    /// Reads what was noted in `folder`.
    ///
    /// # Errors
    /// When the folder cannot be made or listed; a note that does not read is as good as none.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut known = BTreeMap::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let Some(info_hash) = entry.file_name().to_str().and_then(|name| name.parse::<InfoHash>().ok()) else {
                continue;
            };
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let references = text.lines().filter_map(|line| line.parse().ok()).take(REFERENCES_MAX).collect();
            let at = entry.metadata()?.modified()?;
            known.insert(info_hash, Use { at, references });
        }
        Ok(Self { folder, known: Mutex::new(known) })
    }

    /// The last use of a torrent; long ago when none was noted.
    pub fn last(&self, info_hash: InfoHash) -> Use {
        let never = || Use { at: SystemTime::UNIX_EPOCH, references: Vec::new() };
        self.known().get(&info_hash).cloned().unwrap_or_else(never)
    }

    /// Notes that a torrent is of use now, as this reference when it has one.
    pub fn note(&self, info_hash: InfoHash, reference: Option<&Reference>) {
        let mut known = self.known();
        if let Some(reference) = reference {
            for (other, was) in known.iter_mut().filter(|(other, _)| **other != info_hash) {
                let before = was.references.len();
                was.references.retain(|known| known != reference);
                if was.references.len() < before {
                    // The time of the last use stays.
                    self.write(*other, was);
                }
            }
        }
        let now = known.entry(info_hash).or_insert_with(|| Use { at: SystemTime::UNIX_EPOCH, references: Vec::new() });
        now.at = SystemTime::now();
        if let Some(reference) = reference
            && !now.references.contains(reference)
        {
            now.references.insert(0, reference.clone());
            now.references.truncate(REFERENCES_MAX);
        }
        self.write(info_hash, now);
    }

    /// Forgets every torrent but these.
    pub fn keep(&self, torrents: &[InfoHash]) {
        let others: Vec<InfoHash> = self.known().keys().filter(|known| !torrents.contains(known)).copied().collect();
        for info_hash in others {
            self.forget(info_hash);
        }
    }

    /// Forgets a torrent.
    pub fn forget(&self, info_hash: InfoHash) {
        self.known().remove(&info_hash);
        let _may_never_have_been_noted = fs::remove_file(self.folder.join(info_hash.to_string()));
    }

    /// A note that cannot be written costs an eviction too early, and no more.
    fn write(&self, info_hash: InfoHash, last: &Use) {
        let lines: Vec<String> = last.references.iter().map(|reference| format!("{reference}\n")).collect();
        let path = self.folder.join(info_hash.to_string());
        let partial = path.with_extension("partial");
        let written = fs::write(&partial, lines.concat())
            .and_then(|()| fs::File::options().write(true).open(&partial)?.set_modified(last.at))
            .and_then(|()| fs::rename(&partial, &path));
        if let Err(error) = written {
            tracing::warn!(%info_hash, %error, "cannot note a use");
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<InfoHash, Use>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_with_the_torrent_that_it_led_to_last_and_after_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let uses = Uses::open(home.path().join("uses")).unwrap();
        let [one, two] = [1, 2].map(|byte| InfoHash::from([byte; 20]));
        let [prod, beta]: [Reference; 2] = ["a:prod", "a:beta"].map(|text| text.parse().unwrap());
        uses.note(one, Some(&prod));
        uses.note(one, Some(&beta));
        let used = uses.last(one).at;
        uses.note(two, Some(&prod));
        let again = Uses::open(home.path().join("uses")).unwrap();
        for uses in [&uses, &again] {
            assert_eq!(uses.last(one).references, std::slice::from_ref(&beta));
            assert_eq!(uses.last(two).references, std::slice::from_ref(&prod));
            assert!(uses.last(two).at > used && uses.last(one).at == used, "losing a reference is no use");
        }
        again.forget(two);
        assert_eq!(Uses::open(home.path().join("uses")).unwrap().last(two).at, SystemTime::UNIX_EPOCH);
    }
}
