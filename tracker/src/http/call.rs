use std::{fmt::Display, pin::Pin, str::FromStr, time::Duration};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use nova_protocol::{InfoHash, Reference, query};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use warp::http::{HeaderMap, Method, StatusCode, header, uri::Authority};

use super::answer::ApiError;
use crate::vantage::Vantage;

/// How long a client may be silent in the middle of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest body in JSON, in bytes.
const JSON_LIMIT: usize = 64 * 1024;

pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync>>;

/// A request to the index.
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub vantage: Vantage,
    pub body: Body,
}

impl Call {
    /// The path between its slashes, percent-decoded.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn segments(&self) -> Result<Vec<String>, ApiError> {
        let decode = |segment| percent_decode_str(segment).decode_utf8().map(Into::into);
        let segments: Result<_, _> = self.path.trim_start_matches('/').split('/').map(decode).collect();
        segments.map_err(|_| ApiError::bad_request("the path is not UTF-8 after percent-decoding"))
    }

    /// A parameter of the query, if it is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn parameter<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, ApiError> {
        let mut pairs = query::pairs(self.query.as_bytes());
        let Some((_, value)) = pairs.find(|(found, _)| *found == key.as_bytes()) else { return Ok(None) };
        let text = query::decode_text(value)
            .ok_or_else(|| ApiError::bad_request(format!("{key} is not UTF-8 after percent-decoding")))?;
        text.parse().map(Some).map_err(|error| ApiError::bad_request(format!("{key}={text}: {error}")))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is too long, too slow, or something else, and when it is not called JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        self.json_within(JSON_LIMIT).await
    }

    /// The same, of at most `limit` bytes.
    ///
    /// # Errors
    /// As those of [`Call::json`].
    pub async fn json_within<T: DeserializeOwned>(self, limit: usize) -> Result<T, ApiError> {
        self.expect_json()?;
        let bytes = self.bytes(limit).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::bad_request(format!("the body is not as expected: {error}")))
    }

    /// A page of any site can have a browser send JSON that is called text, but asks here first before it calls it JSON.
    fn expect_json(&self) -> Result<(), ApiError> {
        let named = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = named.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        let message = format!("the body has content type {named:?}; send it with `Content-Type: application/json`");
        Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
    }

    /// The body, of at most `limit` bytes.
    ///
    /// # Errors
    /// When it is longer, or the client is silent for too long.
    pub async fn bytes(mut self, limit: usize) -> Result<Vec<u8>, ApiError> {
        let too_long = || {
            let message = format!("the body is longer than {limit} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
        };
        let announced =
            self.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        loop {
            match tokio::time::timeout(BODY_TIMEOUT, self.body.next()).await {
                Ok(None) => return Ok(bytes),
                Ok(Some(Ok(part))) if part.len() > limit - bytes.len() => return Err(too_long()),
                Ok(Some(Ok(part))) => bytes.extend_from_slice(&part),
                Ok(Some(Err(error))) => return Err(ApiError::bad_request(format!("the body breaks off: {error}"))),
                Err(_) => {
                    let message = format!("no more of the body came for {} seconds", BODY_TIMEOUT.as_secs());
                    return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message));
                }
            }
        }
    }

    /// The host by which the client calls this server, as it is written in a URL.
    pub fn host(&self) -> String {
        let named = self.headers.get(header::HOST).and_then(|value| value.to_str().ok()?.parse::<Authority>().ok());
        let fallback = || match self.vantage.server {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        named.map_or_else(fallback, |authority| authority.host().to_owned())
    }
}

/// A body as warp has it, in one type.
pub fn body<B: Buf + Send + 'static>(
    stream: impl Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static,
) -> Body {
    Box::pin(stream.map(|part| part.map(|mut part| part.copy_to_bytes(part.remaining()))))
}

/// The end of a path as a reference; `:latest` when it has no tag.
pub fn reference(segments: &[&str]) -> Result<Reference, ApiError> {
    segments.join("/").parse().map_err(|error| ApiError::bad_request(format!("{error}")))
}

/// A segment as an info hash.
pub fn info_hash(segment: &str) -> Result<InfoHash, ApiError> {
    segment.parse().map_err(|error| ApiError::bad_request(format!("{error}")))
}
