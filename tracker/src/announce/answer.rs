use std::{collections::HashMap, net::SocketAddr, time::Instant};

use nova_protocol::{
    announce::{AnnounceRequest, Form, Handout, Reply, RequestError, Retry, write_failure},
    scrape::{self, Scrape},
};

use super::head::Request;
use crate::{
    Tracker,
    metrics::{Face, Refusal},
    swarm::{AnnounceError, Call, Store},
    tracker::Settings,
    vantage::Vantage,
};

/// Buffers that are used for one answer after the other.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    handout: Handout,
    body: Vec<u8>,
    /// Responses, heads and all.
    pub out: Vec<u8>,
}

/// Why there is an answer of another kind than was asked for.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    #[error("this tracker does not say everything at once; name an info hash")]
    FullScrape,
}

impl Refused {
    /// For the metrics, and for clients (BEP 31): what is wrong with a request is wrong with it for ever.
    const fn kind(&self) -> (Refusal, Retry) {
        match self {
            Self::Request(_) => (Refusal::Malformed, Retry::Never),
            Self::FullScrape => (Refusal::FullScrape, Retry::Never),
            Self::Announce(AnnounceError::Unlisted) => (Refusal::Unlisted, Retry::InMinutes(5)),
            Self::Announce(AnnounceError::Full) => (Refusal::Full, Retry::InMinutes(5)),
        }
    }
}

impl Scratch {
    /// Appends the response to a request, and says `Connection: close` in it or not.
    pub fn respond(
        &mut self,
        tracker: &Tracker,
        settings: &Settings,
        request: &Request<'_>,
        vantage: Vantage,
        closes: bool,
    ) {
        self.body.clear();
        let answered = match request.path {
            "/announce" => self.announce(tracker, settings, request.query, vantage),
            "/scrape" => self.scrape(tracker, settings, request.query),
            _ => {
                tracker.metrics().refused(Refusal::Path);
                return self.refuse("404 Not Found", "this port serves /announce and /scrape\n", closes);
            }
        };
        if let Err(refused) = answered {
            let (why, retry) = refused.kind();
            tracker.metrics().refused(why);
            self.body.clear();
            write_failure(&refused.to_string(), retry, &mut self.body);
        }
        // Some clients show nothing of an answer that is not plain text with status 200.
        self.head("200 OK", closes);
        self.out.extend_from_slice(&self.body);
    }

    /// Appends a response that is nobody's answer.
    pub fn refuse(&mut self, status: &str, text: &str, closes: bool) {
        self.body.clear();
        self.body.extend_from_slice(text.as_bytes());
        self.head(status, closes);
        self.out.extend_from_slice(&self.body);
    }

    fn head(&mut self, status: &str, closes: bool) {
        let connection: &[u8] = if closes { b"Connection: close\r\n" } else { b"" };
        let mut length = itoa::Buffer::new();
        let parts: [&[u8]; 7] = [
            b"HTTP/1.1 ",
            status.as_bytes(),
            b"\r\n",
            connection,
            b"Content-Type: text/plain\r\nContent-Length: ",
            length.format(self.body.len()).as_bytes(),
            b"\r\n\r\n",
        ];
        for part in parts {
            self.out.extend_from_slice(part);
        }
    }

    fn announce(
        &mut self,
        tracker: &Tracker,
        settings: &Settings,
        query: &[u8],
        vantage: Vantage,
    ) -> Result<(), Refused> {
        let now = Instant::now();
        let request = AnnounceRequest::parse(query)?;
        let ip = request.ip.filter(|_| vantage.proxied).unwrap_or(vantage.client);
        let addr = SocketAddr::new(ip.to_canonical(), request.port);
        self.handout.clear();
        let head =
            tracker.swarms().announce(Call { request: &request, addr, now, one_family: false }, &mut self.handout)?;
        if vantage.proxied {
            announce_other_family(tracker, &request, addr, now);
        }
        let warning = (!settings.warning.is_empty()).then_some(&*settings.warning);
        let ids = if request.compact || request.no_peer_id {
            Vec::new()
        } else {
            tracker.swarms().ids(request.info_hash, &self.handout)
        };
        vantage.see(&mut self.handout);
        let ids: HashMap<_, _> = self.handout.addrs().zip(ids).collect();
        let id_of = |addr| ids.get(&addr).copied().flatten();
        let form = match (request.compact, request.no_peer_id) {
            (true, _) => Form::Compact,
            (false, true) => Form::DictionaryWithoutId,
            (false, false) => Form::Dictionary(&id_of),
        };
        let reply = Reply { head, external_ip: Some(vantage.client), warning, handout: &self.handout };
        reply.write(form, &mut self.body);
        tracker.metrics().announced(Face::Http, addr.is_ipv6(), request.event, now.elapsed());
        Ok(())
    }

    /// Info hashes that are not in the index are left out (BEP 48).
    fn scrape(&mut self, tracker: &Tracker, settings: &Settings, query: &[u8]) -> Result<(), Refused> {
        let swarms = tracker.swarms();
        match Scrape::parse(query)? {
            Scrape::Of(hashes) => {
                let counts = hashes.into_iter().filter_map(|hash| Some((hash, swarms.counts(hash)?)));
                scrape::write(counts, &mut self.body);
            }
            Scrape::All if settings.full_scrape => scrape::write(swarms.all_counts(), &mut self.body),
            Scrape::All => return Err(Refused::FullScrape),
        }
        tracker.metrics().scraped(Face::Http);
        Ok(())
    }
}

/// A peer says what else it is called (BEP 7), which is believed where its address is.
fn announce_other_family(tracker: &Tracker, request: &AnnounceRequest, addr: SocketAddr, now: Instant) {
    let others = [request.ipv4.map(SocketAddr::V4), request.ipv6.map(SocketAddr::V6)];
    let request = AnnounceRequest { num_want: Some(0), ..request.clone() };
    for other in others.into_iter().flatten().filter(|other| other.is_ipv4() != addr.is_ipv4()) {
        let call = Call { request: &request, addr: other, now, one_family: false };
        // Where the first address got in, the second one can only be too many.
        let _ = tracker.swarms().announce(call, &mut Handout::default());
    }
}
