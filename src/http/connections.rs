//! Connections, and what a single client may cost. Nobody is asked here who they are, so nobody may be able to hold up the
//! others or the daemon: not by sending slowly, not by reading slowly, not by coming again and again.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

/// So many connections are served at the same time; further ones wait until one ends.
const MOST: usize = 64;
/// The head of a request must be there in this time, which begins when the connection is ready for one; so it is also how long
/// a connection may idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The head of a request may be so large, in bytes. The longest question that is answered has less than one.
const LARGEST_HEAD: usize = 16 * 1024;
/// A client must take in something of an answer in this time.
const PROGRESS_WITHIN: Duration = Duration::from_secs(10);
/// A connection begins no further request after this time.
const LIFE: Duration = Duration::from_secs(60);
/// The request in hand then has this long to end.
const LAST_REQUEST: Duration = Duration::from_secs(30);
/// When no connection can be accepted, since files or memory are short, it is tried again after this time.
const SHORT: Duration = Duration::from_secs(1);

/// Serves until `stop` is done, and lets requests in hand end.
pub(super) async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(MOST));
    let (end, ending) = watch::channel(());
    let mut serving = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &room) => accepted,
            // What has ended is cleared away.
            Some(_) = serving.join_next() => continue,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (app, ending) = (app.clone(), ending.clone());
                serving.spawn(async move {
                    connection(stream, app, ending).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(SHORT).await;
            }
        }
    }
    drop(listener);
    drop(end);
    while serving.join_next().await.is_some() {}
}

/// The next connection, as soon as there is room for one.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

/// Serves one connection: until its client has had enough, has had its time, or everything ends.
async fn connection(stream: TcpStream, app: Router, mut ending: watch::Receiver<()>) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(PROGRESS_WITHIN));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_header_size(LARGEST_HEAD);
    let served = builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(app));
    let mut served = pin!(served);
    tokio::select! {
        // That a client goes away, or is too slow, is its own affair.
        _ = &mut served => return,
        _ = ending.changed() => {}
        () = tokio::time::sleep(LIFE) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_REQUEST, served).await;
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;

    /// Serves `/` and `/large` until the sender goes; says where. Time passes where nothing else happens.
    async fn served() -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let large = Bytes::from(vec![b'x'; 64 << 20]);
        let app = Router::new().route("/", get(|| async { "ok" })).route("/large", get(async move || large));
        let serving = tokio::spawn(serve(listener, app, async {
            let _ = stopped.await;
        }));
        (at, stop, serving)
    }

    async fn ask(at: std::net::SocketAddr, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// All that comes until the connection is closed.
    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }

    const ROOT: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn those_who_send_nothing_or_not_all_hold_up_the_others_for_seconds_at_most() {
        let (at, _stop, _) = served().await;
        for half in ["", "GET / HTTP/1.1\r\nhost: x\r\n"] {
            let begun = Instant::now();
            let mut idle = Vec::new();
            for _ in 0..MOST {
                idle.push(ask(at, half).await);
            }
            let answer = rest(ask(at, ROOT).await).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{half:?}: {answer}");
            assert_eq!(begun.elapsed().as_secs(), HEAD_WITHIN.as_secs(), "{half:?}");
            for stream in idle {
                assert!(!rest(stream).await.contains("200"), "it is closed");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_do_not_read_hold_up_the_others_for_seconds_at_most() {
        let (at, _stop, _) = served().await;
        let mut idle = Vec::new();
        for _ in 0..MOST {
            idle.push(ask(at, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await);
        }
        let begun = Instant::now();
        let answer = rest(ask(at, ROOT).await).await;
        assert!(answer.ends_with("ok"), "{answer}");
        assert!(begun.elapsed() <= PROGRESS_WITHIN + Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_or_a_body_without_end_is_not_taken_in() {
        let (at, _stop, _) = served().await;
        let long = "x".repeat(LARGEST_HEAD);
        let answer = rest(ask(at, &format!("GET / HTTP/1.1\r\nhost: {long}\r\n\r\n")).await).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");

        let mut stream = ask(at, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\n").await;
        let block = vec![b'x'; 1 << 20];
        let mut sent = 0_usize;
        while sent < 1 << 30 && stream.write_all(&block).await.is_ok() {
            sent += block.len();
        }
        assert!(sent < 1 << 30, "it is read to its end");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_asks_again_and_again_is_asked_to_come_anew_after_a_while() {
        let (at, _stop, _) = served().await;
        let begun = Instant::now();
        let mut stream = ask(at, "").await;
        let mut answers = 0;
        let mut buffer = [0; 1024];
        loop {
            if stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.is_err() {
                break;
            }
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => answers += 1,
            }
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
        assert_eq!(answers, 9, "one each seven seconds");
        assert!(begun.elapsed() >= LIFE && begun.elapsed() < LIFE + HEAD_WITHIN, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_requests_in_hand_are_answered_and_idle_connections_are_closed() {
        let (at, stop, serving) = served().await;
        let mut large = ask(at, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut first = [0; 1024];
        large.read_exact(&mut first).await.unwrap();
        let idle = ask(at, "").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(stop);
        let (large, idle) = tokio::join!(rest(large), rest(idle));
        assert!(large.len() > (64 << 20) - first.len(), "{}", large.len());
        assert_eq!(idle, "");
        serving.await.unwrap();
        assert!(TcpStream::connect(at).await.is_err(), "nobody listens any more");
    }
}
