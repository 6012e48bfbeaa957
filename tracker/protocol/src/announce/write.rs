use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
};

use super::Handout;
use crate::PeerId;

/// The numbers of an answer, which both faces of a tracker give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHead {
    /// Seconds until the next regular announce.
    pub interval: u32,
    /// Seconds before which no announce is welcome.
    pub min_interval: u32,
    /// Peers that have everything.
    pub complete: u32,
    /// Peers that do not.
    pub incomplete: u32,
    /// Peers that have ever said `completed`.
    pub downloaded: u32,
}

/// An answer to an announce over HTTP, as a tracker writes it.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// Its numbers.
    pub head: ReplyHead,
    /// The address that the tracker sees (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// Something to show to a person.
    pub warning: Option<&'a str>,
    /// Where to find others.
    pub handout: &'a Handout,
}

/// How peers are written.
#[derive(Clone, Copy)]
pub enum Form<'a> {
    /// 6 bytes each in `peers` (BEP 23), 18 bytes each in `peers6` (BEP 7).
    Compact,
    /// Dictionaries, with the peer ids that are known.
    Dictionary(&'a dyn Fn(SocketAddr) -> Option<PeerId>),
    /// Dictionaries without peer ids (`no_peer_id`).
    DictionaryWithoutId,
}

/// When one who was refused may ask again (BEP 31).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After so many minutes.
    InMinutes(u32),
    /// Never: the answer would be the same.
    Never,
}

impl Reply<'_> {
    /// Appends the answer; the buffer is all that is allocated.
    pub fn write(&self, form: Form<'_>, out: &mut Vec<u8>) {
        let ReplyHead { interval, min_interval, complete, incomplete, downloaded } = self.head;
        out.extend_from_slice(b"d");
        integer("8:complete", complete, out);
        integer("10:downloaded", downloaded, out);
        match self.external_ip {
            Some(IpAddr::V4(ip)) => string("11:external ip", &ip.octets(), out),
            Some(IpAddr::V6(ip)) => string("11:external ip", &ip.octets(), out),
            None => {}
        }
        integer("10:incomplete", incomplete, out);
        integer("8:interval", interval, out);
        integer("12:min interval", min_interval, out);
        match form {
            Form::Compact => {
                string("5:peers", self.handout.v4.as_flattened(), out);
                if !self.handout.v6.is_empty() {
                    string("6:peers6", self.handout.v6.as_flattened(), out);
                }
            }
            Form::Dictionary(id_of) => dictionaries(self.handout, id_of, out),
            Form::DictionaryWithoutId => dictionaries(self.handout, &|_| None, out),
        }
        if let Some(warning) = self.warning {
            string("15:warning message", warning.as_bytes(), out);
        }
        out.push(b'e');
    }
}

/// Appends a refusal; its HTTP status is 200, or clients do not show it.
pub fn write_failure(reason: &str, retry: Retry, out: &mut Vec<u8>) {
    string("d14:failure reason", reason.as_bytes(), out);
    match retry {
        Retry::InMinutes(minutes) => integer("8:retry in", minutes, out),
        Retry::Never => string("8:retry in", b"never", out),
    }
    out.push(b'e');
}

fn dictionaries(handout: &Handout, id_of: &dyn Fn(SocketAddr) -> Option<PeerId>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"5:peersl");
    for addr in handout.addrs() {
        // The length comes before the text, so the text is laid out first; no address is longer than 45 characters.
        let mut text = [0; 45];
        let mut rest = &mut text[..];
        write!(rest, "{}", addr.ip()).expect("fits every address");
        let length = 45 - rest.len();
        string("d2:ip", &text[..length], out);
        if let Some(id) = id_of(addr) {
            string("7:peer id", id.as_bytes(), out);
        }
        integer("4:port", addr.port().into(), out);
        out.push(b'e');
    }
    out.push(b'e');
}

fn integer(key: &str, value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    out.push(b'i');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b'e');
}

fn string(key: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(value.len()).as_bytes());
    out.push(b':');
    out.extend_from_slice(value);
}
