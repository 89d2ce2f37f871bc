//! EC2 on the wire: its own dialect of the query protocol, with `item` for lists and names that begin small.

use super::form::Form;
use super::xml::Xml;
use super::{Session, invalid_action};
use crate::cloud::{Page, Route, Tags};
use crate::simulator::account::{
    AwsError, Describe, Endpoint, Interface, RouteTable, SecurityGroup, Subnet, Vpc, partition, route_state,
    target_kind,
};

/// The namespace of EC2's answers; it holds the version of the API.
const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

pub(super) fn handle(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let at = &session.at;
    match form.text("Action") {
        Some("DescribeVpcs") => {
            let request = describe(form, "VpcId")?;
            let page = session.read("DescribeVpcs", |aws, now| aws.describe_vpcs(at, &request, now))?;
            Ok(answer(session, "DescribeVpcs", "vpcSet", page, write_vpc))
        }
        Some("DescribeSubnets") => {
            let request = describe(form, "SubnetId")?;
            let page = session.read("DescribeSubnets", |aws, now| aws.describe_subnets(at, &request, now))?;
            let write = |xml: &mut Xml, it| write_subnet(xml, session, it);
            Ok(answer(session, "DescribeSubnets", "subnetSet", page, write))
        }
        Some("DescribeRouteTables") => {
            let request = describe(form, "RouteTableId")?;
            let page = session.read("DescribeRouteTables", |aws, now| aws.describe_route_tables(at, &request, now))?;
            Ok(answer(session, "DescribeRouteTables", "routeTableSet", page, write_route_table))
        }
        Some("DescribeSecurityGroups") => {
            let request = describe(form, "GroupId")?;
            let page =
                session.read("DescribeSecurityGroups", |aws, now| aws.describe_security_groups(at, &request, now))?;
            Ok(answer(session, "DescribeSecurityGroups", "securityGroupInfo", page, write_security_group))
        }
        Some("GetSecurityGroupsForVpc") => {
            let (vpc, request) = (form.required("VpcId")?, listing(form, &["VpcId"], None)?);
            let page = session
                .read("GetSecurityGroupsForVpc", |aws, now| aws.get_security_groups_for_vpc(at, vpc, &request, now))?;
            Ok(answer(session, "GetSecurityGroupsForVpc", "securityGroupForVpcSet", page, write_group_for_vpc))
        }
        Some("DescribeVpcEndpoints") => {
            let request = describe(form, "VpcEndpointId")?;
            let page =
                session.read("DescribeVpcEndpoints", |aws, now| aws.describe_vpc_endpoints(at, &request, now))?;
            Ok(answer(session, "DescribeVpcEndpoints", "vpcEndpointSet", page, write_endpoint))
        }
        Some("DescribeNetworkInterfaces") => {
            let request = describe(form, "NetworkInterfaceId")?;
            let page = session
                .read("DescribeNetworkInterfaces", |aws, now| aws.describe_network_interfaces(at, &request, now))?;
            Ok(answer(session, "DescribeNetworkInterfaces", "networkInterfaceSet", page, write_interface))
        }
        action => Err(invalid_action(action)),
    }
}

/// The request of a listing that can be asked for resources by their ids.
fn describe(form: &Form, ids: &str) -> Result<Describe, AwsError> {
    listing(form, &[], Some(ids))
}

/// The request of a listing. A parameter that this model does not know is refused, not ignored: it would select.
fn listing(form: &Form, own: &[&str], ids: Option<&str>) -> Result<Describe, AwsError> {
    let ids_dot = ids.map(|ids| format!("{ids}."));
    let names = [&["Action", "Version", "MaxResults", "NextToken"], own].concat();
    let prefixes: Vec<&str> = std::iter::once("Filter.").chain(ids_dot.as_deref()).collect();
    if let Some(unknown) = form.unknown(&names, &prefixes) {
        let text = format!("The parameter {unknown} is not recognized");
        return Err(AwsError::new(400, "UnknownParameter", text));
    }
    Ok(Describe {
        ids: ids.map(|ids| form.list(ids)).unwrap_or_default(),
        filters: form.filters(),
        max_results: form.number("MaxResults")?,
        next_token: form.text("NextToken").map(str::to_owned),
    })
}

fn answer<T>(session: &Session<'_>, action: &str, set: &str, page: Page<T>, write: impl Fn(&mut Xml, T)) -> String {
    Xml::document(&format!("{action}Response"), NAMESPACE, |xml| {
        xml.text("requestId", session.request_id).list(set, "item", page.items, write);
        xml.maybe("nextToken", page.next.map(|marker| marker.0));
    })
}

/// An error of EC2.
pub(super) fn error_body(error: &AwsError, request_id: &str) -> String {
    // The one document of EC2's that has no namespace.
    Xml::document("Response", "", |xml| {
        xml.inside("Errors", |xml| {
            xml.inside("Error", |xml| {
                xml.text("Code", &error.code).text("Message", &error.message);
            });
        });
        xml.text("RequestID", request_id);
    })
}

fn write_tags(xml: &mut Xml, tags: &Tags) {
    xml.list("tagSet", "item", tags, |xml, (key, value)| {
        xml.text("key", key).text("value", value);
    });
}

