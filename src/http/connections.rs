//! Connections, and what a single client may cost. Nobody is asked here who they are, so nobody may be able to hold up the
//! others or the daemon: not by sending slowly, not by reading slowly, not by coming again and again. Whoever asks whether the
//! daemon lives is answered also when somebody has taken all connections: else that would have it restarted.

use std::collections::BTreeMap;
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
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{self, JoinSet};
use tokio_io_timeout::TimeoutStream;

/// So many connections are served at the same time, where the process may open enough files.
const MOST: usize = 64;
/// Beside those so many that are asked nothing but whether the daemon lives and is ready.
const SPARE: usize = 8;
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
/// The oldest connection has this long to end its request in hand when somebody else waits.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);
/// Somebody who waits for another to leave is asked after this time whether a spare connection will do.
const WAITS: Duration = Duration::from_millis(200);
/// A spare connection ends within this time, whatever its client does.
const SPARE_LIFE: Duration = Duration::from_secs(1);
/// When no connection can be accepted, since files or memory are short, it is tried again after this time.
const SHORT: Duration = Duration::from_secs(1);

/// What is served: all of it, and what still is where all connections are taken.
pub(super) struct Apps {
    pub(super) all: Router,
    pub(super) probes: Router,
}

/// How many connections are served at the same time: a quarter of the files that the process may open, at most [`MOST`].
fn most() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    files.and_then(|files| usize::try_from(files / 4).ok()).unwrap_or(MOST).clamp(SPARE, MOST)
}

/// Serves until `stop` is done, and lets requests in hand end.
pub(super) async fn serve(listener: TcpListener, apps: Apps, stop: impl Future<Output = ()>) {
    let most = most();
    let (room, any) = (Arc::new(Semaphore::new(most)), Arc::new(Semaphore::new(most + SPARE)));
    let (end, ending) = watch::channel(());
    let mut serving = JoinSet::new();
    // In the order in which they came: whoever is told to leave is in here no more.
    let mut staying: BTreeMap<task::Id, Arc<Notify>> = BTreeMap::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &any) => accepted,
            // What has ended is cleared away.
            Some(ended) = serving.join_next_with_id() => {
                staying.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
                continue;
            }
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(SHORT).await;
                continue;
            }
        };
        if room.available_permits() == 0
            && let Some((_, leaves)) = staying.pop_first()
        {
            leaves.notify_one();
        }
        let leaves = Arc::new(Notify::new());
        let connection = Connection { stream, leaves: Arc::clone(&leaves), ending: ending.clone() };
        let (all, probes, room) = (apps.all.clone(), apps.probes.clone(), Arc::clone(&room));
        let spawned = serving.spawn(async move {
            match tokio::time::timeout(WAITS, room.acquire_owned()).await {
                Ok(place) => {
                    connection.serve(all).await;
                    drop(place);
                }
                Err(_) => connection.spare(probes).await,
            }
            drop(permit);
        });
        staying.insert(spawned.id(), leaves);
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

struct Connection {
    stream: TcpStream,
    /// Somebody else waits, and this one has been here longest.
    leaves: Arc<Notify>,
    ending: watch::Receiver<()>,
}

impl Connection {
    /// Serves until the client has had enough, has had its time, or everything ends.
    async fn serve(mut self, app: Router) {
        let mut stream = TimeoutStream::new(self.stream);
        stream.set_write_timeout(Some(PROGRESS_WITHIN));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_header_size(LARGEST_HEAD);
        let served = builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(app));
        let mut served = pin!(served);
        let last = tokio::select! {
            // That a client goes away, or is too slow, is its own affair.
            _ = &mut served => return,
            () = self.leaves.notified() => LEAVES_WITHIN,
            _ = self.ending.changed() => LAST_REQUEST,
            () = tokio::time::sleep(LIFE) => LAST_REQUEST,
        };
        served.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(last, served).await;
    }

    /// Answers one request, and that soon or not at all.
    async fn spare(self, app: Router) {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).max_header_size(LARGEST_HEAD).keep_alive(false);
        let served = builder.serve_connection(TokioIo::new(self.stream), TowerToHyperService::new(app));
        let _ = tokio::time::timeout(SPARE_LIFE, served).await;
    }
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
        let probes = Router::new().route("/livez", get(|| async { "alive" }));
        let all = probes.clone().route("/", get(|| async { "ok" })).route("/large", get(async move || large));
        let probes = probes.fallback(|| async { "busy" });
        let serving = tokio::spawn(serve(listener, Apps { all, probes }, async {
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

    const LIVEZ: &str = "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    /// All connections are taken by those who say this and then neither say nor read anything.
    async fn taken(at: std::net::SocketAddr, said: &str) -> Vec<TcpStream> {
        let mut taken = Vec::new();
        for _ in 0..MOST {
            taken.push(ask(at, said).await);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_all_connections_keeps_nobody_from_asking_whether_it_lives() {
        let large = "GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
        for said in ["", "GET / HTTP/1.1\r\nhost: x\r\n", large] {
            let (at, _stop, _) = served().await;
            let taken = taken(at, said).await;
            let begun = Instant::now();
            let answer = rest(ask(at, LIVEZ).await).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("alive"), "{said:?}: {answer}");
            assert!(begun.elapsed() < Duration::from_millis(250), "{said:?}: {:?}", begun.elapsed());
            // One has left for whoever comes next, who is asked to come again until then.
            let mut asked = 0;
            while !rest(ask(at, ROOT).await).await.ends_with("ok") {
                asked += 1;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            assert!(asked < 10 && begun.elapsed() < LEAVES_WITHIN + Duration::from_secs(1), "{:?}", begun.elapsed());
            for stream in taken {
                let answer = rest(stream).await;
                assert!(said == large || !answer.contains("200"), "it is closed");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_when_somebody_waits_and_a_busy_one_after_its_answer() {
        let (at, _stop, _) = served().await;
        let taken = taken(at, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let begun = Instant::now();
        for _ in 0..MOST {
            assert!(
                rest(ask(at, ROOT).await).await.ends_with("ok"),
                "everybody is served as if nobody else were there"
            );
        }
        assert!(begun.elapsed() < WAITS, "{:?}", begun.elapsed());
        for stream in taken {
            assert!(rest(stream).await.ends_with("ok"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_hold_the_spare_connections_hold_them_for_a_second() {
        let (at, _stop, _) = served().await;
        let taken = taken(at, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut silent = Vec::new();
        for _ in 0..SPARE {
            silent.push(ask(at, "").await);
        }
        let begun = Instant::now();
        let answer = rest(ask(at, LIVEZ).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(begun.elapsed() <= WAITS * 2 + SPARE_LIFE, "{:?}", begun.elapsed());
        drop((taken, silent));
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

    /// By the clock of the machine: a clock that is set goes on while the kernel has what is to be sent.
    #[tokio::test]
    async fn at_the_end_requests_in_hand_are_answered_and_idle_connections_are_closed() {
        let (at, stop, serving) = served().await;
        let mut large = ask(at, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut first = [0; 1024];
        large.read_exact(&mut first).await.unwrap();
        let mut idle = ask(at, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_ne!(idle.read(&mut first).await.unwrap(), 0, "it is served, and has had its answer");
        drop(stop);
        let (large, idle) = tokio::join!(rest(large), rest(idle));
        assert!(large.len() > (64 << 20) - first.len(), "{}", large.len());
        assert_eq!(idle, "");
        serving.await.unwrap();
        assert!(TcpStream::connect(at).await.is_err(), "nobody listens any more");
    }
}
