use nova_protocol::{
    announce::AnnounceRequest,
    bencode,
    query::encode,
    scrape::{self, Counts, Scrape},
};

/// The first value of a key, decoded with nothing in mind but to be right.
fn value(query: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let pair = query.split(|byte| *byte == b'&').find(|pair| {
        let name = pair.split(|byte| *byte == b'=').next();
        !pair.is_empty() && name == Some(key)
    })?;
    let encoded = pair.get(key.len() + 1..).unwrap_or_default();
    let digit = |at: usize| encoded.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < encoded.len() {
        let (byte, length) = match (encoded[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).expect("two digits"), 3),
            (b'+', ..) => (b' ', 1),
            (other, ..) => (other, 1),
        };
        decoded.push(byte);
        at += length;
    }
    Some(decoded)
}

fn number<T: std::str::FromStr>(value: Option<Vec<u8>>) -> Option<T> {
    String::from_utf8(value?).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// An announce is what a plain reading finds, and survives being written; one that is refused lacks something.
pub fn announce_query(query: &[u8]) {
    let zero_or = |key: &[u8]| value(query, key).map_or(Some(0), |value| number::<u64>(Some(value)));
    let twenty = |key: &[u8]| value(query, key).filter(|value| value.len() == 20);
    let (info_hash, peer_id) = (twenty(b"info_hash"), twenty(b"peer_id"));
    let port = number::<u16>(value(query, b"port"));
    let left = number::<u64>(value(query, b"left"));
    let (uploaded, downloaded) = (zero_or(b"uploaded"), zero_or(b"downloaded"));
    let Ok(read) = AnnounceRequest::parse(query) else {
        let whole = info_hash.is_some() && peer_id.is_some() && port.is_some() && left.is_some();
        assert!(!whole || uploaded.is_none() || downloaded.is_none(), "a whole announce is refused");
        return;
    };
    assert_eq!(info_hash.as_deref(), Some(&read.info_hash.as_bytes()[..]));
    assert_eq!(peer_id.as_deref(), Some(&read.peer_id.as_bytes()[..]));
    assert_eq!((port, left), (Some(read.port), Some(read.left)));
    assert_eq!((uploaded, downloaded), (Some(read.uploaded), Some(read.downloaded)));
    assert_eq!(value(query, b"event").as_deref() == Some(b"stopped"), read.event.as_str() == "stopped");
    assert_eq!(read.compact, value(query, b"compact").as_deref() != Some(b"0"));
    let written = read.to_query();
    assert!(written.is_ascii() && written.len() < 640, "{} bytes", written.len());
    assert_eq!(AnnounceRequest::parse(written.as_bytes()).as_ref(), Ok(&read));
    let noisy = [b"&&=&unknown=%&", query, b"&trackerid=x&=&"].concat();
    assert_eq!(AnnounceRequest::parse(&noisy), Ok(read), "unknown keys change nothing");
}

/// A scrape asks for everything, or for a limited number of info hashes in order; its answer is canonical.
pub fn scrape_query(query: &[u8]) {
    match Scrape::parse(query) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(Scrape::All) => assert_eq!(value(query, b"info_hash"), None),
        Ok(Scrape::Of(hashes)) => {
            assert!((1..=scrape::MAX_INFO_HASHES).contains(&hashes.len()));
            assert!(hashes.is_sorted_by(|one, other| one < other));
            let mut again = String::new();
            for hash in hashes.iter().rev() {
                again.push_str("&info_hash=");
                encode(&mut again, hash.as_bytes());
            }
            assert_eq!(Scrape::parse(again.as_bytes()), Ok(Scrape::Of(hashes.clone())));
            let counts = Counts { complete: 0, downloaded: u32::MAX, downloaders: 2, incomplete: 3 };
            let mut answer = Vec::new();
            scrape::write(hashes.iter().map(|hash| (*hash, counts)), &mut answer);
            let limits = bencode::Limits { bytes: 1 << 16, depth: 3, values: 1 << 12 };
            assert!(bencode::scan(&answer, limits).is_ok());
        }
    }
}
