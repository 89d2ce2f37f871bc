//! `probe`: the health check of an image that has no shell and no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use super::{Failure, Health, exit, print};

/// The daemon answers at once, or something is wrong.
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn run(listen: SocketAddr, health: Health) -> Result<ExitCode, Failure> {
    let url = format!("http://{}/{}", reached(listen), health.name());
    let agent = super::asking_daemons(DEADLINE);
    let gone = |error: ureq::Error| Failure::Other(format!("no daemon answers at {url}: {error}; pass --listen"));
    let mut response = agent.get(&url).call().map_err(gone)?;
    let said = response.body_mut().read_to_string().map_err(gone)?;
    print::out(&said)?;
    Ok(if response.status().is_success() { exit::FINE } else { exit::ERROR })
}

/// Where one who listens here is reached from the same machine: every address means the loopback interface, too.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_at_home() {
        for (listen, expected) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("127.0.0.1:9464", "127.0.0.1:9464"),
        ] {
            assert_eq!(reached(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
