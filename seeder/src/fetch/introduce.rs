//! Tells librqbit of peers, as a tracker of our own on loopback that no other process is told of.
//!
//! A peer cannot be added to a torrent of librqbit 9.1.0, which takes them from the trackers that it announces to itself.
//! Those announces are of no use: the first says that nothing is left to download, so that no seeder is handed out, none
//! says `completed` or `stopped`, and after a failure it waits for 10 s and more. So the session is given the URL of this
//! tracker in place of the torrent's own, asks it for peers, and is answered when our announces have found some.

mod list;

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub(super) use list::List;

use nova_protocol::{
    InfoHash,
    announce::{Form, Handout, Reply, ReplyHead},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::{Filter, Reply as _, http::StatusCode, reply::Response};

use crate::http;

/// How long the session waits for an answer before it is told of nobody.
const HOLD: Duration = Duration::from_secs(20);
/// How many seconds pass between its questions about a torrent that it has all of: those who lack something dial us.
const SETTLED_INTERVAL: u32 = 60;

/// The tracker of one session. Cheap to clone.
#[derive(Clone)]
pub(super) struct Introductions {
    addr: SocketAddr,
    /// Part of each URL.
    secret: u64,
    lists: Arc<Mutex<HashMap<InfoHash, Arc<List>>>>,
}

impl Introductions {
    /// Listens until `shutdown`.
    pub(super) async fn start(shutdown: CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let this = Self { addr: listener.local_addr()?, secret: rand::random(), lists: Arc::default() };
        let lists = this.lists.clone();
        let routes = warp::path(format!("{:x}", this.secret)).and(warp::path!(InfoHash)).then(move |info_hash| {
            let list = lock(&lists).get(&info_hash).cloned();
            async move {
                match list {
                    Some(list) => {
                        let (peers, interval) = list.next(HOLD, SETTLED_INTERVAL).await;
                        answer(&peers, interval)
                    }
                    None => StatusCode::NOT_FOUND.into_response(),
                }
            }
        });
        tokio::spawn(http::serve(listener, routes.boxed(), shutdown));
        Ok(this)
    }

    /// What to announce to for a torrent.
    pub(super) fn url(&self, info_hash: InfoHash) -> String {
        format!("http://{}/{:x}/{info_hash}", self.addr, self.secret)
    }

    /// The list of a torrent, empty at first. `seeders` are peers that are known to have everything.
    pub(super) fn open(&self, info_hash: InfoHash, seeders: &[SocketAddr]) -> Arc<List> {
        lock(&self.lists).entry(info_hash).or_insert_with(|| Arc::new(List::new(seeders, Instant::now()))).clone()
    }

    /// Forgets a torrent.
    pub(super) fn close(&self, info_hash: InfoHash) {
        lock(&self.lists).remove(&info_hash);
    }
}

/// Tells of peers. Until everything is there the next question is welcome at once, since it waits for its answer.
fn answer(peers: &HashSet<SocketAddr>, interval: u32) -> Response {
    let mut handout = Handout::default();
    for &peer in peers {
        handout.push(peer);
    }
    let head = ReplyHead { interval, min_interval: interval, complete: 0, incomplete: 0, downloaded: 0 };
    let mut body = Vec::new();
    Reply { head, external_ip: None, warning: None, handout: &handout }.write(Form::Compact, &mut body);
    body.into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDER: u16 = 1;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    async fn started() -> (Introductions, Arc<List>, String) {
        let introductions = Introductions::start(CancellationToken::new()).await.unwrap();
        let info_hash = InfoHash::from([7; 20]);
        let (list, url) = (introductions.open(info_hash, &[addr(SEEDER)]), introductions.url(info_hash));
        (introductions, list, url)
    }

    /// The ports of those whom the session is told of.
    async fn ask(url: &str) -> Vec<u16> {
        let body = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        let reply = nova_protocol::announce::AnnounceReply::parse(&body).unwrap();
        let mut ports: Vec<u16> = reply.peers.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports
    }

    #[tokio::test]
    async fn the_session_waits_until_there_is_somebody() {
        let (_introductions, list, url) = started().await;
        let asking = tokio::spawn(async move { ask(&url).await });
        tokio::task::yield_now().await;
        list.learn(&[addr(SEEDER)], None, Instant::now());
        assert_eq!(asking.await.unwrap(), [SEEDER]);
    }

    #[tokio::test]
    async fn nobody_waits_for_peers_of_what_is_complete() {
        let (_introductions, list, url) = started().await;
        list.settle();
        let body = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        let reply = nova_protocol::announce::AnnounceReply::parse(&body).unwrap();
        assert_eq!((reply.peers, reply.interval), (vec![], SETTLED_INTERVAL));
    }

    #[tokio::test]
    async fn nobody_else_is_told() {
        let (introductions, _list, url) = started().await;
        let unknown = introductions.url(InfoHash::from([8; 20]));
        let guessed = url.replace(&format!("{:x}", introductions.secret), "0");
        introductions.close(InfoHash::from([7; 20]));
        for url in [unknown, guessed, url] {
            assert_eq!(reqwest::get(url).await.unwrap().status(), 404);
        }
    }
}
