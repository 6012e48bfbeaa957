//! Who may ask an agent: its own host, and whoever knows its token.

use std::{net::IpAddr, str::FromStr};

use nova_protocol::api::{ErrorBody, ErrorDetail};
use warp::{
    Filter, Rejection, Reply,
    filters::BoxedFilter,
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE},
        uri::Authority,
    },
    path::FullPath,
    reply::Response,
};

use crate::{
    http::Refusal,
    listen::Listen,
    token::{Token, TokenError},
};

/// What load balancers and service managers ask, and what says nothing of what is here.
const OPEN: [&str; 2] = ["/health", "/readiness"];

/// Decides who may ask.
#[derive(Debug, Clone)]
pub struct Guard {
    token: Option<Token>,
    /// Whether a browser on this host can reach the agent, and nobody elsewhere can.
    is_loopback: bool,
}

/// Why an agent must not listen.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Everybody could start and remove pulls.
    #[error(
        "http_listen is {0}, which other hosts can reach, and there is no token: set token_file, or listen on \
         127.0.0.1:16002 or unix:/PATH"
    )]
    Open(Listen),
    /// The token is no token.
    #[error("token: {0}")]
    Token(#[from] TokenError),
}

impl Guard {
    /// The guard of what listens there.
    ///
    /// # Errors
    /// [`AccessError::Open`] for an address that other hosts can reach, without a token.
    pub(super) fn new(listen: &Listen, token: Option<Token>) -> Result<Self, AccessError> {
        if token.is_none() && !listen.is_local() {
            return Err(AccessError::Open(listen.clone()));
        }
        Ok(Self { token, is_loopback: matches!(listen, Listen::Tcp(_)) && listen.is_local() })
    }

    /// What those who may ask say.
    pub(super) fn token(&self) -> Option<Token> {
        self.token.clone()
    }

    /// Answers those who may not ask, and passes on everybody else.
    pub(super) fn refuse(self) -> BoxedFilter<(Response,)> {
        let refusal = move |path: FullPath, headers: HeaderMap| {
            let refused = self.refusal(path.as_str(), &headers);
            async move { refused.ok_or_else(warp::reject::not_found) as Result<Response, Rejection> }
        };
        warp::path::full().and(warp::header::headers_cloned()).and_then(refusal).boxed()
    }

    fn refusal(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        // A web page whose name was made to lead here must not drive the agent.
        if self.is_loopback && headers.get(HOST).is_some_and(|host| !is_loopback(host.as_bytes())) {
            let message = "this agent serves its own host alone: ask it by an address of loopback".to_owned();
            return Some(Refusal(StatusCode::FORBIDDEN, "forbidden", message).into_response());
        }
        let token = self.token.as_ref().filter(|_| !OPEN.contains(&path))?;
        match bearer(headers) {
            Some(said) if token.is(said) => None,
            Some(_) => Some(unauthorized("this is not the token of this agent", "Bearer error=\"invalid_token\"")),
            None => Some(unauthorized("no token, expected the header Authorization: Bearer TOKEN", "Bearer")),
        }
    }
}

/// What is said after `Bearer`, a word that may be in any case (RFC 9110).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, said) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| said.trim())
}

fn is_loopback(host: &[u8]) -> bool {
    let Some(authority) = std::str::from_utf8(host).ok().and_then(|host| Authority::from_str(host).ok()) else {
        return false;
    };
    let address = authority.host().trim_start_matches('[').trim_end_matches(']');
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unauthorized(found: &str, challenge: &'static str) -> Response {
    let message = format!("{found}; nova-cli takes it from NOVA_CLI_AGENT_TOKEN or agent_token_file");
    let body = ErrorBody { error: ErrorDetail { code: "unauthorized".to_owned(), message } };
    let answer = warp::reply::with_status(warp::reply::json(&body), StatusCode::UNAUTHORIZED);
    warp::reply::with_header(answer, WWW_AUTHENTICATE, challenge).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn guard(listen: &str, token: Option<&str>) -> Result<Guard, AccessError> {
        Guard::new(&listen.parse().unwrap(), token.map(|token| token.parse().unwrap()))
    }

    fn status(guard: &Guard, path: &str, headers: &[(&'static str, &str)]) -> Option<StatusCode> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        guard.refusal(path, &headers).map(|refused| refused.status())
    }

    #[test]
    fn an_address_that_others_reach_needs_a_token() {
        for open in ["0.0.0.0:0", "192.0.2.1:1", "[::]:1"] {
            let error = guard(open, None).unwrap_err().to_string();
            assert!(error.contains(open) && error.contains("token_file"), "{error}");
            assert!(guard(open, Some(TOKEN)).is_ok());
        }
        for local in ["127.0.0.1:0", "[::1]:0", "unix:/run/agent.sock"] {
            assert!(guard(local, None).is_ok());
        }
    }

    #[test]
    fn everything_but_health_needs_the_token_when_there_is_one() {
        for listen in ["0.0.0.0:0", "127.0.0.1:0", "unix:/run/agent.sock"] {
            let guard = guard(listen, Some(TOKEN)).unwrap();
            for path in ["/v1/pulls", "/metrics", "/v1/openapi.json", "/nowhere", "/health/", "//health"] {
                let right = format!("Bearer {TOKEN}");
                assert_eq!(status(&guard, path, &[]), Some(StatusCode::UNAUTHORIZED), "{path}");
                assert_eq!(status(&guard, path, &[("authorization", &right)]), None);
                for wrong in ["Bearer", "Bearer ", "Bearer 0123456789abcdeF", &format!("Basic {TOKEN}"), TOKEN] {
                    let refused = status(&guard, path, &[("authorization", wrong)]);
                    assert_eq!(refused, Some(StatusCode::UNAUTHORIZED), "{wrong}");
                }
            }
            assert_eq!(OPEN.map(|path| status(&guard, path, &[])), [None, None]);
        }
    }

    #[test]
    fn on_loopback_the_host_must_be_loopback_whoever_asks() {
        let loopback = guard("127.0.0.1:0", None).unwrap();
        for host in ["127.0.0.1:16002", "localhost", "[::1]:16002"] {
            assert_eq!(status(&loopback, "/v1/pulls", &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example:16002", "localhost.evil.example", "@", "192.0.2.1"] {
            assert_eq!(status(&loopback, "/v1/pulls", &[("host", host)]), Some(StatusCode::FORBIDDEN), "{host}");
        }
        let open = guard("0.0.0.0:0", Some(TOKEN)).unwrap();
        let headers = [("host", "agent.example"), ("authorization", &format!("Bearer {TOKEN}"))];
        assert_eq!(status(&open, "/v1/pulls", &headers), None);
    }
}
