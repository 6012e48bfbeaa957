use nova_protocol::api::{ErrorBody, ErrorDetail};
use serde::Serialize;
use warp::{
    Reply,
    http::{HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use crate::{agents::AgentsError, index::IndexError};

/// A request that is not answered with what it asks for.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    allow: Option<&'static str>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), allow: None }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub fn no_such_path(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("no such path: {path}; ARCHITECTURE.md lists what there is"),
        )
    }

    pub fn method(found: &Method, allow: &'static str) -> Self {
        let message = format!("{found} is not possible here, expected {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message) }
    }

    pub fn response(self) -> Response {
        // Others are not faults: who is told to try again later does.
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code = self.code, "{}", self.message);
        }
        let error = ErrorDetail { code: self.code.to_owned(), message: self.message };
        let mut response = json(self.status, &ErrorBody { error });
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        let (status, code) = match &error {
            IndexError::UnknownTorrent(_) | IndexError::UnknownTag(_) | IndexError::UnknownVersion { .. } => {
                (StatusCode::NOT_FOUND, "not_found")
            }
            IndexError::NothingBefore(_) => (StatusCode::CONFLICT, "nothing_before"),
            IndexError::VersionMismatch { .. } => (StatusCode::CONFLICT, "version_mismatch"),
            IndexError::Immutable(_) => (StatusCode::CONFLICT, "immutable"),
            IndexError::NotReplicated { .. } => (StatusCode::CONFLICT, "not_replicated"),
            IndexError::Tagged { .. } => (StatusCode::CONFLICT, "tagged"),
            IndexError::NotAssigned { .. } => (StatusCode::CONFLICT, "not_assigned"),
            IndexError::Sqlite(_) => (StatusCode::INTERNAL_SERVER_ERROR, "index_failed"),
            IndexError::Starting { .. } => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
            IndexError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<AgentsError> for ApiError {
    fn from(error: AgentsError) -> Self {
        let (status, code) = match &error {
            AgentsError::Unknown(_) => (StatusCode::NOT_FOUND, "not_found"),
            AgentsError::Full(_) | AgentsError::Memory(_) => (StatusCode::SERVICE_UNAVAILABLE, "full"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// What every request comes to.
pub type Answer = Result<Response, ApiError>;

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

/// The common case: all went well, and this is what was asked for.
pub fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

pub fn text(status: StatusCode, body: impl Into<String>) -> Response {
    bytes(status, "text/plain; charset=utf-8", body.into().into_bytes())
}

pub fn bytes(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
