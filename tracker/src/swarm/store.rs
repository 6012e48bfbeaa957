use std::{net::SocketAddr, time::Instant};

use nova_protocol::{
    InfoHash, PeerId,
    announce::{AnnounceRequest, Handout, ReplyHead},
    scrape::Counts,
};

use super::{Calls, Crowd, Peer, Rules};

/// An announce, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What the peer says.
    pub request: &'a AnnounceRequest,
    /// Where it listens.
    pub addr: SocketAddr,
    /// When it says so.
    pub now: Instant,
    /// Whether the answer has room for the peer's own family of addresses only (BEP 15).
    pub one_family: bool,
}

/// An announce that no swarm takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// The info hash has no swarm here.
    #[error("this tracker does not know that info hash; push the content first")]
    Unlisted,
    /// There are as many swarms or peers as there may be.
    #[error("this tracker is full; try again later")]
    Full,
}

/// A keeper of swarms. The conformance tests beside this file say what every one of them must do.
pub trait Store: Send + Sync {
    /// Changes the rules; swarms stay.
    fn set_rules(&self, rules: Rules);

    /// Allows announces for an info hash, which is in the index now.
    fn list(&self, info_hash: InfoHash);

    /// The info hash is not in the index any more: forgets its swarm and refuses announces for it, unless the settings
    /// allow them.
    fn delist(&self, info_hash: InfoHash);

    /// Allows announces for these info hashes, whatever the index has, and no longer for those that were allowed so
    /// before.
    fn allow(&self, info_hashes: &[InfoHash]);

    /// Takes a peer's announce, appends its handout to `out`, and says the rest of the answer.
    ///
    /// # Errors
    /// Every variant of [`AnnounceError`].
    fn announce(&self, call: Call<'_>, out: &mut Handout) -> Result<ReplyHead, AnnounceError>;

    /// How many peers a swarm has; `None` when there is no such swarm.
    fn counts(&self, info_hash: InfoHash) -> Option<Counts>;

    /// How many peers each swarm has, sorted by info hash.
    fn all_counts(&self) -> Vec<(InfoHash, Counts)>;

    /// At most `limit` peers of a swarm, complete ones first.
    fn peers(&self, info_hash: InfoHash, limit: usize) -> Vec<Peer>;

    /// The peer ids of some peers of a swarm, as far as they are known: they are kept from the first time that somebody
    /// asks for them.
    fn ids(&self, info_hash: InfoHash, handout: &Handout) -> Vec<Option<PeerId>>;

    /// Notes that an origin holds the complete content; `addr` is where, while it is live.
    fn hold(&self, info_hash: InfoHash, origin: &str, addr: Option<SocketAddr>);

    /// Notes that an origin does not hold the content any more.
    fn release(&self, info_hash: InfoHash, origin: &str);

    /// Notes where an origin is, or that it is gone, in every swarm whose content it holds.
    fn place(&self, origin: &str, addr: Option<SocketAddr>);

    /// Drops peers that have missed two intervals. Announces go on meanwhile.
    fn sweep(&self, now: Instant);

    /// Leechers that origins shall dial.
    fn calls(&self) -> &Calls;

    /// How many swarms there are.
    fn swarms(&self) -> usize;

    /// How many peers there are in all swarms together.
    fn crowd(&self) -> Crowd;
}