fn write_vpc(xml: &mut Xml, it: Vpc) {
    let tenancy = if it.dedicated { "dedicated" } else { "default" };
    xml.text("vpcId", &it.id).text("ownerId", &it.owner).text("state", "available").text("cidrBlock", &it.cidr);
    xml.list("cidrBlockAssociationSet", "item", [&it.cidr], |xml, cidr| {
        xml.text("cidrBlock", cidr).inside("cidrBlockState", |xml| {
            xml.text("state", "associated");
        });
    });
    xml.text("instanceTenancy", tenancy).text("isDefault", it.default);
    if it.encrypted_only {
        xml.inside("encryptionControl", |xml| {
            xml.text("vpcId", &it.id).text("mode", "enforce").text("state", "available");
        });
    }
    write_tags(xml, &it.tags);
}

fn write_subnet(xml: &mut Xml, session: &Session<'_>, it: Subnet) {
    let region = &session.at.region;
    let arn = format!("arn:{}:ec2:{region}:{}:subnet/{}", partition(region), it.owner, it.id);
    xml.text("subnetId", &it.id).text("subnetArn", arn).text("vpcId", &it.vpc).text("ownerId", &it.owner);
    xml.text("state", &it.state).text("cidrBlock", &it.cidr);
    xml.text("availableIpAddressCount", it.free_addresses);
    xml.text("availabilityZone", &it.zone).text("availabilityZoneId", &it.zone_id);
    xml.text("defaultForAz", false).text("mapPublicIpOnLaunch", it.public_addresses);
    xml.text("assignIpv6AddressOnCreation", false).text("ipv6Native", it.ipv6_native).maybe("outpostArn", it.outpost);
    if it.no_internet {
        xml.inside("blockPublicAccessStates", |xml| {
            xml.text("internetGatewayBlockMode", "block-bidirectional");
        });
    }
    xml.list("ipv6CidrBlockAssociationSet", "item", it.ipv6.then_some("2001:db8::/64"), |xml, cidr| {
        xml.text("ipv6CidrBlock", cidr).inside("ipv6CidrBlockState", |xml| {
            xml.text("state", "associated");
        });
    });
    write_tags(xml, &it.tags);
}

fn write_route_table(xml: &mut Xml, it: RouteTable) {
    let id = &it.id;
    xml.text("routeTableId", id).text("vpcId", &it.vpc).text("ownerId", &it.owner);
    // The main table's own association names no subnet.
    let main = it.main.then_some(None);
    let associations = main.into_iter().chain(it.subnets.iter().map(Some));
    xml.list("associationSet", "item", associations, |xml, subnet| {
        let number = id.trim_start_matches("rtb-");
        let suffix = subnet.map_or("main", |subnet| subnet.as_str().trim_start_matches("subnet-"));
        xml.text("routeTableAssociationId", format!("rtbassoc-{number}{suffix}")).text("routeTableId", id);
        xml.maybe("subnetId", subnet).text("main", subnet.is_none()).inside("associationState", |xml| {
            xml.text("state", "associated");
        });
    });
    xml.list("routeSet", "item", &it.routes, write_route);
    write_tags(xml, &it.tags);
}

fn write_route(xml: &mut Xml, it: &Route) {
    let origin = if it.target == "local" { "CreateRouteTable" } else { "CreateRoute" };
    xml.text("destinationCidrBlock", &it.destination).text(target_kind(&it.target), &it.target);
    xml.text("state", route_state(it)).text("origin", origin);
}

fn write_security_group(xml: &mut Xml, it: SecurityGroup) {
    xml.text("groupId", &it.id).text("groupName", &it.name).text("groupDescription", &it.description);
    xml.text("vpcId", &it.vpc).text("ownerId", &it.owner).text("ipPermissions", "");
    xml.list("ipPermissionsEgress", "item", it.lets_out.then_some("0.0.0.0/0"), |xml, range| {
        xml.text("ipProtocol", "-1").text("groups", "").text("ipv6Ranges", "").text("prefixListIds", "");
        xml.list("ipRanges", "item", [range], |xml, range| {
            xml.text("cidrIp", range);
        });
    });
    write_tags(xml, &it.tags);
}

fn write_group_for_vpc(xml: &mut Xml, it: SecurityGroup) {
    xml.text("groupId", &it.id).text("groupName", &it.name).text("description", &it.description);
    xml.text("primaryVpcId", &it.vpc).text("ownerId", &it.owner);
    write_tags(xml, &it.tags);
}

fn write_endpoint(xml: &mut Xml, it: Endpoint) {
    let kind = if it.gateway { "Gateway" } else { "Interface" };
    xml.text("vpcEndpointId", &it.id).text("vpcEndpointType", kind).text("vpcId", &it.vpc);
    xml.text("serviceName", &it.service).text("state", "available").text("ownerId", &it.owner);
    write_tags(xml, &it.tags);
}

fn write_interface(xml: &mut Xml, it: Interface) {
    xml.text("networkInterfaceId", &it.id).text("interfaceType", "lambda").text("status", "in-use");
    xml.text("subnetId", &it.subnet).text("vpcId", &it.vpc).text("availabilityZone", &it.zone);
    xml.text("ownerId", &it.owner).text("description", &it.description).text("requesterManaged", true);
    xml.text("privateIpAddress", &it.address).text("sourceDestCheck", true);
    xml.list("groupSet", "item", &it.groups, |xml, group| {
        xml.text("groupId", group);
    });
    xml.inside("attachment", |xml| {
        xml.text("instanceOwnerId", "amazon-aws").text("deviceIndex", 1).text("status", "attached");
        xml.text("attachTime", it.created).text("deleteOnTermination", false);
    });
}
