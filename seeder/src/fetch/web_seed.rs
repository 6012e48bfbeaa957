//! A peer of the session's own that has everything over HTTP (BEP 19): the way out when no other peer gives anything.
//!
//! librqbit 9.1.0 knows no web seeds. So this dials the session, offers all, and fetches each piece that it is asked
//! for. Limits, hashes and counts are the session's, and other peers go on meanwhile.

use std::{io, net::SocketAddr, num::NonZeroU64, sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use nova_protocol::{
    Metainfo,
    metainfo::{FileKind, Info},
    peer_wire::{Block, HANDSHAKE_LENGTH, Message, MessageError},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{StatusCode, header::RANGE};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::loopback::{greeting, reachable};
use crate::service::innermost;

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// A piece is held whole in memory.
const PIECE_MAX: u32 = 64 << 20;
/// What a path segment has as it is (RFC 3986).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Everything of a torrent, over HTTP.
pub(super) struct WebSeed {
    metainfo: Arc<Metainfo>,
    /// Those that have given nothing wrong yet, the one to ask last.
    urls: Vec<String>,
    http: reqwest::Client,
}

/// Why it gives no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebSeedError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("message of {0} bytes")]
    Long(u32),
    #[error("a request beyond the content")]
    Request,
    #[error("no web seed gives piece {0}: {1}")]
    Piece(u32, GetError),
}

/// Why a piece did not come from a server.
#[derive(Debug, thiserror::Error)]
pub(super) enum GetError {
    #[error("there is none")]
    NoServer,
    #[error("{0}: {1}")]
    Unreachable(String, String),
    #[error("{0} answers {1}, expected 206")]
    Status(String, StatusCode),
    #[error("{0} gives another number of bytes than asked for")]
    Length(String),
    #[error("{0} gives a piece that does not verify")]
    Hash(String),
}

impl WebSeed {
    /// A web seed at any of these URLs; none for pieces that are too long to be held.
    pub(super) fn new(metainfo: Arc<Metainfo>, mut urls: Vec<String>, http: reqwest::Client) -> Option<Self> {
        urls.retain(|url| url.starts_with("http://") || url.starts_with("https://"));
        urls.reverse();
        let fits = metainfo.info.piece_length.get() <= PIECE_MAX;
        (fits && !urls.is_empty()).then_some(Self { metainfo, urls, http })
    }

    /// Gives the session at `listen` what it asks for until it leaves. `met` is told by which address it knows this peer.
    ///
    /// # Errors
    /// [`WebSeedError`].
    pub(super) async fn serve(mut self, listen: SocketAddr, met: impl FnOnce(SocketAddr)) -> Result<(), WebSeedError> {
        let mut stream = TcpStream::connect(reachable(listen)).await?;
        stream.set_nodelay(true)?;
        met(stream.local_addr()?);
        let pieces = self.metainfo.info.piece_count();
        stream.write_all(&greeting(self.metainfo.info_hash(), pieces, None)).await?;
        let (reader, mut writer) = stream.split();
        let (mut reader, limit) = (BufReader::new(reader), Message::length_limit(pieces));
        reader.read_exact(&mut [0; HANDSHAKE_LENGTH]).await?;
        let (mut payload, mut have) = (Vec::new(), (u32::MAX, Vec::new()));
        loop {
            let length = match reader.read_u32().await {
                Ok(length) if length <= limit => length,
                Ok(length) => return Err(WebSeedError::Long(length)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            payload.resize(length as usize, 0);
            reader.read_exact(&mut payload).await?;
            if let Message::Request(block) = Message::decode(&payload)? {
                if have.0 != block.piece {
                    have = (block.piece, self.piece(block.piece).await?);
                }
                writer.write_all(&Message::piece_header(block)).await?;
                writer.write_all(part(&have.1, block).ok_or(WebSeedError::Request)?).await?;
            }
        }
    }

    /// A piece that verifies. A server that fails is not asked again.
    async fn piece(&mut self, index: u32) -> Result<Vec<u8>, WebSeedError> {
        let mut last = GetError::NoServer;
        while let Some(url) = self.urls.last() {
            match self.get(url, index).await {
                Ok(piece) => return Ok(piece),
                Err(error) => last = error,
            }
            self.urls.pop();
        }
        Err(WebSeedError::Piece(index, last))
    }

    async fn get(&self, url: &str, index: u32) -> Result<Vec<u8>, GetError> {
        let info = &self.metainfo.info;
        let size = u64::from(info.piece_size(index));
        let start = u64::from(index) * u64::from(info.piece_length.get());
        let mut piece = Vec::with_capacity(usize::try_from(size).expect("at most a piece"));
        for file in info.files_in(start..start + size).map(|file| &info.files[file]) {
            let from = start.max(file.offset) - file.offset;
            let length = (start + size).min(file.offset + file.length) - file.offset - from;
            if file.kind == FileKind::Padding {
                piece.resize(piece.len() + usize::try_from(length).expect("at most a piece"), 0);
            } else if let Some(length) = NonZeroU64::new(length) {
                let expected = if length.get() == file.length {
                    &[StatusCode::OK, StatusCode::PARTIAL_CONTENT][..]
                } else {
                    &[StatusCode::PARTIAL_CONTENT]
                };
                self.get_range(&of_file(url, info, file), (from, length), expected, &mut piece).await?;
            }
        }
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &piece);
        let is_good = info.piece_hash(index).is_some_and(|expected| expected == hash.as_ref());
        if is_good { Ok(piece) } else { Err(GetError::Hash(url.to_owned())) }
    }

    /// Appends a range of a file. Servers may say of a whole file that it is one.
    async fn get_range(
        &self,
        url: &str,
        (from, length): (u64, NonZeroU64),
        expected: &[StatusCode],
        out: &mut Vec<u8>,
    ) -> Result<(), GetError> {
        let unreachable = |reason: String| GetError::Unreachable(url.to_owned(), reason);
        let silent = |_| unreachable(format!("no answer for {} s", SILENCE.as_secs()));
        let failed = |error: reqwest::Error| unreachable(innermost(&error));
        let range = format!("bytes={from}-{}", from + length.get() - 1);
        let asked = self.http.get(url).header(RANGE, range).send();
        let mut answer = timeout(SILENCE, asked).await.map_err(silent)?.map_err(failed)?;
        if !expected.contains(&answer.status()) {
            return Err(GetError::Status(url.to_owned(), answer.status()));
        }
        let mut rest = length.get();
        while let Some(chunk) = timeout(SILENCE, answer.chunk()).await.map_err(silent)?.map_err(failed)? {
            rest = rest.checked_sub(chunk.len() as u64).ok_or_else(|| GetError::Length(url.to_owned()))?;
            out.extend_from_slice(&chunk);
        }
        if rest == 0 { Ok(()) } else { Err(GetError::Length(url.to_owned())) }
    }
}

fn part(piece: &[u8], block: Block) -> Option<&[u8]> {
    let start = block.offset as usize;
    piece.get(start..start.checked_add(block.length as usize)?)
}

/// Where a file is, as BEP 19 says: `URL/NAME/PATH`; or the URL itself for a single file, unless it ends in a slash.
fn of_file(url: &str, info: &Info, file: &nova_protocol::metainfo::File) -> String {
    let escape = |segment: &str| utf8_percent_encode(segment, SEGMENT).to_string();
    if info.is_single_file {
        return if url.ends_with('/') { url.to_owned() + &escape(&info.name) } else { url.to_owned() };
    }
    let inside: Vec<String> = file.path.segments().iter().map(|segment| escape(segment)).collect();
    format!("{}/{}/{}", url.trim_end_matches('/'), escape(&info.name), inside.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::fixture::info;

    #[test]
    fn files_are_where_bep_19_says() {
        let mut tree = info(&[("a b/ü?.bin", 1, FileKind::Plain)]);
        let file = tree.files[0].clone();
        for url in ["http://h/x", "http://h/x/"] {
            assert_eq!(of_file(url, &tree, &file), "http://h/x/tree/a%20b/%C3%BC%3F.bin");
        }
        tree.is_single_file = true;
        assert_eq!(of_file("http://h/x/", &tree, &file), "http://h/x/tree");
        assert_eq!(of_file("http://h/x.bin", &tree, &file), "http://h/x.bin");
    }

    #[test]
    fn a_request_beyond_the_piece_gets_nothing() {
        let block = |offset, length| Block { piece: 0, offset, length };
        assert_eq!(part(b"piece", block(1, 2)), Some(&b"ie"[..]));
        assert_eq!(part(b"piece", block(4, 2)), None);
        assert_eq!(part(b"piece", block(u32::MAX, u32::MAX)), None);
    }
}
