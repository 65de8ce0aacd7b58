//! Where a request comes from.
//!
//! 1. `X-Forwarded-For` and `X-Forwarded-Proto` are what a client likes them to be, unless a proxy of ours
//!    (`TRUSTED_PROXIES`) is the peer: then the proxy's own entries are at the right, and only those are believed.
//! 2. An IPv6 client has a whole /64 of addresses, so its requests are counted by that network. An IPv4 client that comes
//!    through an IPv6 socket (`::ffff:192.0.2.1`) is an IPv4 client.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use platform::config::Access;
use poem::http::HeaderMap;
use poem::http::uri::Scheme;
use poem::{Endpoint, FromRequest, Middleware, Request, RequestBody};

/// The bits of an IPv6 address that a provider gives to one client.
const NETWORK_BITS: u128 = !0 << 64;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    /// The client's address, as far as it can be believed.
    pub ip: IpAddr,
    /// By what its requests are counted.
    pub rate_key: RateKey,
    /// Whether the client spoke TLS, to us or to a trusted proxy.
    pub is_https: bool,
}

/// An address as requests are counted by it: IPv6 by its /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateKey(IpAddr);

impl RateKey {
    /// By what the requests of `ip` are counted.
    pub(super) fn of(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & NETWORK_BITS).into(),
        })
    }
}

impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

impl ClientAddress {
    /// Where `request` comes from, if the proxies of `access` can be trusted.
    pub fn of(request: &Request, access: &Access) -> Self {
        // Without a peer there is no network, as in tests: all such requests are one client's.
        let peer = request
            .remote_addr()
            .as_socket_addr()
            .map_or(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::ip);
        let is_tls = *request.scheme() == Scheme::HTTPS;
        Self::behind(peer, is_tls, request.headers(), access)
    }

    fn behind(peer: IpAddr, is_tls: bool, headers: &HeaderMap, access: &Access) -> Self {
        let peer = peer.to_canonical();
        let is_proxy = access.is_trusted_proxy(peer);
        let ip = if is_proxy {
            forwarded_for(peer, headers, access)
        } else {
            peer
        };
        Self {
            ip,
            rate_key: RateKey::of(ip),
            is_https: is_tls || (is_proxy && is_forwarded_https(headers)),
        }
    }
}

/// Goes from the right, where the nearest proxy wrote, to the left, as far as each writer can be believed: the first
/// address that is no proxy of ours is the client. What can't be read was not written by a proxy of ours: there it stops,
/// at the last address that is certain.
fn forwarded_for(peer: IpAddr, headers: &HeaderMap, access: &Access) -> IpAddr {
    let fields = headers.get_all("x-forwarded-for");
    let entries = fields
        .iter()
        .rev()
        .flat_map(|field| field.to_str().unwrap_or("?").rsplit(','));
    let mut believed = peer;
    for entry in entries {
        let Some(address) = address_of(entry.trim()) else {
            break;
        };
        believed = address;
        if !access.is_trusted_proxy(address) {
            break;
        }
    }
    believed
}

/// An address, with or without a port.
fn address_of(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || {
        let inner = entry.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::from)
    };
    let address = entry.parse().ok().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

/// What the nearest proxy, which writes at the right, says of the client's connection.
fn is_forwarded_https(headers: &HeaderMap) -> bool {
    let fields = headers.get_all("x-forwarded-proto");
    let nearest = fields.iter().next_back();
    nearest
        .and_then(|field| field.to_str().ok())
        .and_then(|field| field.rsplit(',').next())
        .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// Notes where each request comes from, for every layer and handler within: take [`ClientAddress`] as an argument.
#[derive(Debug, Clone)]
pub struct FindClient {
    /// Whose proxies are trusted.
    pub access: Arc<Access>,
}

impl<E: Endpoint> Middleware<E> for FindClient {
    type Output = FindClientEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        FindClientEndpoint {
            inner,
            access: Arc::clone(&self.access),
        }
    }
}

/// The endpoint behind [`FindClient`].
pub struct FindClientEndpoint<E> {
    inner: E,
    access: Arc<Access>,
}

impl<E: Endpoint> Endpoint for FindClientEndpoint<E> {
    type Output = E::Output;

    // No future of its own: it would hold the inner one once more.
    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<Self::Output>> + Send {
        let client = ClientAddress::of(&request, &self.access);
        request.set_data(client);
        self.inner.call(request)
    }
}

/// The client of a request that [`FindClient`] has seen. A request that it has not seen came from nowhere.
pub(crate) fn client_of(request: &Request) -> ClientAddress {
    let nowhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    request.data::<ClientAddress>().copied().unwrap_or(ClientAddress {
        ip: nowhere,
        rate_key: RateKey::of(nowhere),
        is_https: false,
    })
}

