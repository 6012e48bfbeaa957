use std::{mem::MaybeUninit, str};

/// The longest head of a request, in bytes; the info hashes of the longest scrape take half of it.
pub(super) const HEAD_BYTES: usize = 16 * 1024;

/// More than any client or proxy sends.
const HEADERS: usize = 64;

/// What is at the start of the bytes that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// The head of a request, and there may be more behind it.
    Whole(Request<'a>),
    /// Not all of a head yet.
    Partial,
    /// Something else, to be answered with this status.
    Bad(&'static str),
}

/// The head of a request, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// Its length in bytes.
    pub length: usize,
    pub path: &'a str,
    pub query: &'a [u8],
    /// Whether the client may send another one on this connection.
    pub keeps_alive: bool,
    /// `X-Forwarded-For`, in the order of the headers.
    pub forwarded: Vec<&'a str>,
}

impl<'a> Head<'a> {
    pub fn read(bytes: &'a [u8]) -> Self {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES => length,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES => return Self::Partial,
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Self::Bad("431 Request Header Fields Too Large"),
            Err(_) => return Self::Bad("400 Bad Request"),
        };
        match request.method {
            Some("GET") => Self::Whole(Request::new(length, &request)),
            _ => Self::Bad("405 Method Not Allowed\r\nAllow: GET"),
        }
    }
}

impl<'a> Request<'a> {
    fn new(length: usize, parsed: &httparse::Request<'_, 'a>) -> Self {
        let target = origin_form(parsed.path.unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut keeps_alive = parsed.version == Some(1);
        let mut forwarded = Vec::new();
        for header in &*parsed.headers {
            let is = |name| header.name.eq_ignore_ascii_case(name);
            match header.name.len() {
                10 if is("connection") => keeps_alive = connection(header.value, keeps_alive),
                // A body is not read, so nothing can follow it.
                14 if is("content-length") => keeps_alive &= header.value == b"0",
                17 if is("transfer-encoding") => keeps_alive = false,
                15 if is("x-forwarded-for") => forwarded.extend(str::from_utf8(header.value)),
                _ => {}
            }
        }
        Self { length, path, query: query.as_bytes(), keeps_alive, forwarded }
    }
}

/// Proxies are asked for whole URLs.
fn origin_form(target: &str) -> &str {
    if target.starts_with('/') {
        return target;
    }
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    }
}

fn connection(value: &[u8], default: bool) -> bool {
    let says = |word: &[u8]| value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(word));
    !says(b"close") && (default || says(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request<'_> {
        match Head::read(text.as_bytes()) {
            Head::Whole(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_ends_where_the_next_begins() {
        let text = "GET /announce?a=%ff&b=1?2 HTTP/1.1\r\nHost: x\r\n\r\nGET /";
        let found = request(text);
        assert_eq!((found.path, found.query), ("/announce", &b"a=%ff&b=1?2"[..]));
        assert_eq!((found.keeps_alive, &text[found.length..]), (true, "GET /"));
    }

    #[test]
    fn connections_stay_as_both_sides_can() {
        let keeps_alive = |text| request(text).keeps_alive;
        assert!(!keeps_alive("GET / HTTP/1.0\r\n\r\n"));
        assert!(keeps_alive("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n"));
        assert!(!keeps_alive("GET / HTTP/1.1\r\nConnection: TE, close\r\n\r\n"));
        assert!(!keeps_alive("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"));
        assert!(keeps_alive("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
        assert!(!keeps_alive("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn a_whole_url_is_read_as_its_path() {
        assert_eq!(request("GET http://x:1/announce?a=http://y/ HTTP/1.1\r\n\r\n").path, "/announce");
        assert_eq!(request("GET /announce?a=http://y/ HTTP/1.1\r\n\r\n").query, b"a=http://y/");
        assert_eq!(request("GET http://x HTTP/1.1\r\n\r\n").path, "/");
    }

    #[test]
    fn what_is_no_request_for_this_port_has_a_status() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD_BYTES));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
        assert_eq!(Head::read(b"POST /announce HTTP/1.1\r\n\r\n"), Head::Bad("405 Method Not Allowed\r\nAllow: GET"));
        assert_eq!(Head::read(long.as_bytes()), Head::Bad("431 Request Header Fields Too Large"));
        assert_eq!(Head::read(many.as_bytes()), Head::Bad("431 Request Header Fields Too Large"));
        assert_eq!(Head::read(b"\x16\x03\x01\x02"), Head::Bad("400 Bad Request"));
        assert_eq!(Head::read(b"GET /announce HTTP/1.1\r\nHost"), Head::Partial);
    }
}
