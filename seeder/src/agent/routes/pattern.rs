//! Which requests a row of the URL table takes.

use bytes::Bytes;
use nova_protocol::metainfo::LIMITS;
use warp::{Filter, filters::BoxedFilter, http::header::CONTENT_TYPE, path::FullPath};

const PARAMETER: &str = "{info_hash}";

/// What a request brings along.
pub(super) struct Request {
    /// What stands in the place of `{info_hash}`; empty where there is no such place.
    pub name: String,
    /// The names and values of its query.
    pub query: Vec<(String, String)>,
    /// Its content type.
    pub kind: Option<String>,
    pub body: Bytes,
}

/// Takes requests of this method to paths of this pattern.
pub(super) fn requests(method: &'static str, pattern: &'static str) -> BoxedFilter<(Request,)> {
    let name = warp::path::full().and_then(move |path: FullPath| async move {
        found(pattern, path.as_str()).map(str::to_owned).ok_or_else(warp::reject::not_found)
    });
    let (asked, has_body) = match method {
        "GET" => (warp::get().boxed(), false),
        "DELETE" => (warp::delete().boxed(), false),
        "PUT" => (warp::put().boxed(), true),
        "POST" => (warp::post().boxed(), true),
        _ => unreachable!("{method} is not in the URL table"),
    };
    let query = warp::query::<Vec<(String, String)>>();
    let asked = name.and(asked).and(query).and(warp::header::optional::<String>(CONTENT_TYPE.as_str()));
    let request = |name, query, kind, body| Request { name, query, kind, body };
    if has_body {
        let limited = warp::body::content_length_limit(LIMITS.bytes as u64).and(warp::body::bytes());
        asked.and(limited).map(request).boxed()
    } else {
        asked.map(move |name, query, kind| request(name, query, kind, Bytes::new())).boxed()
    }
}

/// What stands in a path in the place of the pattern's parameter, if the path is of that pattern.
fn found<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    match pattern.split_once(PARAMETER) {
        None => (path == pattern).then_some(""),
        Some((before, after)) => {
            path.strip_prefix(before)?.strip_suffix(after).filter(|name| !name.is_empty() && !name.contains('/'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_its_paths_alone() {
        for (pattern, path, name) in [
            ("/v1/pulls", "/v1/pulls", Some("")),
            ("/v1/pulls", "/v1/pulls/", None),
            ("/v1/pulls/{info_hash}", "/v1/pulls/ab", Some("ab")),
            ("/v1/pulls/{info_hash}", "/v1/pulls/", None),
            ("/v1/pulls/{info_hash}", "/v1/pulls/ab/limits", None),
            ("/v1/pulls/{info_hash}.torrent", "/v1/pulls/ab.torrent", Some("ab")),
            ("/v1/pulls/{info_hash}.torrent", "/v1/pulls/ab", None),
            ("/v1/pulls/{info_hash}/limits", "/v1/pulls/ab/limits", Some("ab")),
        ] {
            assert_eq!(found(pattern, path), name, "{pattern} {path}");
        }
    }
}
