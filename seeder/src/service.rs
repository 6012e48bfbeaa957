//! A JSON service over HTTP, as its clients see it: the tracker, or an agent.

use std::{path::Path, sync::LazyLock, time::Duration};

use nova_protocol::{InfoHash, Metainfo, MetainfoError, api::ErrorBody};
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url, header::AUTHORIZATION};
use serde::de::DeserializeOwned;

use crate::token::Token;

/// How long an answer may take, a long poll apart.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Where a service is and how to ask it.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// What to call it: `tracker` or `agent`.
    name: &'static str,
    /// How a user says where it is.
    hint: &'static str,
    http: reqwest::Client,
    base: Url,
    /// Where it is, as users say it: `base`, or the socket by which that is reached.
    at: Url,
    token: Option<Token>,
}

/// Why a service did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Not the address of a service.
    #[error("{0:?} is not the URL of {1}: expected http://HOST:PORT, or unix:/PATH for a socket")]
    Url(String, &'static str),
    /// There is no client of HTTP, even where it would do without certificates.
    #[error("cannot speak HTTP: {0}; install some (Debian: ca-certificates), or say in SSL_CERT_FILE where they are")]
    Client(String),
    /// No connection, or no answer in time.
    #[error("the {name} at {url} does not answer: {reason}; is it running there? ({hint})")]
    Unreachable {
        /// What it is.
        name: &'static str,
        /// Where it should be.
        url: String,
        /// What the network said.
        reason: String,
        /// How a user says where it is.
        hint: &'static str,
    },
    /// It said no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// A word that programs may rely on.
        code: String,
        /// A sentence for a person.
        message: String,
    },
    /// The answer is not what such a service answers.
    #[error("{url} does not answer as a nova {name} does: {reason}")]
    Answer {
        /// What it should be.
        name: &'static str,
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The metainfo that it keeps does not read.
    #[error("the metainfo of {0}: {1}")]
    Metainfo(InfoHash, MetainfoError),
}

impl ServiceError {
    /// Whether the thing that was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether nothing answered at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether the same question may have another answer later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => status.is_server_error(),
            _ => false,
        }
    }
}

type Result<T> = std::result::Result<T, ServiceError>;

impl Service {
    /// The service at `url`; `HOST:PORT` stands for `http://HOST:PORT`, and `unix:/PATH` is a socket.
    ///
    /// # Errors
    /// [`ServiceError::Url`] and [`ServiceError::Client`].
    pub(crate) fn new(name: &'static str, hint: &'static str, url: &str) -> Result<Self> {
        let (base, at, socket) = place(url).ok_or_else(|| ServiceError::Url(url.to_owned(), name))?;
        let http = match socket {
            Some(path) => build(builder().unix_socket(path)).map_err(ServiceError::Client)?,
            None => http()?,
        };
        Ok(Self { name, hint, http, base, at, token: None })
    }

    /// The same, which says this with every request.
    pub(crate) fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.at
    }

    /// A request for `path`, whose parts may have slashes of their own, as references do.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.iter().flat_map(|part| part.split('/')));
        }
        let request = self.http.request(method, url).timeout(ANSWER_WITHIN);
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.bearer()),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let url = response.url().clone();
        match response.json::<ErrorBody>().await {
            Ok(ErrorBody { error }) => Err(ServiceError::Refused { status, code: error.code, message: error.message }),
            // A proxy's word, not the service's.
            Err(_) if status.is_server_error() => {
                let message = format!("{url} answers {status}");
                Err(ServiceError::Refused { status, code: "unavailable".to_owned(), message })
            }
            Err(_) => Err(self.answer(url, format!("status {status}"))),
        }
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        let url = response.url().clone();
        response.json().await.map_err(|error| self.answer(url, innermost(&error)))
    }

    /// An answer that is a `.torrent` with this info hash.
    pub(crate) async fn metainfo(&self, request: RequestBuilder, info_hash: InfoHash) -> Result<Metainfo> {
        let response = self.send(request).await?;
        let url = response.url().clone();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let metainfo = Metainfo::parse(bytes.into()).map_err(|error| ServiceError::Metainfo(info_hash, error))?;
        match metainfo.info_hash() {
            found if found == info_hash => Ok(metainfo),
            found => Err(self.answer(url, format!("info hash {found}, expected {info_hash}"))),
        }
    }

    fn answer(&self, url: Url, reason: String) -> ServiceError {
        ServiceError::Answer { name: self.name, url: url.into(), reason }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ServiceError {
        self.unreachable_for(innermost(error))
    }

    /// The error for a service that takes a request and says nothing.
    pub(crate) fn silent(&self) -> ServiceError {
        self.unreachable_for(format!("no answer for {} s", ANSWER_WITHIN.as_secs()))
    }

    fn unreachable_for(&self, reason: String) -> ServiceError {
        let (name, hint, url) = (self.name, self.hint, self.at.to_string());
        ServiceError::Unreachable { name, url, reason, hint }
    }
}

/// The client of HTTP that this process shares: to make one reads all certificates of the host, which takes milliseconds.
///
/// # Errors
/// [`ServiceError::Client`].
pub(crate) fn http() -> Result<reqwest::Client> {
    static HTTP: LazyLock<std::result::Result<reqwest::Client, String>> = LazyLock::new(|| build(builder()));
    HTTP.clone().map_err(ServiceError::Client)
}

fn builder() -> ClientBuilder {
    reqwest::Client::builder().connect_timeout(Duration::from_secs(5))
}

fn build(builder: ClientBuilder) -> std::result::Result<reqwest::Client, String> {
    builder.build().map_err(|error| innermost(&error))
}

/// What to ask, what users call it, and the socket by which that is reached.
fn place(url: &str) -> Option<(Url, Url, Option<&Path>)> {
    if let Some(path) = url.strip_prefix("unix:") {
        let path = Some(Path::new(path)).filter(|path| path.is_absolute())?;
        // Nobody looks up this name: the connection is the socket's.
        let base = Url::parse("http://localhost").ok()?;
        return Some((base, Url::parse(url).ok()?, Some(path)));
    }
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let base = Url::parse(&full).ok().filter(|base| base.has_host() && matches!(base.scheme(), "http" | "https"))?;
    Some((base.clone(), base, None))
}

/// What the network said, without the layers around it that repeat the URL.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
