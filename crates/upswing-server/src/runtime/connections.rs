//! Connections: accepted, answered in HTTP/1.1, and closed when nothing comes.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

/// How long a connection may take for the head of a request, or do nothing between two. Whoever opens connections and is silent
/// must not use up what others need.
const HEAD: Duration = Duration::from_secs(75);
/// How long nothing is accepted after the system refused a connection: it has no descriptors left, for instance.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers until it is to stop, then what is under way.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    serve_patiently(listener, router, HEAD, stop).await;
}

#[expect(clippy::disallowed_methods, reason = "a connection's task is waited for by `GracefulShutdown`")]
async fn serve_patiently(
    listener: TcpListener,
    router: Router,
    head: Duration,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    let open = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let connection = match accepted {
            Ok((connection, _)) => connection,
            Err(error) if is_of_one_connection(error.kind()) => continue,
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // An answer is written in one piece: waiting to fill a packet would only delay it.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let service = TowerToHyperService::new(router.clone());
        let answered = open.watch(http.serve_connection(TokioIo::new(connection), service));
        tokio::spawn(async move {
            if let Err(error) = answered.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    open.shutdown().await;
}

fn is_of_one_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_is_silent_is_let_go_and_who_asks_is_answered_to_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = serve_patiently(listener, router, Duration::from_millis(100), async {
            let _ = stopped.await;
        });
        let asking = async {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nA").await.unwrap();
            let mut asks = TcpStream::connect(address).await.unwrap();
            asks.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = [0; 15];
            asks.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            // Both end by themselves: one in the middle of its head, the other with nothing more to say.
            let mut rest = Vec::new();
            silent.read_to_end(&mut rest).await.unwrap();
            asks.read_to_end(&mut rest).await.unwrap();
            stop.send(()).unwrap();
        };
        tokio::join!(serving, asking);
    }
}
