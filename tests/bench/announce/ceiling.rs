//! A server that does nothing for its answers: what is left for a tracker on top of it is the rest of a core.

use std::{convert::Infallible, net::SocketAddr};

use anyhow::Result;
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Builder};

use crate::peers::NUM_WANT;

/// Answers every request with 50 peers, until it is killed.
pub fn serve(listen: SocketAddr) -> Result<()> {
    let peers = "x".repeat(NUM_WANT as usize * 6);
    let body = format!(
        "d8:completei0e10:downloadedi0e10:incompletei60e8:intervali1800e12:min intervali900e5:peers{}:{peers}e",
        peers.len()
    );
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let body = body.clone();
            let answer = service_fn(move |_| {
                let answer = Response::new(body.clone());
                async { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    })
}
