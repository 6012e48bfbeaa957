//! What the HTTP faces of origin and agent share: the listener, and answers in JSON.

use std::{convert::Infallible, time::Duration};

use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use nova_protocol::api::{ErrorBody, ErrorDetail};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use warp::{Filter, Rejection, Reply, filters::BoxedFilter, http::StatusCode, reply::Response};

use crate::listen::Listener;

/// How long a client may take to send the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
const CONNECTIONS: usize = 1024;
/// How long requests under way may take once the server stops.
const FINISH_WITHIN: Duration = Duration::from_secs(3);

/// A refusal: its status, a word for programs and a sentence for people.
pub(crate) struct Refusal(pub StatusCode, pub &'static str, pub String);

/// Serves `routes` until `shutdown`; requests under way are finished.
pub(crate) async fn serve(
    listener: impl Into<Listener>,
    routes: BoxedFilter<(Response,)>,
    shutdown: CancellationToken,
) {
    let listener = listener.into();
    let service = TowerToHyperService::new(warp::service(routes.recover(recover)));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let under_way = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok(_) if under_way.count() >= CONNECTIONS => {}
            Ok(stream) => {
                let connection = under_way.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "HTTP connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let _finished_or_not = tokio::time::timeout(FINISH_WITHIN, under_way.shutdown()).await;
}

/// An answer in JSON.
pub(crate) fn json<T: Serialize>(answer: Result<T, Refusal>) -> Response {
    match answer {
        Ok(body) => warp::reply::json(&body).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

impl Refusal {
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, "not_found", message.into())
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message.into())
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, "bad_request", message.into())
    }
}

impl Reply for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let body = ErrorBody { error: ErrorDetail { code: code.to_owned(), message } };
        warp::reply::with_status(warp::reply::json(&body), status).into_response()
    }
}

/// Answers what no route took.
async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    let refusal = if rejection.is_not_found() {
        Refusal::not_found("there is nothing at this path")
    } else if rejection.find::<warp::reject::PayloadTooLarge>().is_some() {
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large".to_owned())
    } else if rejection.find::<warp::reject::LengthRequired>().is_some() {
        Refusal(StatusCode::LENGTH_REQUIRED, "length_required", "the body needs a Content-Length".to_owned())
    // Every other route of the same path says this too, so it comes last.
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        Refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has other methods".to_owned())
    } else {
        Refusal::bad_request(format!("{rejection:?}"))
    };
    Ok(refusal.into_response())
}
