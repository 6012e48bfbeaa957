use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use warp::{Filter, Reply};

use super::Face;
use crate::vantage::Vantage;

/// How long a client may take to send the head of a request, and be idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests in flight have to end at shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait when the process is out of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// The head of a request; 100 info hashes of a scrape fit in 8 KiB.
const HEAD_BYTES: usize = 16 * 1024;

/// Serves `routes` on a listener until shutdown, with at most `limit` connections at once; more wait in the kernel.
///
/// This stands in for warp's own server, which has neither a header timeout nor a connection limit.
pub(crate) async fn accept<F>(listener: TcpListener, routes: F, limit: usize, face: &Arc<Face>)
where
    F: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: Reply + Send,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = face.shutdown.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < limit => match accepted {
                Ok((stream, remote)) => {
                    connections.spawn(connection(stream, remote, routes.clone(), Arc::clone(face)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(BREATH).await;
                }
            },
        }
    }
    drop(listener);
    // What is left after that is cut off with the set.
    let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection<F>(stream: TcpStream, remote: SocketAddr, routes: F, face: Arc<Face>)
where
    F: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: Reply + Send,
{
    let Ok(server) = prepare(&stream) else { return };
    let remote = remote.ip().to_canonical();
    let shutdown = face.shutdown.clone();
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        let forwarded = request.headers().get_all("x-forwarded-for").into_iter();
        let forwarded = forwarded.filter_map(|value| value.to_str().ok());
        let vantage = Vantage::through(remote, server, forwarded, &face.tracker.settings().trusted_proxies);
        request.extensions_mut().insert(vantage);
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    run(connection, &shutdown).await;
}

/// Clients that break off or send garbage are no news.
async fn run<S>(connection: http1::Connection<TokioIo<TcpStream>, S>, shutdown: &CancellationToken)
where
    S: Service<hyper::Request<Incoming>, Response = warp::reply::Response, Error = Infallible>,
{
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<IpAddr> {
    stream.set_nodelay(true)?;
    Ok(stream.local_addr()?.ip().to_canonical())
}
