//! The edge: takes connections and holds each to its time. A client that sends
//! half a header, nothing at all, or takes none of its answer holds a place
//! that others need, so it is cut; one whose data flows is not, however long
//! that takes. Bodies have a pace of their own (`rest::core::Pace`).

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use kernel::actor::network;
use poem::{
    Addr, Endpoint, EndpointExt as _, Request, Response,
    endpoint::{DynEndpoint, ToDynEndpoint},
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use rest::core::Proxies;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::Connections;

/// How many requests of one HTTP/2 connection are answered at a time.
const STREAMS: u32 = 64;
/// The largest header of a request, in bytes.
const HEADER_BYTES: usize = 16 * 1024;
/// How long to wait where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

type Surface = Arc<dyn DynEndpoint<Output = Response>>;

/// Serves until `stop`, then lets what was begun end for as long as `drain`.
pub async fn serve(
    listener: TcpListener,
    endpoint: impl Endpoint + 'static,
    settings: Connections,
    proxies: Proxies,
    stop: CancellationToken,
    drain: Duration,
) {
    let surface: Surface = Arc::new(ToDynEndpoint(endpoint.map_to_response()));
    let held = Arc::new(Held::default());
    let (tasks, give_up) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let (socket, peer) = tokio::select! {
            () = stop.cancelled() => break,
            taken = listener.accept() => match taken {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not taken");
                    tokio::time::sleep(NO_ROOM).await;
                    continue;
                }
            },
        };
        let address = peer.ip().to_canonical();
        let most = if proxies.knows(address) { settings.total } else { settings.per_address };
        let Some(place) = Held::take(&held, network(address), most, settings.total) else {
            metrics::counter!("http_connections_refused_total").increment(1);
            continue;
        };
        let local = LocalAddr(
            socket
                .local_addr()
                .map_or_else(|_| Addr::Custom("tcp", "unknown".into()), Addr::SocketAddr),
        );
        let connection = Connection {
            surface: surface.clone(),
            local,
            remote: RemoteAddr(Addr::SocketAddr(peer)),
            watch: Arc::new(Watch::new()),
            header: settings.header(),
            idle: settings.idle(),
        };
        let (stop, give_up) = (stop.clone(), give_up.clone());
        tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                () = connection.run(socket, stop) => {}
                () = give_up.cancelled() => {}
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
        give_up.cancel();
        tasks.wait().await;
    }
}

/// How many connections each address holds.
#[derive(Default)]
struct Held(Mutex<HashMap<IpAddr, usize>>);

/// A place among the connections, given back when it is dropped.
struct Place {
    held: Arc<Held>,
    address: IpAddr,
}

