//! Where a runner may be: an address that somebody types must not reach what only this server can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::Uri;

use crate::problem::{Code, Problem};

/// An endpoint, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    host: String,
    port: u16,
    /// Whether the server's configuration names it, so that it may be anywhere.
    allowed: bool,
}

fn refused(why: impl std::fmt::Display) -> Problem {
    Problem::new(Code::RunnerRefused, format!("the runner's address {why}")).about("url")
}

/// Takes an address apart and checks what can be seen without asking anybody.
pub(super) fn parse(url: &str, allowed_hosts: &[String]) -> Result<Endpoint, Problem> {
    let uri: Uri = url.parse().map_err(|_| refused("is no URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(refused("must begin with https:// and name a host"));
    };
    if authority.as_str().contains('@') {
        return Err(refused("holds a user name or a password, which do not belong there"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let port = authority.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 });
    let named = format!("{host}:{port}");
    let allowed = allowed_hosts.iter().any(|allowed| *allowed == host || *allowed == named);
    if scheme != "https" && !(scheme == "http" && allowed) {
        return Err(refused("must begin with https://, unless gates.runner_hosts names its host"));
    }
    match host.parse::<IpAddr>() {
        Ok(address) if !allowed && !is_public(address) => Err(not_public()),
        _ => Ok(Endpoint { host, port, allowed }),
    }
}

fn not_public() -> Problem {
    refused("is not a public one, and gates.runner_hosts does not name its host")
}

impl Endpoint {
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Looks the host up. What is found is what is connected to: a name that answers otherwise the next time changes nothing.
    pub(super) async fn resolve(&self) -> Result<Vec<SocketAddr>, Problem> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found: Vec<_> = found.map_err(|_| refused("names a host that is not found"))?.collect();
        if found.is_empty() {
            return Err(refused("names a host without an address"));
        }
        if !self.allowed && !found.iter().all(|address| is_public(address.ip())) {
            return Err(not_public());
        }
        Ok(found)
    }
}

/// Whether an address is one of the public internet: none of the special-purpose ones of RFC 6890 and its registries.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        // Shared between a provider's customers, and benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        // Multicast, reserved, broadcast.
        || a >= 224)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Global unicast is 2000::/3; what carries an address of IPv4 within (mapped, 6to4, Teredo, NAT64) would lead around
    // this check, and documentation is nobody's.
    first & 0xe000 == 0x2000
        && first != 0x2002
        && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        && first & 0xfff0 != 0x3ff0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached_unless_named() {
        let named = ["localhost".to_owned(), "10.0.0.1:8080".to_owned()];
        for url in [
            "https://example.com/run",
            "https://8.8.8.8",
            "https://[2606:4700::1111]/",
            "http://localhost:1/x",
            "http://10.0.0.1:8080/",
        ] {
            assert!(parse(url, &named).is_ok(), "{url}");
        }
        for url in [
            "example.com",
            "ftp://example.com",
            "http://example.com",
            "https://user:pass@example.com",
            "https://127.0.0.1",
            "https://10.0.0.1",
            "http://10.0.0.1:8081",
            "https://169.254.169.254/latest",
            "https://[::1]",
            "https://100.64.0.1",
            "https://0.0.0.0",
            "https://[::ffff:127.0.0.1]",
            "https://[fe80::1]",
            "https://[fc00::1]",
            "https://[2002:7f00:1::]",
            "https://[64:ff9b::7f00:1]",
            "https://192.168.1.1",
            "https://172.16.0.1",
            "https://255.255.255.255",
            "",
        ] {
            assert_eq!(parse(url, &named).map_err(|p| p.code), Err(Code::RunnerRefused), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused() {
        let endpoint = parse("https://localhost/run", &[]).unwrap();
        assert_eq!(endpoint.resolve().await.map_err(|p| p.code), Err(Code::RunnerRefused));
        let endpoint = parse("https://localhost/run", &["localhost".to_owned()]).unwrap();
        assert!(endpoint.resolve().await.is_ok());
    }
}
