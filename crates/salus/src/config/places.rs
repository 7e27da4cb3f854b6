//! Addresses and files that a configuration names. A server that is to run
//! with it finds out here, and not once it has begun, that one is none.

use std::{net::Ipv6Addr, path::Path};

use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use super::{Config, Emulated};

/// Names the first setting that cannot be what it is for.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let server = &config.server;
    if !is_listening_place(&server.listen) {
        anyhow::bail!("server.listen is a host and a port, as in 127.0.0.1:8080");
    }
    if !server.internal_listen.is_empty() && !is_listening_place(&server.internal_listen) {
        anyhow::bail!("server.internal_listen is a host and a port, as in 127.0.0.1:8081");
    }
    if !server.public_url.is_empty() && !is_base(&server.public_url) {
        anyhow::bail!("server.public_url is a web address, as in https://salus.example");
    }
    for origin in &server.cors_origins {
        if !is_origin(origin) {
            anyhow::bail!(
                "server.cors_origins has {origin:?}; an origin is as in https://app.example"
            );
        }
    }
    let database = config.database.url.expose();
    let is_postgres = |url: Url| matches!(url.scheme(), "postgres" | "postgresql");
    if !database.is_empty() && !Url::parse(database).is_ok_and(is_postgres) {
        // The address has a password in it, so it is not told.
        anyhow::bail!("database.url is an address of PostgreSQL, as in postgres://host/database");
    }
    if EnvFilter::try_new(&config.telemetry.log).is_err() {
        anyhow::bail!("telemetry.log is a filter, as in info,sqlx=warn");
    }
    let collector = &config.telemetry.otlp_endpoint;
    if !collector.is_empty() && !is_base(collector) {
        anyhow::bail!("telemetry.otlp_endpoint is a web address, as in http://collector:4318");
    }
    for vendor in [Emulated::Stripe, Emulated::Erx, Emulated::OpenTok, Emulated::EasyPost] {
        let (setting, address) = config.address(vendor);
        if !address.is_empty() && !is_base(address) {
            anyhow::bail!("{setting} is a web address, as in https://vendor.example");
        }
    }
    let smtp = &config.smtp;
    if !mail::is_sender(&smtp.from) {
        anyhow::bail!("smtp.from is a sender, as in Salus <no-reply@salus.example>");
    }
    if smtp.security == "none" && !smtp.host.is_empty() && !mail::is_loopback(&smtp.host) {
        anyhow::bail!("smtp.security is starttls or tls for a server that is not on this machine");
    }
    for (setting, file) in [
        ("erx.ca_file", &config.erx.ca_file),
        ("smtp.ca_file", &config.smtp.ca_file),
        ("identity.breached_passwords", &config.identity.breached_passwords),
    ] {
        if let Some(file) = file
            && !is_readable(file)
        {
            anyhow::bail!("{setting} names {}, which cannot be read", file.display());
        }
    }
    Ok(())
}

fn is_readable(file: &Path) -> bool {
    file.is_file() && std::fs::File::open(file).is_ok()
}

/// `host:port`, the host a name, an IPv4 address or an IPv6 address in
/// brackets.
fn is_listening_place(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<Ipv6Addr>().is_ok(),
        None => !host.contains(':') && Host::parse(host).is_ok(),
    };
    is_host && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_web.then_some(url)
}

/// An address that others are made from by adding a path.
fn is_base(text: &str) -> bool {
    web_address(text).is_some_and(|url| url.query().is_none() && url.fragment().is_none())
}

/// What a browser says of the page that a request comes from.
fn is_origin(text: &str) -> bool {
    web_address(text).is_some_and(|url| url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.check().expect_err("it was accepted").to_string()
    }

    #[test]
    fn an_address_that_is_none_is_refused_by_the_name_of_its_setting() {
        for listen in ["abc", "", ":8080", "127.0.0.1", "127.0.0.1:65536", "::1:80", "a b:80"] {
            let told = refusal(|config| config.server.listen = listen.into());
            assert!(told.starts_with("server.listen "), "{listen}: {told}");
        }
        for url in ["notaurl", "ftp://salus.example", "https://", "https://salus.example?a=b"] {
            let told = refusal(|config| config.server.public_url = url.into());
            assert!(told.starts_with("server.public_url "), "{url}: {told}");
        }
        for origin in ["app", "https://app.example/", "https://app.example/page", "a\nb"] {
            let told = refusal(|config| config.server.cors_origins = vec![origin.into()]);
            assert!(told.starts_with("server.cors_origins "), "{origin}: {told}");
        }
        let told = refusal(|config| config.database.url = Secret::new("mysql://me:secret@db/x"));
        assert!(told.starts_with("database.url ") && !told.contains("secret"), "{told}");
        let told = refusal(|config| config.telemetry.log = "salus=loudly".into());
        assert!(told.starts_with("telemetry.log "), "{told}");
        let told = refusal(|config| config.telemetry.otlp_endpoint = "collector".into());
        assert!(told.starts_with("telemetry.otlp_endpoint "), "{told}");
        let told = refusal(|config| config.easypost.base_url = "vendor".into());
        assert!(told.starts_with("easypost.base_url "), "{told}");
        let told = refusal(|config| config.smtp.from = "Salus".into());
        assert!(told.starts_with("smtp.from "), "{told}");
        let told = refusal(|config| {
            config.smtp.host = "mail.example".into();
            config.smtp.security = "none".into();
        });
        assert!(told.starts_with("smtp.security "), "{told}");
        let told = refusal(|config| config.erx.ca_file = Some("/nowhere/at/all.pem".into()));
        assert!(told.starts_with("erx.ca_file "), "{told}");
    }

    #[test]
    fn every_sound_address_is_accepted() {
        let mut config = Config::default();
        for listen in ["127.0.0.1:0", "0.0.0.0:8080", "[::1]:80", "localhost:8080"] {
            config.server.listen = listen.into();
            config.check().unwrap();
        }
        config.server.public_url = "https://salus.example/".into();
        config.server.cors_origins =
            vec!["https://app.example".into(), "http://localhost:5173".into()];
        config.database.url = Secret::new("postgres:///salus?host=/run/postgresql");
        config.telemetry.otlp_endpoint = "http://collector:4318".into();
        config.stripe.base_url = "http://127.0.0.1:12111".into();
        config.check().unwrap();
    }
}
