use std::collections::HashSet;

use nova_protocol::{InfoHash, PeerId};

/// How many are remembered at least.
const KEPT: usize = 4096;

/// Who has completed what, so that each counts once: the latest few thousand, in two generations of which the older is
/// forgotten when the younger is full.
#[derive(Debug, Default)]
pub(super) struct Completions {
    young: HashSet<(InfoHash, PeerId)>,
    old: HashSet<(InfoHash, PeerId)>,
}

impl Completions {
    /// Whether this one is new.
    pub fn note(&mut self, info_hash: InfoHash, peer_id: PeerId) -> bool {
        let completion = (info_hash, peer_id);
        if self.old.contains(&completion) || !self.young.insert(completion) {
            return false;
        }
        if self.young.len() == KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_new_once_and_memory_is_bounded() {
        let mut completions = Completions::default();
        let id = |number: u32| {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            PeerId::from(bytes)
        };
        let hash = InfoHash::from([1; 20]);
        assert!((0..20_000).all(|number| completions.note(hash, id(number))));
        assert!((16_000..20_000).all(|number| !completions.note(hash, id(number))));
        assert!(completions.young.len() + completions.old.len() <= 2 * KEPT);
        assert!(completions.note(InfoHash::from([2; 20]), id(19_999)));
    }
}