impl Held {
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(held: &Arc<Self>, address: IpAddr, most: usize, total: usize) -> Option<Place> {
        let mut counts = held.counts();
        let all: usize = counts.values().sum();
        let own = counts.get(&address).copied().unwrap_or_default();
        if own >= most || all >= total {
            return None;
        }
        counts.insert(address, own + 1);
        metrics::gauge!("http_connections").set((all + 1) as f64);
        drop(counts);
        Some(Place { held: held.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.held.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
        metrics::gauge!("http_connections").set(counts.values().sum::<usize>() as f64);
    }
}

struct Connection {
    surface: Surface,
    local: LocalAddr,
    remote: RemoteAddr,
    watch: Arc<Watch>,
    header: Duration,
    idle: Duration,
}

impl Connection {
    async fn run(self, socket: TcpStream, stop: CancellationToken) {
        // Small answers are not held back for larger ones.
        let _ = socket.set_nodelay(true);
        let Self { surface, local, remote, watch, header, idle } = self;
        let io = TokioIo::new(Watched { socket, watch: watch.clone() });
        let service = hyper::service::service_fn({
            let watch = watch.clone();
            move |request: hyper::Request<Incoming>| {
                let asked = Asked::begin(&watch, request.version());
                let whole = (request, local.clone(), remote.clone(), Scheme::HTTP);
                let surface = surface.clone();
                async move {
                    let response = surface.get_response(Request::from(whole)).await;
                    let response: hyper::Response<Inner> = response.into();
                    let answer = response.map(|body| Answer { body, asked });
                    Ok::<_, Infallible>(answer)
                }
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_BYTES as u32)
            .keep_alive_interval(idle)
            .keep_alive_timeout(header);
        let serving = builder.serve_connection(io, service);
        tokio::pin!(serving);
        let watching = watch.until_cut(header, idle);
        tokio::pin!(watching);
        tokio::select! {
            _ = &mut serving => return,
            why = &mut watching => return cut(why),
            () = stop.cancelled() => {}
        }
        serving.as_mut().graceful_shutdown();
        tokio::select! {
            _ = &mut serving => {}
            why = &mut watching => cut(why),
        }
    }
}

fn cut(why: &'static str) {
    metrics::counter!("http_connections_cut_total", "reason" => why).increment(1);
}

/// What a connection is at.
struct Watch(Mutex<State>);

struct State {
    /// Requests whose answers are not yet given out whole.
    requests: usize,
    /// When the header that is being read began: the connection itself, or the
    /// first byte after an answer.
    header_since: Option<Instant>,
    /// When there was last something to do.
    active: Instant,
    /// Since when the client has not taken what is there for it.
    blocked_since: Option<Instant>,
    /// Requests come beside each other, so that bytes between them are no
    /// beginning of a header.
    is_http2: bool,
}

impl Watch {
    fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            requests: 0,
            header_since: Some(now),
            active: now,
            blocked_since: None,
            is_http2: false,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the connection has to be cut, and says why.
    async fn until_cut(&self, header: Duration, idle: Duration) -> &'static str {
        let often = (header.min(idle) / 4).min(Duration::from_secs(1));
        loop {
            tokio::time::sleep(often).await;
            if let Some(why) = self.state().fault(header, idle) {
                return why;
            }
        }
    }
}

impl State {
    fn fault(&self, header: Duration, idle: Duration) -> Option<&'static str> {
        if self.blocked_since.is_some_and(|since| since.elapsed() > idle) {
            return Some("answer_not_taken");
        }
        if self.requests > 0 {
            return None;
        }
        if self.header_since.is_some_and(|since| since.elapsed() > header) {
            return Some("header");
        }
        (self.active.elapsed() > idle).then_some("idle")
    }

    fn wrote(&mut self) {
        // Answers to pings are written as well: they keep no connection open.
        if !self.is_http2 {
            self.active = Instant::now();
        }
        self.blocked_since = None;
    }

    fn blocked(&mut self) {
        self.blocked_since.get_or_insert_with(Instant::now);
    }
}

/// A request from its header to the end of its answer.
struct Asked(Arc<Watch>);

impl Asked {
    fn begin(watch: &Arc<Watch>, version: hyper::Version) -> Self {
        let mut state = watch.state();
        state.requests += 1;
        state.header_since = None;
        state.is_http2 = version == hyper::Version::HTTP_2;
        drop(state);
        Self(watch.clone())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        state.active = Instant::now();
        if state.is_http2 {
            state.blocked_since = None;
        }
    }
}

/// The socket, whose reads and writes are watched.
struct Watched {
    socket: TcpStream,
    watch: Arc<Watch>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        if read.is_ready() && buffer.filled().len() > before {
            let mut state = self.watch.state();
            if state.requests == 0 && !state.is_http2 {
                state.header_since.get_or_insert_with(Instant::now);
            }
        }
        read
    }
}

impl Watched {
    fn seen<T>(&self, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &wrote {
            Poll::Ready(_) => self.watch.state().wrote(),
            Poll::Pending => self.watch.state().blocked(),
        }
        wrote
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.seen(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.seen(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

type Inner = http_body_util::combinators::BoxBody<bytes::Bytes, io::Error>;

/// The body of an answer. It is asked for more when the client has room, so
/// that one which is not asked waits for the client, and one which has nothing
/// yet waits for us.
struct Answer {
    body: Inner,
    asked: Asked,
}

impl Body for Answer {
    type Data = bytes::Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let mut state = self.asked.0.state();
        state.active = Instant::now();
        if state.is_http2 {
            // The socket takes pings and windows while an answer stands still.
            state.blocked_since = polled.is_ready().then(Instant::now);
        }
        drop(state);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
