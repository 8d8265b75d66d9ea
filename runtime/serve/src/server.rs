//! Opens the door, and closes it so that who is inside can finish.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::App;
use crate::routes::router;

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All answers were finished.
    Drained,
    /// Some had none yet, or were being written, when the time was over.
    Cut,
}

/// Serves `app` until `stop` is set; then nobody is let in any more, and answers have `grace` to end.
///
/// # Errors
/// Of the system: no threads, or a socket that is gone.
pub fn serve(
    app: Arc<App>,
    listener: TcpListener,
    stop: &'static AtomicBool,
    grace: Duration,
) -> std::io::Result<Ended> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let server = axum::serve(listener, router(Arc::clone(&app))).with_graceful_shutdown(asked(stop));
        let mut server = std::pin::pin!(server.into_future());
        tokio::select! {
            ended = &mut server => ended.map(|()| Ended::Drained),
            () = late(stop, grace) => Ok(Ended::Cut),
        }
    })?;
    app.close();
    // Connections that are still open are dropped, and what was computed for them is given up.
    runtime.shutdown_background();
    Ok(ended)
}

/// Set by a signal, which wakes nobody.
async fn asked(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn late(stop: &AtomicBool, grace: Duration) {
    asked(stop).await;
    tokio::time::sleep(grace).await;
}
