//! One script through both doors of the simulated account: directly, and through the SDK and the wire.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use lambda_vpc_controller::cloud::aws::{Access, Deadlines};
use lambda_vpc_controller::cloud::{Cloud, CloudError, Listing, Read, Receipt, Reply};
use lambda_vpc_controller::names::{
    AccountId, FunctionKey, FunctionName, Network, PolicyArn, Region, RevisionId, RoleArn, ScopeKey, SecurityGroupId,
    SubnetId, VpcId,
};
use lambda_vpc_controller::simulator::{DeclaredRoute, DeclaredVersion, World};

use crate::served::{self, Served, runtime};

/// The demo's world and enough functions for a second page.
fn world() -> World {
    let mut world = World::demo().unwrap();
    let fleet = World::fleet(60);
    world.roles.extend(fleet.roles);
    world.functions.extend(fleet.functions);
    // Eight of them are published ten times each.
    for function in &mut world.functions[20..28] {
        let version = |version| DeclaredVersion { version, ..DeclaredVersion::default() };
        function.versions = (1..=10).map(version).collect();
    }
    world.functions[20].aliases =
        [("live".to_owned(), DeclaredRoute::One(9)), ("canary".to_owned(), DeclaredRoute::Shared([9, 10]))].into();
    world
}

struct Script<'a> {
    cloud: &'a dyn Cloud,
    pass: &'a dyn Fn(u64),
    answers: Vec<String>,
}