impl<'a> FromRequest<'a> for ClientAddress {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(client_of(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::test_access::access;
    use poem::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    const PROXIES: (&str, &str) = ("TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8:ffff::/48");

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let name = HeaderName::from_static(name);
        let values = values
            .iter()
            .map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap());
        values.map(|value| (name.clone(), value)).collect()
    }

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let headers = headers("x-forwarded-for", forwarded);
        let access = access(&[PROXIES]);
        ClientAddress::behind(peer.parse().unwrap(), false, &headers, &access)
            .ip
            .to_string()
    }

    /// Name, peer, fields of `X-Forwarded-For`, client.
    const FORWARDED: &[(&str, &str, &[&str], &str)] = &[
        ("no proxy", "203.0.113.9", &[], "203.0.113.9"),
        (
            "a stranger's word",
            "203.0.113.9",
            &["198.51.100.1"],
            "203.0.113.9",
        ),
        (
            "a stranger's word about a proxy",
            "203.0.113.9",
            &["10.0.0.1"],
            "203.0.113.9",
        ),
        ("a proxy's word", "10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
        (
            "a spoofed entry before the proxy's",
            "10.0.0.1",
            &["198.51.100.1, 203.0.113.9"],
            "203.0.113.9",
        ),
        (
            "a spoofed trusted entry",
            "10.0.0.1",
            &["10.9.9.9, 203.0.113.9"],
            "203.0.113.9",
        ),
        (
            "spoofed in a field of its own",
            "10.0.0.1",
            &["198.51.100.1", "203.0.113.9"],
            "203.0.113.9",
        ),
        (
            "two proxies",
            "10.0.0.1",
            &["203.0.113.9, 10.0.0.2"],
            "203.0.113.9",
        ),
        (
            "two proxies, two fields",
            "10.0.0.1",
            &["1.1.1.1,203.0.113.9", "10.0.0.2"],
            "203.0.113.9",
        ),
        ("a proxy that says nothing", "10.0.0.1", &[], "10.0.0.1"),
        ("proxies alone", "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("with a port", "10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
        ("IPv6", "10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
        ("IPv6 in brackets", "10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
        (
            "IPv6 with a port",
            "10.0.0.1",
            &["[2001:db8::7]:443"],
            "2001:db8::7",
        ),
        (
            "an IPv6 proxy",
            "2001:db8:ffff::1",
            &["203.0.113.9"],
            "203.0.113.9",
        ),
        (
            "mapped",
            "::ffff:10.0.0.1",
            &["::ffff:203.0.113.9"],
            "203.0.113.9",
        ),
        ("garbage", "10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
        (
            "garbage after a proxy",
            "10.0.0.1",
            &["203.0.113.9, \u{fffd}, 10.0.0.2"],
            "10.0.0.1",
        ),
        (
            "garbage before a proxy",
            "10.0.0.1",
            &["_hidden, 10.0.0.2"],
            "10.0.0.2",
        ),
        (
            "nothing between commas",
            "10.0.0.1",
            &["203.0.113.9,,10.0.0.2"],
            "10.0.0.2",
        ),
        ("an empty field", "10.0.0.1", &[""], "10.0.0.1"),
        ("no host names", "10.0.0.1", &["localhost"], "10.0.0.1"),
    ];

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        for (name, peer, forwarded, expected) in FORWARDED {
            assert_eq!(client(peer, forwarded), *expected, "{name}");
        }
    }

    #[test]
    fn without_trusted_proxies_nobody_is_believed() {
        let headers = headers("x-forwarded-for", &["198.51.100.1"]);
        for peer in ["127.0.0.1", "::1", "10.0.0.1"] {
            let found = ClientAddress::behind(peer.parse().unwrap(), false, &headers, &access(&[]));
            assert_eq!(found.ip.to_string(), peer);
        }
    }

    #[test]
    fn only_a_trusted_proxy_can_say_that_the_client_spoke_tls() {
        for (peer, is_tls, fields, expected) in [
            ("203.0.113.9", false, &["https"][..], false),
            ("203.0.113.9", true, &["http"], true),
            ("10.0.0.1", false, &[], false),
            ("10.0.0.1", false, &["https"], true),
            ("10.0.0.1", false, &["HTTPS"], true),
            ("10.0.0.1", false, &["http"], false),
            ("10.0.0.1", false, &["https, http"], false),
            ("10.0.0.1", false, &["http, https"], true),
            ("10.0.0.1", false, &["https", "http"], false),
            ("10.0.0.1", false, &["httpsx"], false),
            ("10.0.0.1", false, &[""], false),
        ] {
            let headers = headers("x-forwarded-proto", fields);
            let found = ClientAddress::behind(peer.parse().unwrap(), is_tls, &headers, &access(&[PROXIES]));
            assert_eq!(found.is_https, expected, "{peer} {is_tls} {fields:?}");
        }
    }

    #[test]
    fn requests_are_counted_by_the_network_that_a_client_has() {
        let key = |ip: &str| RateKey::of(ip.parse::<IpAddr>().unwrap().to_canonical()).to_string();
        assert_eq!(key("203.0.113.9"), "203.0.113.9");
        assert_eq!(key("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2:ffff::"), "2001:db8:1:2::/64");
        assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
    }

    proptest! {
        #[test]
        fn whatever_a_client_sends_the_proxys_own_entry_decides(sent in "[ -~]{0,40}") {
            let own = "203.0.113.9";
            let with_own = format!("{sent}, {own}");
            for values in [&[with_own.as_str()][..], &[&sent, &with_own], &[&sent, own]] {
                prop_assert_eq!(client("10.0.0.1", values), own);
                prop_assert_eq!(client(own, values), own);
            }
        }
    }
}
