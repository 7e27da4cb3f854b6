//! The edge: which proxies are believed, and how long and how many connections
//! are held.

use std::time::Duration;

use ipnet::IpNet;
use rest::core::{Pace, Proxies};
use serde::{Deserialize, Serialize};

use super::Server;

/// What a connection may take. Times are in seconds and may have a fraction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// From the first byte of a request to the end of its header, and from the
    /// beginning of a connection to the end of its first header.
    pub header_seconds: f64,
    /// What every body has before its rate counts.
    pub body_grace_seconds: f64,
    /// What a body has to bring after that, in bytes a second.
    pub body_bytes_per_second: u64,
    /// How long a connection may rest between requests, and how long a client
    /// may take none of its answer.
    pub idle_seconds: f64,
    /// How many connections one address (or IPv6 network) holds at a time; the
    /// proxies that are trusted hold as many as there are.
    pub per_address: usize,
    /// How many there are in all.
    pub total: usize,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            header_seconds: 10.0,
            body_grace_seconds: 10.0,
            body_bytes_per_second: 500,
            idle_seconds: 60.0,
            per_address: 100,
            total: 800,
        }
    }
}

impl Connections {
    /// For a server whose callers all sit on one machine.
    pub fn relax_for_a_demo(&mut self) {
        if self.per_address == Self::default().per_address {
            self.per_address = self.total;
        }
    }

    pub fn header(&self) -> Duration {
        Duration::from_secs_f64(self.header_seconds)
    }

    pub fn idle(&self) -> Duration {
        Duration::from_secs_f64(self.idle_seconds)
    }

    pub fn pace(&self) -> Pace {
        Pace {
            grace: Duration::from_secs_f64(self.body_grace_seconds),
            bytes_per_second: self.body_bytes_per_second,
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        for (setting, seconds) in [
            ("header_seconds", self.header_seconds),
            ("body_grace_seconds", self.body_grace_seconds),
            ("idle_seconds", self.idle_seconds),
        ] {
            if !(0.1..=3_600.0).contains(&seconds) {
                anyhow::bail!("server.connections.{setting} is 0.1 to 3600");
            }
        }
        for (setting, count) in [
            ("body_bytes_per_second", self.body_bytes_per_second),
            ("per_address", self.per_address as u64),
            ("total", self.total as u64),
        ] {
            if count == 0 {
                anyhow::bail!("server.connections.{setting} is at least 1");
            }
        }
        Ok(())
    }
}

impl Server {
    /// Whose word on where a request comes from is taken.
    pub fn proxies(&self) -> anyhow::Result<Proxies> {
        if self.trust_proxy.is_some() {
            anyhow::bail!(
                "server.trust_proxy is gone, for it believed whatever a caller wrote; name the \
                 networks of your proxies in server.trusted_proxies, or how many of them a \
                 request passes in server.proxy_hops"
            );
        }
        let header = self.proxy_header;
        match (self.trusted_proxies.as_slice(), self.proxy_hops) {
            ([], 0) => Ok(Proxies::None),
            ([], hops) => Ok(Proxies::Hops(hops, header)),
            (networks, 0) => {
                let networks = networks.iter().map(|text| network(text)).collect::<Result<_, _>>();
                Ok(Proxies::Networks(networks?, header))
            }
            _ => anyhow::bail!("server.trusted_proxies or server.proxy_hops is set, not both"),
        }
    }

    pub(super) fn check_edge(&self) -> anyhow::Result<()> {
        self.connections.check()?;
        self.proxies().map(drop)
    }
}

/// A network, or one address.
fn network(text: &str) -> anyhow::Result<IpNet> {
    let one = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| one()).map_err(|_| {
        anyhow::anyhow!("server.trusted_proxies has {text:?}; a network is as in 10.0.0.0/8")
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.check().expect_err("it was accepted").to_string()
    }

    #[test]
    fn proxies_are_networks_or_hops() {
        let told = refusal(|config| config.server.trusted_proxies = vec!["10.0.0.0/40".into()]);
        assert!(told.starts_with("server.trusted_proxies "), "{told}");
        let told = refusal(|config| {
            config.server.trusted_proxies = vec!["10.0.0.1".into()];
            config.server.proxy_hops = 1;
        });
        assert!(told.contains("not both"), "{told}");
        let mut config = Config::default();
        config.server.trusted_proxies = vec!["10.0.0.1".into(), "2001:db8::/32".into()];
        config.check().unwrap();
    }

    #[test]
    fn the_old_setting_is_refused_and_says_what_replaces_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[server]\ntrust_proxy = true\n").unwrap();
        let told = Config::load(Some(file.path().to_owned())).unwrap_err().to_string();
        assert!(told.contains("server.trusted_proxies"), "{told}");
        assert!(told.contains("server.proxy_hops"), "{told}");
    }

    #[test]
    fn a_limit_that_is_none_is_refused() {
        let told = refusal(|config| config.server.connections.header_seconds = 0.0);
        assert!(told.starts_with("server.connections.header_seconds "), "{told}");
        let told = refusal(|config| config.server.connections.total = 0);
        assert!(told.starts_with("server.connections.total "), "{told}");
    }
}
