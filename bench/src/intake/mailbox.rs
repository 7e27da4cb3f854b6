//! A mail server that takes everything and keeps nothing.

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// Listens on loopback for as long as the runtime lives, and gives its port.
pub async fn open() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listening for mails")?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that breaks off hands the mail over again.
            tokio::spawn(async move { session(stream).await.ok() });
        }
    });
    Ok(port)
}

async fn session(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 localhost ESMTP\r\n").await?;
    let (mut line, mut within_a_mail) = (String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let text = line.trim_end();
        let reply: &[u8] = if within_a_mail {
            if text != "." {
                continue;
            }
            within_a_mail = false;
            b"250 2.0.0 Taken\r\n"
        } else {
            match text.split(' ').next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" => b"250-localhost\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                "DATA" => {
                    within_a_mail = true;
                    b"354 Go on\r\n"
                }
                "QUIT" => {
                    return stream.write_all(b"221 2.0.0 Goodbye\r\n").await;
                }
                _ => b"250 2.0.0 OK\r\n",
            }
        };
        stream.write_all(reply).await?;
    }
}
