//! Which address a request comes from, behind proxies. Each proxy adds at the
//! right of one header whom it heard from; what stands left of the entries of
//! proxies that are known was written by the caller, and counts for nothing.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::http::{HeaderMap, HeaderName, header};

/// Who may say where a request comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxies {
    /// Nobody: a request comes from whoever holds the connection.
    #[default]
    None,
    /// The proxies in these networks.
    Networks(Vec<IpNet>, ProxyHeader),
    /// This many proxies, one after the other, whatever their addresses.
    Hops(usize, ProxyHeader),
}

/// The one header that the proxies write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl Proxies {
    /// Whether connections from there are those of a known proxy, which holds
    /// many for all its callers.
    pub fn knows(&self, peer: IpAddr) -> bool {
        match self {
            Self::None => false,
            Self::Networks(networks, _) => contains(networks, peer),
            Self::Hops(..) => true,
        }
    }

    /// The address that a request comes from, of one that `peer` sent.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        match self {
            Self::None => peer,
            Self::Networks(networks, header) => {
                let mut nearest = peer;
                let mut entries = header.entries(headers).into_iter().rev();
                while contains(networks, nearest) {
                    // An entry that is no address ends what is known.
                    match entries.next() {
                        Some(Some(address)) => nearest = address,
                        Some(None) | None => break,
                    }
                }
                nearest
            }
            Self::Hops(hops, header) => {
                let entries = header.entries(headers);
                let at = entries.len().checked_sub(*hops);
                at.and_then(|at| entries.get(at).copied().flatten()).unwrap_or(peer)
            }
        }
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address.to_canonical()))
}

impl ProxyHeader {
    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => header::FORWARDED,
        }
    }

    /// The entries from left to right; `None` is one that names no address.
    fn entries(self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let mut entries = Vec::new();
        for line in headers.get_all(self.name()) {
            let Ok(line) = line.to_str() else {
                entries.push(None);
                continue;
            };
            match self {
                Self::XForwardedFor => entries.extend(line.split(',').map(address)),
                Self::Forwarded => {
                    let elements = from_the_right(line, ',').into_iter().rev();
                    entries.extend(elements.map(forwarded_for));
                }
            }
        }
        entries
    }
}

/// The parts of a text that lie outside quotes, the last first. A caller who
/// opens a quote and never closes it swallows nothing that stands to its right.
fn from_the_right(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut end, mut quoted) = (Vec::new(), text.len(), false);
    for (at, character) in text.char_indices().rev() {
        if character == '"' {
            quoted = !quoted;
        } else if character == separator && !quoted {
            parts.push(&text[at + character.len_utf8()..end]);
            end = at;
        }
    }
    parts.push(&text[..end]);
    parts
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    let value = from_the_right(element, ';').into_iter().find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })?;
    address(value.trim().trim_matches('"'))
}

/// An address as proxies write one: with or without a port, IPv6 with or
/// without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seen(proxies: &Proxies, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        proxies.client(ip(peer), &headers).to_string()
    }

    #[test]
    fn without_a_known_proxy_no_header_counts() {
        let said = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=198.51.100.8")];
        assert_eq!(seen(&Proxies::None, "192.0.2.1", &said), "192.0.2.1");
        let networks =
            Proxies::Networks(vec!["10.0.0.0/8".parse().unwrap()], ProxyHeader::default());
        assert_eq!(seen(&networks, "192.0.2.1", &said), "192.0.2.1");
        // Nor does a header that the proxies do not write.
        let others = [("forwarded", "for=198.51.100.8"), ("x-real-ip", "198.51.100.9")];
        assert_eq!(seen(&networks, "10.0.0.1", &others), "10.0.0.1");
    }

    #[test]
    fn known_networks_are_walked_from_the_right() {
        let networks = ["10.0.0.0/8", "2001:db8:1::/48"].map(|text| text.parse().unwrap());
        let proxies = Proxies::Networks(networks.to_vec(), ProxyHeader::XForwardedFor);
        let from = |value: &str| seen(&proxies, "10.0.0.1", &[("x-forwarded-for", value)]);
        assert_eq!(from("198.51.100.7"), "198.51.100.7");
        assert_eq!(from("1.1.1.1, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(from("1.1.1.1,198.51.100.7:4711, [2001:db8:1::5]:80"), "198.51.100.7");
        assert_eq!(from("::ffff:198.51.100.7"), "198.51.100.7");
        // What is no address hides nobody behind an invented one.
        assert_eq!(from("1.1.1.1, unknown"), "10.0.0.1");
        assert_eq!(from("1.1.1.1, nonsense, 10.0.0.3"), "10.0.0.3");
        let twice = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(seen(&proxies, "10.0.0.1", &twice), "198.51.100.7");
        assert_eq!(seen(&proxies, "::ffff:10.0.0.1", &twice), "198.51.100.7");
    }

    #[test]
    fn hops_are_counted_from_the_right() {
        let from = |hops, value: &str| {
            let proxies = Proxies::Hops(hops, ProxyHeader::XForwardedFor);
            seen(&proxies, "192.0.2.1", &[("x-forwarded-for", value)])
        };
        assert_eq!(from(1, "1.1.1.1, 198.51.100.7"), "198.51.100.7");
        assert_eq!(from(2, "1.1.1.1, 198.51.100.7, 192.0.2.9"), "198.51.100.7");
        assert_eq!(from(3, "198.51.100.7"), "192.0.2.1");
        assert_eq!(from(1, "1.1.1.1, unknown"), "192.0.2.1");
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotes() {
        let proxies = Proxies::Hops(1, ProxyHeader::Forwarded);
        let from = |value: &str| seen(&proxies, "192.0.2.1", &[("forwarded", value)]);
        assert_eq!(from("for=1.1.1.1, proto=https;for=198.51.100.7;by=10.0.0.1"), "198.51.100.7");
        assert_eq!(from("For=\"[2001:db8:cafe::17]:4711\""), "2001:db8:cafe::17");
        // A quote that a caller leaves open.
        assert_eq!(from("for=\"1.1.1.1, for=198.51.100.7"), "198.51.100.7");
        assert_eq!(from("for=1.1.1.1, for=_hidden"), "192.0.2.1");
        assert_eq!(from("for=1.1.1.1, for=\"a,b\""), "192.0.2.1");
    }
}
