use nova_protocol::{
    PeerId,
    announce::{AnnounceReply, Form, Handout, Reply, ReplyError, ReplyHead, write_failure},
};

/// An answer survives being written in every form, and takes no more memory than its bytes; so does a refusal.
pub fn announce_reply(bytes: &[u8]) {
    match AnnounceReply::parse(bytes) {
        Ok(read) => {
            assert!(6 * read.peers.len() <= bytes.len());
            let id_of = |_| Some(PeerId::from([b'x'; 20]));
            for form in [Form::Compact, Form::Dictionary(&id_of), Form::DictionaryWithoutId] {
                survives(&read, form);
            }
        }
        Err(ReplyError::Refused { reason, retry: Some(retry) }) => {
            assert!(reason.len() <= 3 * bytes.len());
            let mut written = Vec::new();
            write_failure(&reason, retry, &mut written);
            assert_eq!(AnnounceReply::parse(&written), Err(ReplyError::Refused { reason, retry: Some(retry) }));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn survives(read: &AnnounceReply, form: Form<'_>) {
    let handout: Handout = read.peers.iter().copied().collect();
    assert_eq!(handout.len(), read.peers.len());
    let head = ReplyHead {
        interval: read.interval,
        min_interval: read.min_interval.unwrap_or(1),
        complete: read.seeders,
        incomplete: read.leechers,
        downloaded: 0,
    };
    let mut written = Vec::new();
    let (external_ip, warning) = (read.external_ip, read.warning.as_deref());
    Reply { head, external_ip, warning, handout: &handout }.write(form, &mut written);
    let mut expected = read.clone();
    expected.min_interval = Some(head.min_interval);
    // Stable: those with IPv4 addresses come first.
    expected.peers.sort_by_key(std::net::SocketAddr::is_ipv6);
    assert_eq!(AnnounceReply::parse(&written), Ok(expected));
}
