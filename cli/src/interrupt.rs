use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell reports of a command that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Cancels `stop` on Ctrl-C or SIGTERM. The second one ends the process at once.
pub fn listen(stop: CancellationToken) {
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(INTERRUPTED.into());
            }
            stop.cancel();
        }
    });
}
