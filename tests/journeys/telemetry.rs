//! Traces reach an OTLP collector, the last ones while the server stops.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

use crate::server::Server;

/// A collector that takes whatever is posted to it.
fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            let complete = |request: &[u8]| {
                let text = String::from_utf8_lossy(request).to_lowercase();
                let Some(end) = text.find("\r\n\r\n") else { return false };
                let length = text
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .and_then(|length| length.trim().parse::<usize>().ok());
                length.is_some_and(|length| request.len() >= end + 4 + length)
            };
            while !complete(&request) {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => request.extend_from_slice(&chunk[..read]),
                }
            }
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_and_the_server_ends_well() {
    let (url, spans) = collector();
    let mut server = Server::start_with(&[("SALUS_TELEMETRY__OTLP_ENDPOINT", &url)]);
    server.client.get("/api/categories").send().await.expect("an answer");
    assert!(server.stop(), "the server did not end well");
    let mut seen = String::new();
    while !seen.contains("/api/categories") {
        let post = spans.recv_timeout(Duration::from_secs(20)).expect("spans");
        assert!(post.starts_with(b"POST /v1/traces "));
        seen.push_str(&String::from_utf8_lossy(&post));
    }
}
