//! Where a subnet leads, by its route table: what decides whether a function in it reaches the internet.

use crate::cloud::Route;

/// What stands at the end of a subnet's default route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WayOut {
    /// A NAT gateway.
    Nat,
    /// A transit gateway, or a core network: what is behind it is not seen.
    TransitGateway,
    /// A virtual private gateway, and so somebody's own network.
    VirtualGateway,
    /// The endpoint of a firewall or of another appliance behind a load balancer.
    Endpoint,
    /// An instance or an interface: a NAT instance, for example.
    Appliance,
    /// Out for IPv6 alone, by an egress-only internet gateway for example; for IPv4 there is no default route.
    Ipv6Only,
    /// A peered VPC, whose gateways AWS keeps for itself.
    Peering,
    /// An internet gateway. It takes only senders with a public address, and a function's interface has none.
    InternetGateway,
    /// There is no default route.
    Nowhere,
    /// Something that is gone.
    Blackhole,
    /// Something that this program does not know.
    Strange,
    /// The route table cannot be seen, as in a VPC that another account shares.
    Unseen,
}

/// Whether a function gets to the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// As far as it is seen, it does.
    Out,
    /// It does not.
    Nowhere,
    /// Nobody can say.
    Unknown,
}

const ALL_IPV4: &str = "0.0.0.0/0";
const ALL_IPV6: &str = "::/0";

impl WayOut {
    /// Where these routes of a table lead.
    pub fn of(routes: &[Route]) -> Self {
        let default = |all: &str| routes.iter().find(|route| route.destination == all).map(Self::of_route);
        let internet_gateway = || routes.iter().map(Self::of_route).find(|way| *way == Self::InternetGateway);
        let for_ipv6 = || default(ALL_IPV6).filter(|way| way.leads(true) == Leads::Out).map(|_| Self::Ipv6Only);
        // A subnet is public where any route leads to an internet gateway, if only for some addresses.
        let to_some = || internet_gateway().or(for_ipv6());
        default(ALL_IPV4).or_else(to_some).unwrap_or(Self::Nowhere)
    }

    fn of_route(route: &Route) -> Self {
        let starts = |prefix: &str| route.target.starts_with(prefix);
        match () {
            () if route.blackhole => Self::Blackhole,
            () if starts("nat-") => Self::Nat,
            () if starts("tgw-") || starts("arn:") => Self::TransitGateway,
            () if starts("vgw-") => Self::VirtualGateway,
            () if starts("vpce-") => Self::Endpoint,
            () if starts("eni-") || starts("i-") => Self::Appliance,
            () if starts("eigw-") => Self::Ipv6Only,
            () if starts("pcx-") => Self::Peering,
            () if starts("igw-") => Self::InternetGateway,
            () => Self::Strange,
        }
    }

    /// Whether a function gets to the internet by it, one that may use IPv6 or one that may not.
    pub fn leads(self, ipv6: bool) -> Leads {
        match self {
            Self::Nat | Self::TransitGateway | Self::VirtualGateway | Self::Endpoint | Self::Appliance => Leads::Out,
            Self::Ipv6Only if ipv6 => Leads::Out,
            Self::Ipv6Only | Self::Peering | Self::InternetGateway | Self::Nowhere | Self::Blackhole => Leads::Nowhere,
            Self::Strange | Self::Unseen => Leads::Unknown,
        }
    }

    /// Where that is, after the word "leads".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Nat => "to a NAT gateway",
            Self::TransitGateway => "to a transit gateway",
            Self::VirtualGateway => "to a virtual private gateway",
            Self::Endpoint => "to the endpoint of a firewall",
            Self::Appliance => "to an appliance",
            Self::Ipv6Only => "out by IPv6 alone",
            Self::Peering => "to a peered VPC, which lets nobody through",
            Self::InternetGateway => "to an internet gateway, as public subnets do, which a function cannot use",
            Self::Nowhere => "nowhere, without a default route",
            Self::Blackhole => "into a blackhole, since the gateway of the default route is gone",
            Self::Strange => "where this program does not know",
            Self::Unseen => "where nobody can see, since only the VPC's owner sees the route table",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(destination: &str, target: &str) -> Route {
        Route { destination: destination.to_owned(), target: target.to_owned(), blackhole: false }
    }

    #[test]
    fn the_default_route_tells_where_a_subnet_leads() {
        for (target, expected, leads) in [
            ("nat-0a1b", WayOut::Nat, Leads::Out),
            ("tgw-0a1b", WayOut::TransitGateway, Leads::Out),
            ("arn:aws:networkmanager::123456789012:core-network/core-network-0a1b", WayOut::TransitGateway, Leads::Out),
            ("vgw-0a1b", WayOut::VirtualGateway, Leads::Out),
            ("vpce-0a1b", WayOut::Endpoint, Leads::Out),
            ("eni-0a1b", WayOut::Appliance, Leads::Out),
            ("i-0a1b", WayOut::Appliance, Leads::Out),
            ("pcx-0a1b", WayOut::Peering, Leads::Nowhere),
            ("igw-0a1b", WayOut::InternetGateway, Leads::Nowhere),
            ("lgw-0a1b", WayOut::Strange, Leads::Unknown),
            ("", WayOut::Strange, Leads::Unknown),
        ] {
            let mut routes =
                vec![route("10.0.0.0/16", "local"), route("pl-0a1b", "vpce-0a1b"), route(ALL_IPV4, target)];
            let way = WayOut::of(&routes);
            assert_eq!((way, way.leads(false)), (expected, leads), "{target}");
            routes[2].blackhole = true;
            assert_eq!(WayOut::of(&routes), WayOut::Blackhole, "{target}");
            routes.remove(2);
            assert_eq!(WayOut::of(&routes), WayOut::Nowhere, "{target}");
        }
    }

    #[test]
    fn without_a_default_route_some_routes_tell_all_the_same() {
        for (routes, expected) in [
            (vec![], WayOut::Nowhere),
            (vec![route("10.0.0.0/8", "nat-0a1b")], WayOut::Nowhere),
            (vec![route("203.0.113.0/24", "igw-0a1b")], WayOut::InternetGateway),
            (vec![route("203.0.113.0/24", "igw-0a1b"), route(ALL_IPV4, "nat-0a1b")], WayOut::Nat),
            (vec![route(ALL_IPV6, "eigw-0a1b")], WayOut::Ipv6Only),
            (vec![route(ALL_IPV6, "eigw-0a1b"), route(ALL_IPV4, "nat-0a1b")], WayOut::Nat),
            (vec![route(ALL_IPV6, "tgw-0a1b")], WayOut::Ipv6Only),
        ] {
            assert_eq!(WayOut::of(&routes), expected, "{routes:?}");
        }
        assert_eq!(WayOut::Ipv6Only.leads(true), Leads::Out);
        assert_eq!(WayOut::Ipv6Only.leads(false), Leads::Nowhere);
    }
}