impl Script<'_> {
    /// Notes an answer; of an error, everything but the request's id.
    async fn note<T: Debug>(
        &mut self,
        call: &str,
        answer: impl Future<Output = Result<T, CloudError>>,
        class: &str,
    ) -> Option<T> {
        let answer = answer.await;
        let (got, text) = match &answer {
            Ok(value) => ("ok".to_owned(), format!("{value:?}")),
            Err(error) => (format!("{:?}", error.class), format!("{} {}", error.code, error.text)),
        };
        self.answers.push(format!("{call}: {got} {text}"));
        assert_eq!(got, class, "{call}: {text}");
        answer.ok()
    }

    async fn run(mut self) -> Vec<String> {
        let account = AccountId::parse("123456789012").unwrap();
        let at = ScopeKey { account, region: Region::parse("eu-west-1").unwrap() };
        self.reads(&at).await;
        self.network(&at).await;
        self.attachment(&at).await;
        self.refusals(&at).await;
        self.answers
    }

    async fn reads(&mut self, at: &ScopeKey) {
        let cloud = self.cloud;
        self.note("identity", cloud.caller_identity(None, &at.region), "ok").await;
        let first = self.note("list", cloud.list_functions(at, Listing::Latest, None), "ok").await.unwrap();
        assert_eq!(first.items.len(), 50);
        let second = self.note("list on", cloud.list_functions(at, Listing::Latest, first.next), "ok").await.unwrap();
        assert_eq!((second.items.len(), second.next), (14, None));
        self.published(at).await;
        self.note("get", cloud.get_function(&key(at, "legacy-report")), "ok").await;
        self.note("get missing", cloud.get_function(&key(at, "nothing")), "NotFound").await;
        let (orders, nobody) = (role("orders/orders-role"), role("nobody"));
        self.note("policies", cloud.list_attached_policies(&orders, None), "ok").await;
        self.note("policies of nobody", cloud.list_attached_policies(&nobody, None), "NotFound").await;
        let actions = ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"];
        self.note("simulate", cloud.simulate(&orders, &at.region, &actions), "ok").await;
        self.note("simulate nobody", cloud.simulate(&nobody, &at.region, &actions), "NotFound").await;
    }

    async fn published(&mut self, at: &ScopeKey) {
        let cloud = self.cloud;
        let (mut pages, mut published, mut from) = (Vec::new(), 0, None);
        loop {
            let page = self.note("list all", cloud.list_functions(at, Listing::All, from), "ok").await.unwrap();
            published += page.items.iter().filter(|item| item.version.is_some()).count();
            pages.push(page.items.len());
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!((pages, published), (vec![50, 50, 44], 80), "each version is an item of its own");
        let aliases = self.note("aliases", cloud.list_aliases(&key(at, "function-00016"), None), "ok").await.unwrap();
        let found: Vec<String> =
            aliases.items.iter().map(|alias| format!("{} {:?}", alias.name, alias.versions)).collect();
        assert_eq!(found, ["canary {9, 10}", "live {9}"]);
        self.note("no aliases", cloud.list_aliases(&key(at, "legacy-report"), None), "ok").await;
        self.note("aliases of nothing", cloud.list_aliases(&key(at, "nothing"), None), "NotFound").await;
    }

    async fn network(&mut self, at: &ScopeKey) {
        let cloud = self.cloud;
        let vpcs = ["vpc-0a1b2c3d4e5f60718", "vpc-0bad"].map(|id| VpcId::parse(id).unwrap());
        self.note("vpcs", cloud.describe_vpcs(at, &vpcs, None), "ok").await;
        self.note("subnets", cloud.describe_subnets(at, &vpcs, None), "ok").await;
        self.note("route tables", cloud.describe_route_tables(at, &vpcs, None), "ok").await;
        self.note("groups", cloud.describe_security_groups(at, &vpcs, None), "ok").await;
        let page = self.note("groups for a vpc", cloud.groups_for_vpc(at, &vpcs[0], None), "ok").await.unwrap();
        assert_eq!(page.items.len(), 2);
        self.note("groups for no vpc", cloud.groups_for_vpc(at, &vpcs[1], None), "NotFound").await;
        let page = self.note("endpoints", cloud.describe_endpoints(at, &vpcs, None), "ok").await.unwrap();
        assert_eq!(page.items.iter().map(|it| it.service.as_str()).collect::<Vec<_>>(), ["com.amazonaws.eu-west-1.s3"]);
        self.note("interfaces", cloud.describe_interfaces(at, &vpcs, None), "ok").await;
        let elsewhere = ScopeKey { region: Region::parse("us-east-1").unwrap(), ..at.clone() };
        self.note("vpcs elsewhere", cloud.describe_vpcs(&elsewhere, &vpcs, None), "ok").await;
    }

    async fn attachment(&mut self, at: &ScopeKey) {
        let (cloud, api, orders) = (self.cloud, key(at, "orders-api"), role("orders/orders-role"));
        let private = network(&["subnet-0a1a1a1a1a1a1a1a1", "subnet-0b2b2b2b2b2b2b2b2"], &["sg-0e5e5e5e5e5e5e5e5"]);
        self.note("attach early", done(cloud.set_vpc(&api, &private, None)), "RoleDenied").await;
        let unknown = PolicyArn::parse("arn:aws:iam::aws:policy/Nothing").unwrap();
        self.note("unknown policy", done(cloud.attach_policy(&orders, &unknown)), "PolicyNotAttachable").await;
        let access = PolicyArn::parse("arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole").unwrap();
        self.note("policy", done(cloud.attach_policy(&orders, &access)), "ok").await;
        self.note("policy again", done(cloud.attach_policy(&orders, &access)), "ok").await;
        (self.pass)(7);
        self.note("attach still early", done(cloud.set_vpc(&api, &private, None)), "RoleDenied").await;
        (self.pass)(1);
        let before = self.note("before", cloud.get_function(&api), "ok").await.unwrap();
        self.note("attach", done(cloud.set_vpc(&api, &private, before.revision.as_ref())), "ok").await;
        self.note("during", cloud.get_function(&api), "ok").await;
        self.note("attach again", done(cloud.set_vpc(&api, &private, None)), "Busy").await;
        (self.pass)(6);
        self.note("after", cloud.get_function(&api), "ok").await;
        self.note("stale", done(cloud.set_vpc(&api, &private, before.revision.as_ref())), "StaleRevision").await;
        self.note("detach", done(cloud.set_vpc(&api, &Network::none(), None)), "ok").await;
        (self.pass)(2);
        self.note("detached", cloud.get_function(&api), "ok").await;
    }

    async fn refusals(&mut self, at: &ScopeKey) {
        let (cloud, api) = (self.cloud, key(at, "orders-api"));
        let (subnet, group) = ("subnet-0a1a1a1a1a1a1a1a1", "sg-0e5e5e5e5e5e5e5e5");
        let many: Vec<String> = (0..17).map(|n| format!("subnet-{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let v6 = Network { ipv6: true, ..Network::none() };
        for (call, wanted) in [
            ("unknown subnet", network(&["subnet-0bad"], &[group])),
            ("unknown group", network(&[subnet], &["sg-0bad"])),
            ("no group", network(&[subnet], &[])),
            ("too many subnets", network(&many, &[group])),
            ("malformed subnet", network(&["subnet-0BAD"], &[group])),
            ("IPv6 alone", v6),
        ] {
            self.note(call, done(cloud.set_vpc(&api, &wanted, None)), "Network").await;
        }
        let stale = RevisionId::parse("0").unwrap();
        self.note("missing", done(cloud.set_vpc(&key(at, "nothing"), &Network::none(), Some(&stale))), "NotFound")
            .await;
    }
}

fn key(at: &ScopeKey, name: &str) -> FunctionKey {
    FunctionKey { scope: at.clone(), name: FunctionName::parse(name).unwrap() }
}

fn role(path: &str) -> RoleArn {
    RoleArn::parse(&format!("arn:aws:iam::123456789012:role/{path}")).unwrap()
}

fn network(subnets: &[&str], groups: &[&str]) -> Network {
    Network {
        subnets: subnets.iter().map(|id| SubnetId::parse(id).unwrap()).collect(),
        security_groups: groups.iter().map(|id| SecurityGroupId::parse(id).unwrap()).collect(),
        ipv6: false,
    }
}

#[test]
fn the_same_script_gives_the_same_answers_through_both_doors() {
    let direct = {
        let served = Served::world(&world());
        run(&served, &served.door)
    };
    let served = Served::world(&world());
    let through_the_sdk = run(&served, &runtime().block_on(served.sdk()));
    for (direct, sdk) in direct.iter().zip(&through_the_sdk) {
        assert_eq!(direct, sdk);
    }
    assert_eq!(direct.len(), through_the_sdk.len());

    let changes = served.door.changes();
    assert_eq!(changes.iter().filter(|call| call.refused.is_none()).count(), 4, "{changes:#?}");
    assert_eq!(served.door.count("ListFunctions"), 5);
}

#[test]
fn the_sdk_reaches_another_account_through_a_role_of_it() {
    let mut world = World::demo().unwrap();
    let other = "[[role]]\nname = 'controller'\naccount = '222222222222'\n";
    world.roles.extend(World::parse(other, "test").unwrap().roles);
    let served = Served::world(&world);
    let account = AccountId::parse("222222222222").unwrap();
    let role = RoleArn::parse("arn:aws:iam::222222222222:role/controller").unwrap();
    let access = HashMap::from([(account.clone(), Access { role: Some(role), external_id: None })]);
    let region = Region::parse("eu-west-1").unwrap();
    let identity = runtime().block_on(async {
        let aws = served.sdk_with(access, Deadlines::default(), served::rates()).await;
        aws.caller_identity(Some(&account), &region).await.unwrap()
    });
    assert_eq!(identity.account, account);
    assert_eq!(identity.arn, "arn:aws:sts::222222222222:assumed-role/controller/lambda-vpc-controller");
}

fn run(served: &Served, cloud: &dyn Cloud) -> Vec<String> {
    let pass = |seconds| served.clock.pass(Duration::from_secs(seconds));
    runtime().block_on(Script { cloud, pass: &pass, answers: Vec::new() }.run())
}

/// A change without its receipt, which is another one each time.
fn done(reply: Reply<'_, Receipt>) -> Reply<'_, ()> {
    Box::pin(async { reply.await.map(|_| ()) })
}
