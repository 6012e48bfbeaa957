//! From a torrent to one in the session: what is on this host first.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use librqbit::{
    AddTorrent, AddTorrentOptions, AddTorrentResponse, ManagedTorrent, PeerConnectionOptions,
    storage::StorageFactoryExt as _,
};
use nova_protocol::Metainfo;
use tokio_util::sync::CancellationToken;

use super::{Fetcher, account::Account, introduce::List, notes, storage::Disks};
use crate::{
    content::{Cancelled, Content},
    reuse::{Holdings, reuse},
};

/// What to begin with.
pub(super) struct Beginning {
    pub metainfo: Arc<Metainfo>,
    /// Where the files are; they are made and as long as what is there of them.
    pub folder: PathBuf,
    /// Peers that are known to have everything.
    pub seeders: Vec<SocketAddr>,
    /// Requests in flight to each peer.
    pub window: usize,
    pub holdings: Holdings,
}

/// Why a torrent is not in the session.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("cannot note what is here already: {0}")]
    Notes(io::Error),
    #[error("{} is not UTF-8", .0.display())]
    Folder(PathBuf),
    #[error("cannot fetch it: {0}")]
    Session(String),
}

impl Fetcher {
    /// Looks for pieces on this host, unless there are notes of them, and gives the torrent to the session. The list is of
    /// those who shall be introduced to it.
    pub(super) async fn begin(
        &self,
        beginning: Beginning,
        account: Arc<Account>,
        stop: &CancellationToken,
    ) -> Result<(Arc<ManagedTorrent>, Arc<List>), BeginError> {
        let Beginning { metainfo, folder, seeders, window, holdings } = beginning;
        let root = if metainfo.info.is_single_file { folder.join(&metainfo.info.name) } else { folder.clone() };
        // Notes of files that somebody has cut or removed since say too much.
        let has_notes = notes::exist(&self.state, metainfo.info_hash());
        if has_notes && Content::new(metainfo.info.clone(), &root).has_lengths() {
            account.resume();
        } else {
            let (metainfo, state, stop) = (metainfo.clone(), self.state.clone(), stop.clone());
            let searched = account.clone();
            let look = move || search(&metainfo, &root, &holdings, &state, &searched, &stop);
            // Waited for even when stopped: it writes, and who stopped it may remove the files.
            tokio::task::spawn_blocking(look)
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        }
        if stop.is_cancelled() {
            return Err(Cancelled.into());
        }
        let options = AddTorrentOptions {
            overwrite: true,
            output_folder: Some(folder.to_str().ok_or_else(|| BeginError::Folder(folder.clone()))?.to_owned()),
            peer_opts: Some(PeerConnectionOptions {
                max_request_window: Some(window),
                ..PeerConnectionOptions::default()
            }),
            ratelimits: self.torrents_limits.rates(metainfo.info_hash()),
            peer_limit: self.torrents_limits.peers(metainfo.info_hash()),
            storage_factory: Some(Disks { folder: folder.clone(), writing: account.writing.clone() }.boxed()),
            ..AddTorrentOptions::default()
        };
        // The session asks at once, and does not ask again for 10 s and more when it is told that there is none.
        let list = self.introductions.open(metainfo.info_hash(), &seeders);
        let bytes = metainfo.with_sources(&self.trackers(&metainfo), &metainfo.web_seeds).as_bytes().to_vec();
        let added = self.add_to_session(AddTorrent::from_bytes(bytes), options).await.map_err(BeginError::Session)?;
        let torrent = added.into_handle();
        let torrent = torrent.ok_or_else(|| BeginError::Session("the session only lists it".to_owned()))?;
        Ok((torrent, list))
    }

    /// Why it could not be added is a text: librqbit has no better.
    pub(super) async fn add_to_session(
        &self,
        torrent: AddTorrent<'static>,
        options: AddTorrentOptions,
    ) -> Result<AddTorrentResponse, String> {
        let session = self.session.clone();
        let added = self.engine.run(async move { session.add_torrent(torrent, Some(options)).await }).await;
        added.map_err(|ended| ended.to_string())?.map_err(|error| format!("{error:#}"))
    }
}

fn search(
    metainfo: &Metainfo,
    root: &Path,
    holdings: &Holdings,
    state: &Path,
    account: &Account,
    stop: &CancellationToken,
) -> Result<(), BeginError> {
    let reused = reuse(metainfo, root, holdings, |looked| account.look(looked), stop)?;
    if reused.bytes == 0 {
        return Ok(());
    }
    notes::write(state, metainfo.info_hash(), &reused.pieces).map_err(BeginError::Notes)
}
