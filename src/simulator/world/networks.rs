//! The networks of a world: VPCs with what is in them.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Builder, derived, tags};
use super::{DeclaredEndpoint, DeclaredSecurityGroup, DeclaredSubnet, DeclaredVpc, DefaultRoute, Problem};
use crate::cloud::{Route, Tags};
use crate::names::{AccountId, Region, ScopeKey, SecurityGroupId, SubnetId, VpcId};
use crate::simulator::account::{Endpoint, RouteTable, SecurityGroup, Subnet, Vpc};

/// The free addresses of a fresh /24: AWS keeps five.
const FRESH: u32 = 251;

/// A declared VPC: where it is, and the subnets that were put into it.
pub(super) struct Place {
    at: ScopeKey,
    owner: AccountId,
    /// The first two numbers of its addresses.
    prefix: String,
    /// Where its main table leads.
    way: DefaultRoute,
    subnets: BTreeMap<SubnetId, DefaultRoute>,
}

impl Place {
    /// The tags that are seen: none in a VPC that another account shares.
    fn shown(&self, tags: Tags) -> Tags {
        if self.owner == self.at.account { tags } else { Tags::new() }
    }
}

impl DefaultRoute {
    /// The prefix of the id that stands in the route.
    fn prefix(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Nat | Self::Blackhole => Some("nat"),
            Self::TransitGateway => Some("tgw"),
            Self::VirtualGateway => Some("vgw"),
            Self::Firewall => Some("vpce"),
            Self::Appliance => Some("eni"),
            Self::Peering => Some("pcx"),
            Self::InternetGateway => Some("igw"),
        }
    }
}

impl Builder {
    pub(super) fn vpc(&mut self, it: &DeclaredVpc) -> Result<(), Problem> {
        let id = VpcId::parse(&it.id)?;
        let at = self.scope(it.account.as_ref(), it.region.as_ref())?;
        let cidr = it.cidr.clone().unwrap_or_else(|| format!("10.{}.0.0/16", self.vpcs.len() % 256));
        let prefix = cidr.split('.').take(2).collect::<Vec<_>>().join(".");
        let owner = it.owner.as_deref().map_or_else(|| Ok(at.account.clone()), AccountId::parse)?;
        let place = Place {
            at: at.clone(),
            owner: owner.clone(),
            prefix,
            way: it.default_route.unwrap_or(if it.default {
                DefaultRoute::InternetGateway
            } else {
                DefaultRoute::None
            }),
            subnets: BTreeMap::new(),
        };
        let tags = place.shown(tags(it.name.as_ref(), &it.tags));
        if self.vpcs.insert(id.clone(), place).is_some() {
            return Err(Problem("this id is declared twice".to_owned()));
        }
        let group = it.default_security_group.clone().unwrap_or_else(|| derived("sg", &it.id));
        self.aws.add_security_group(
            &at,
            SecurityGroup {
                id: SecurityGroupId::parse(&group)?,
                vpc: id.clone(),
                owner: owner.clone(),
                name: "default".to_owned(),
                description: "default VPC security group".to_owned(),
                tags: Tags::new(),
                lets_out: true,
                associated: BTreeSet::new(),
                shared: false,
            },
        )?;
        self.aws.add_vpc(
            &at,
            Vpc {
                id,
                owner,
                cidr,
                tags,
                dedicated: it.dedicated,
                default: it.default,
                encrypted_only: it.encrypted_only,
            },
        )?;
        Ok(())
    }

    fn place(&mut self, vpc: &str) -> Result<(VpcId, &mut Place), Problem> {
        let id = VpcId::parse(vpc)?;
        let undeclared = || Problem(format!("the VPC {vpc} is not declared"));
        let place = self.vpcs.get_mut(&id).ok_or_else(undeclared)?;
        Ok((id, place))
    }

    pub(super) fn subnet(&mut self, it: &DeclaredSubnet) -> Result<(), Problem> {
        let id = SubnetId::parse(&it.id)?;
        let (vpc, place) = self.place(&it.vpc)?;
        let number = place.subnets.len();
        let cidr = it.cidr.clone().unwrap_or_else(|| format!("{}.{}.0/24", place.prefix, number % 256));
        let zone = zone_letter(it.zone.as_deref(), &place.at.region, number)?;
        let way = it.default_route.unwrap_or(match (it.public, place.way) {
            (true, _) => DefaultRoute::InternetGateway,
            (false, DefaultRoute::InternetGateway) => DefaultRoute::None,
            (false, way) => way,
        });
        place.subnets.insert(id.clone(), way);
        let at = place.at.clone();
        let subnet = Subnet {
            id,
            vpc,
            owner: place.owner.clone(),
            zone: format!("{}{zone}", at.region),
            zone_id: it
                .zone_id
                .clone()
                .unwrap_or_else(|| format!("{}-az{}", short_region(&at.region), u32::from(zone) - u32::from('a') + 1)),
            cidr,
            tags: place.shown(tags(it.name.as_ref(), &it.tags)),
            free_addresses: it.free_addresses.unwrap_or(FRESH),
            ipv6: it.ipv6 || it.ipv6_native,
            ipv6_native: it.ipv6_native,
            outpost: it.outpost.clone(),
            no_internet: it.no_internet,
            state: it.state.clone().unwrap_or_else(|| "available".to_owned()),
            public_addresses: way == DefaultRoute::InternetGateway,
        };
        self.aws.add_subnet(&at, subnet)?;
        Ok(())
    }

    /// Each VPC has a main table for the subnets that say nothing of where they lead, and one for each other way. Of a VPC
    /// that another account shares no table is seen.
    pub(super) fn route_tables(&mut self) -> Result<(), Problem> {
        for (vpc, place) in self.vpcs.iter().filter(|(_, place)| place.owner == place.at.account) {
            let mut by_way: BTreeMap<DefaultRoute, BTreeSet<SubnetId>> = BTreeMap::from([(place.way, BTreeSet::new())]);
            for (subnet, way) in &place.subnets {
                by_way.entry(*way).or_default().insert(subnet.clone());
            }
            for (way, subnets) in by_way {
                let main = way == place.way;
                let local = (format!("{}.0.0/16", place.prefix), "local".to_owned(), false);
                let target = way.prefix().map(|prefix| derived(prefix, vpc.as_str()));
                let default = target.map(|target| ("0.0.0.0/0".to_owned(), target, way == DefaultRoute::Blackhole));
                let routes = std::iter::once(local).chain(default);
                let table = RouteTable {
                    id: derived("rtb", &format!("{vpc} {way:?}")),
                    vpc: vpc.clone(),
                    owner: place.owner.clone(),
                    main,
                    subnets: if main { BTreeSet::new() } else { subnets },
                    routes: routes
                        .map(|(destination, target, blackhole)| Route { destination, target, blackhole })
                        .collect(),
                    tags: Tags::new(),
                };
                self.aws.add_route_table(&place.at, table)?;
            }
        }
        Ok(())
    }

    pub(super) fn security_group(&mut self, it: &DeclaredSecurityGroup) -> Result<(), Problem> {
        let id = SecurityGroupId::parse(&it.id)?;
        let (vpc, place) = self.place(&it.vpc)?;
        let at = place.at.clone();
        let owner = if it.shared { &place.owner } else { &at.account };
        let group = SecurityGroup {
            id,
            vpc,
            owner: owner.clone(),
            name: it.name.clone().unwrap_or_else(|| it.id.clone()),
            description: it.description.clone(),
            tags: if it.shared { place.shown(it.tags.clone()) } else { it.tags.clone() },
            lets_out: it.lets_out.unwrap_or(true),
            associated: it.associated.iter().map(|id| VpcId::parse(id)).collect::<Result<_, _>>()?,
            shared: it.shared,
        };
        self.aws.add_security_group(&at, group)?;
        Ok(())
    }

    pub(super) fn endpoint(&mut self, it: &DeclaredEndpoint) -> Result<(), Problem> {
        let (vpc, place) = self.place(&it.vpc)?;
        let at = place.at.clone();
        let endpoint = Endpoint {
            id: derived("vpce", &format!("{vpc} {}", it.service)),
            vpc,
            owner: place.owner.clone(),
            service: format!("com.amazonaws.{}.{}", at.region, it.service),
            // The two services that have no interface, or need none.
            gateway: matches!(it.service.as_str(), "s3" | "dynamodb"),
            tags: Tags::new(),
        };
        self.aws.add_endpoint(&at, endpoint)?;
        Ok(())
    }
}

fn zone_letter(zone: Option<&str>, region: &Region, number: usize) -> Result<char, Problem> {
    let Some(zone) = zone else { return Ok(['a', 'b', 'c'][number % 3]) };
    let letter = zone.strip_prefix(region.as_str()).unwrap_or(zone);
    let mut letters = letter.chars();
    match (letters.next(), letters.next()) {
        (Some(letter @ 'a'..='z'), None) => Ok(letter),
        _ => Err(Problem(format!("`{zone}` is no zone of {region}; write `{region}a`, or just `a`"))),
    }
}

/// The region as zone ids write it: `euw1` for `eu-west-1`, `apse2` for `ap-southeast-2`, `usgw1` for `us-gov-west-1`.
fn short_region(region: &Region) -> String {
    let mut parts = region.as_str().split('-');
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let south_or_north = part.strip_prefix("south").or_else(|| part.strip_prefix("north"));
        short.extend(part.chars().next());
        short.extend(south_or_north.and_then(|rest| rest.chars().next()));
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_ids_shorten_the_region_as_aws_does() {
        for (region, short) in [
            ("eu-west-1", "euw1"),
            ("us-east-1", "use1"),
            ("ap-southeast-2", "apse2"),
            ("eu-central-1", "euc1"),
            ("us-gov-west-1", "usgw1"),
            ("eu-north-1", "eun1"),
            ("cn-north-1", "cnn1"),
        ] {
            assert_eq!(short_region(&Region::parse(region).unwrap()), short);
        }
    }
}
