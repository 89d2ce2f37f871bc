//! A history made from a row of throws: the world, what the file says, what goes wrong, and who interferes.

use std::time::Duration;

use lambda_vpc_controller::cloud::Failure;
use lambda_vpc_controller::simulator::{
    DeclaredFunction, DeclaredMeddler, DeclaredRole, DeclaredSecurityGroup, DeclaredSubnet, DeclaredVpc, Door, Fault,
    Misbehaviour, Overruler, Timings, World,
};

/// A function that no file lists.
pub(super) const UNLISTED: &str = "unlisted";
/// The functions that a file may list; one of them may not be there.
const LISTED: [&str; 5] = ["f0", "f1", "f2", "f3", "f4"];
/// Functions of the other region.
const FAR: [&str; 2] = ["g0", "g1"];
pub(super) const FAR_REGION: &str = "us-east-1";
const ROLES: [&str; 3] = ["r0", "r1", "r2"];
pub(super) const RETIRED: &str = "nodejs12.x";
const PROVIDER: &str = "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p";

/// Gives one throw after the other; when there are none left, always the first side.
pub(super) struct Dice<'a>(std::slice::Iter<'a, u8>);

impl<'a> Dice<'a> {
    pub(super) fn new(throws: &'a [u8]) -> Self {
        Self(throws.iter())
    }

    /// A number below `sides`.
    fn throw(&mut self, sides: usize) -> usize {
        self.0.next().map_or(0, |throw| usize::from(*throw) % sides)
    }

    fn one_of<T: Clone>(&mut self, sides: &[T]) -> T {
        sides[self.throw(sides.len())].clone()
    }

    /// One time in eight.
    fn rarely(&mut self) -> bool {
        self.throw(8) == 7
    }

    fn seconds(&mut self, sides: &[u64]) -> Duration {
        Duration::from_secs(self.one_of(sides))
    }
}

/// What somebody does to the controller.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// The file says something else.
    Edit(String),
    /// The process is killed and started again.
    Kill,
    /// The operator lets nothing be changed for so many seconds.
    Observe(u64),
    /// The wall clock of the machine is set by so many seconds.
    Set(i64),
    /// The same, when reads fail so that its first resyncs may come to nothing.
    KillOnABadDay(Fault),
}

/// All that a history is made of.
pub(super) struct History {
    pub(super) world: World,
    pub(super) timings: Timings,
    pub(super) policies_per_role: usize,
    pub(super) allow_detach: bool,
    pub(super) settle: Duration,
    pub(super) seed: u64,
    pub(super) file: String,
    pub(super) deeds: Vec<(u64, Deed)>,
    pub(super) faults: Vec<Fault>,
    /// Whether a listing now and then lacks a subnet.
    pub(super) flickers: bool,
    /// Whether the controller may not simulate, so that Lambda's refusals decide.
    pub(super) no_simulation: bool,
    /// Whether a network that changes by itself has to be seen twice.
    pub(super) confirms: bool,
    /// How many times as long as in the first region answers take in the other.
    pub(super) slower: u32,
}

impl History {
    pub(super) fn made(dice: &mut Dice<'_>) -> Self {
        let mut file = file(dice);
        let mut world = world(dice);
        let timings = Timings {
            update: dice.seconds(&[2, 1, 10]),
            new_interface: dice.seconds(&[6, 90, 240]),
            propagation: dice.seconds(&[8, 0, 60]),
            pending: dice.seconds(&[3]),
            iam_reads: dice.seconds(&[0, 0, 5]),
            unsaid: dice.seconds(&[0, 0, 2]),
            lists: Duration::from_secs(2),
            release: Duration::from_secs(300),
        };
        let policies_per_role = dice.one_of(&[10, 10, 10, 1]);
        let allow_detach = dice.throw(2) == 0;
        let settle = dice.seconds(&[60, 0]);
        let faults = (0..dice.one_of(&[0, 0, 0, 1, 3])).map(|_| fault(dice)).collect();
        let is_there = |it: &DeclaredMeddler| {
            it.function.as_ref().is_none_or(|name| world.functions.iter().any(|function| function.name == *name))
        };
        world.meddlers = (0..dice.one_of(&[0, 0, 1, 2])).map(|_| meddler(dice)).filter(is_there).collect();
        let mut minute = 0;
        let mut deeds: Vec<_> = (0..dice.throw(4))
            .map(|_| {
                minute += dice.one_of(&[0, 1, 2, 5, 30]);
                let deed = match dice.throw(5) {
                    0 => Deed::Kill,
                    1 => Deed::Edit(self::file(dice)),
                    2 => Deed::Observe(dice.one_of(&[1, 20, 300])),
                    3 => Deed::KillOnABadDay(failing_reads(dice)),
                    _ => Deed::Set(dice.one_of(&[3600, -3600, 86_400, 30])),
                };
                (minute, deed)
            })
            .collect();
        let seed = u64::try_from(dice.throw(256)).unwrap_or_default();
        let (flickers, no_simulation, confirms) = (dice.rarely(), dice.rarely(), dice.rarely());
        // Thrown last, so that histories that were kept from before are what they were.
        let slower = dice.one_of(&[1, 3, 10]);
        let there = far_away(&mut world, dice);
        file += &there;
        for (_, deed) in &mut deeds {
            if let Deed::Edit(text) = deed
                && dice.throw(4) != 3
            {
                text.push_str(&there);
            }
        }
        Self {
            world,
            timings,
            policies_per_role,
            allow_detach,
            settle,
            seed,
            file,
            deeds,
            faults,
            flickers,
            no_simulation,
            confirms,
            slower,
        }
    }

    /// Within which time after the last deed all must be at rest, where nothing goes wrong: what changed lately settles,
    /// IAM is waited for once and a few tries more, and then come the waves, in which one function may lead the others;
    /// none where something does go wrong.
    pub(super) fn bound(&self) -> Option<Duration> {
        let Self { world, timings, settle, faults, flickers, confirms, .. } = self;
        let bad_day = self.deeds.iter().any(|(_, deed)| matches!(deed, Deed::KillOnABadDay(_)));
        let sound = world.meddlers.is_empty() && faults.is_empty() && !bad_day && !flickers && !confirms;
        let roles = world.roles.iter().all(|role| role.overruled.is_none());
        let Timings { update, new_interface, propagation, iam_reads, unsaid, .. } = timings;
        let wave = *update + *new_interface + *unsaid + Duration::from_secs(20) * self.slower;
        (sound && roles).then(|| *settle + *propagation + *iam_reads + Duration::from_secs(60) + wave * 5)
    }

    /// Sets up what is no part of the declared world.
    pub(super) fn begin(&self, door: &Door) {
        door.with(|aws, _| {
            aws.timings = self.timings;
            aws.quotas.policies_per_role = self.policies_per_role;
            aws.retired_runtimes.insert(RETIRED.to_owned());
            if self.no_simulation {
                aws.denied.insert("SimulatePrincipalPolicy".to_owned());
            }
            self.faults.iter().cloned().for_each(|fault| aws.faults.add(fault));
        });
    }

    /// All of it, for people.
    pub(super) fn in_words(&self) -> String {
        let Self { world, timings, policies_per_role, allow_detach, settle, seed, file, deeds, faults, .. } = self;
        let Self { flickers, no_simulation, confirms, slower, .. } = self;
        let roles = world.roles.iter().map(|DeclaredRole { name, policies, inline_vpc_access, overruled, .. }| {
            format!("{name}: {policies:?}, inline {inline_vpc_access}, overruled by {overruled:?}\n")
        });
        let functions = world.functions.iter().map(|function| {
            let DeclaredFunction { name, role, subnets, runtime, capacity_provider, state, .. } = function;
            format!("{name}: {role}, in {subnets:?}, {runtime:?} {capacity_provider:?} {state:?}\n")
        });
        let things: String = roles.chain(functions).collect();
        let full: Vec<_> = world.subnets.iter().filter(|it| it.free_addresses == Some(0)).map(|it| &it.id).collect();
        let meddlers = &world.meddlers;
        format!(
            "{file}\n{things}full: {full:?}\n{meddlers:?}\n{timings:?}\n{faults:#?}\n{deeds:?}\n\
             {policies_per_role} policies per role, allow_detach {allow_detach}, settle {settle:?}, seed {seed}, \
             EC2 flickers {flickers}, no simulation {no_simulation}, confirms {confirms}, far away {slower} times as slow"
        )
    }
}

fn file(dice: &mut Dice<'_>) -> String {
    let subnets = dice.one_of(&[
        "",
        "subnets = { ids = ['subnet-1a000000', 'subnet-1b000000'] }",
        "subnets = { tags = { use = 'x' } }",
    ]);
    let groups = dice.one_of(&["", "security_groups = { names = ['lambda'] }"]);
    let mut text = format!(
        "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
         [[vpc]]\nname = 'one'\nid = 'vpc-10000000'\n{subnets}\n{groups}\n[[vpc]]\nname = 'two'\nid = 'vpc-20000000'\n"
    );
    for name in LISTED {
        if dice.rarely() {
            continue;
        }
        let vpc = dice.one_of(&["one", "one", "two", "none", "vpc-20000000"]);
        let own = match vpc {
            "one" => dice.one_of(&[
                "",
                "",
                "",
                "subnets = { ids = ['subnet-1c000000'] }",
                "subnets = { ids = ['subnet-99999999'] }",
            ]),
            _ => "",
        };
        let attach = dice.one_of(&["", "", "attach_policy = 'always'", "attach_policy = 'never'"]);
        let mode = if dice.rarely() { "mode = 'observe'" } else { "" };
        text += &format!("[[function]]\nname = '{name}'\nvpc = '{vpc}'\n{own}\n{attach}\n{mode}\n");
    }
    text
}

fn world(dice: &mut Dice<'_>) -> World {
    let vpc = |id: &str, group: &str| DeclaredVpc {
        id: id.to_owned(),
        default_security_group: Some(group.to_owned()),
        ..DeclaredVpc::default()
    };
    let mut subnet = |id: &str, free: bool| DeclaredSubnet {
        id: format!("subnet-{id}000000"),
        vpc: format!("vpc-{}0000000", &id[..1]),
        tags: [("use".to_owned(), "x".to_owned())].into_iter().filter(|_| id != "1b").collect(),
        free_addresses: (!free && dice.rarely()).then_some(0),
        ..DeclaredSubnet::default()
    };
    let subnets =
        vec![subnet("1a", true), subnet("1b", false), subnet("1c", false), subnet("2a", false), subnet("2b", false)];
    let group = DeclaredSecurityGroup {
        id: "sg-1a000000".to_owned(),
        vpc: "vpc-10000000".to_owned(),
        name: Some("lambda".to_owned()),
        ..DeclaredSecurityGroup::default()
    };
    World {
        vpcs: vec![vpc("vpc-10000000", "sg-10000000"), vpc("vpc-20000000", "sg-20000000")],
        subnets,
        security_groups: vec![group],
        roles: ROLES.iter().map(|name| role(name, dice)).collect(),
        functions: LISTED.iter().chain([&UNLISTED]).filter_map(|name| function(name, dice)).collect(),
        ..World::default()
    }
}

/// Another region, whose functions have the same roles. Returns what a file says of them.
fn far_away(world: &mut World, dice: &mut Dice<'_>) -> String {
    let region = || Some(FAR_REGION.to_owned());
    world.vpcs.push(DeclaredVpc {
        id: "vpc-30000000".to_owned(),
        region: region(),
        default_security_group: Some("sg-30000000".to_owned()),
        ..DeclaredVpc::default()
    });
    world.subnets.push(DeclaredSubnet {
        id: "subnet-3a000000".to_owned(),
        vpc: "vpc-30000000".to_owned(),
        ..DeclaredSubnet::default()
    });
    let mut text = format!("[[vpc]]\nname = 'far'\nregion = '{FAR_REGION}'\nid = 'vpc-30000000'\n");
    for name in FAR {
        if dice.rarely() {
            continue;
        }
        world.functions.push(DeclaredFunction {
            name: name.to_owned(),
            region: region(),
            role: dice.one_of(&ROLES).to_owned(),
            ..DeclaredFunction::default()
        });
        let attach = dice.one_of(&["", "", "attach_policy = 'always'", "attach_policy = 'never'"]);
        text += &format!("[[function]]\nname = '{name}'\nregion = '{FAR_REGION}'\nvpc = 'far'\n{attach}\n");
    }
    text
}

fn role(name: &str, dice: &mut Dice<'_>) -> DeclaredRole {
    let (vpc, basic) = ("service-role/AWSLambdaVPCAccessExecutionRole", "service-role/AWSLambdaBasicExecutionRole");
    let policies = dice.one_of(&[vec![], vec![vpc], vec![basic]]);
    let overrulers = [Overruler::Boundary, Overruler::Organisation, Overruler::Scoped];
    DeclaredRole {
        name: name.to_owned(),
        policies: policies.into_iter().map(str::to_owned).collect(),
        inline_vpc_access: dice.rarely(),
        overruled: dice.rarely().then(|| dice.one_of(&overrulers)),
        ..DeclaredRole::default()
    }
}

fn function(name: &str, dice: &mut Dice<'_>) -> Option<DeclaredFunction> {
    if dice.rarely() && name != UNLISTED {
        return None;
    }
    let attached = dice.throw(4) == 3 || name == UNLISTED;
    let state = dice.one_of(&[None, None, None, None, None, None, Some("Inactive"), Some("Failed")]);
    let texts = |ids: &[&str]| ids.iter().filter(|_| attached).map(ToString::to_string).collect::<Vec<_>>();
    Some(DeclaredFunction {
        name: name.to_owned(),
        role: dice.one_of(&ROLES).to_owned(),
        subnets: texts(&["subnet-1a000000"]),
        security_groups: texts(&["sg-10000000"]),
        runtime: dice.rarely().then(|| RETIRED.to_owned()),
        capacity_provider: dice.rarely().then(|| PROVIDER.to_owned()),
        state_reason_code: (state == Some("Failed")).then(|| "InternalError".to_owned()),
        state: state.map(str::to_owned),
        ..DeclaredFunction::default()
    })
}

fn fault(dice: &mut Dice<'_>) -> Fault {
    let fails =
        |code: &str| Misbehaviour::UpdateFails(Failure { code: code.to_owned(), text: "on purpose".to_owned() });
    let answers = [
        Misbehaviour::Throttled(None),
        Misbehaviour::Throttled(Some(Duration::from_secs(20))),
        Misbehaviour::Ec2Throttled,
        Misbehaviour::ServerError,
        Misbehaviour::Unavailable,
        Misbehaviour::Expired,
        Misbehaviour::Denied,
        Misbehaviour::Reset,
        Misbehaviour::Lost,
        Misbehaviour::Slow(Duration::from_secs(60)),
        Misbehaviour::Truncated,
        Misbehaviour::Malformed,
        Misbehaviour::Error { status: 400, code: "SomethingNew".to_owned(), message: "nobody knows this".to_owned() },
        Misbehaviour::Error { status: 418, code: "SomethingNew".to_owned(), message: String::new() },
        fails("InternalError"),
        fails("EC2RequestLimitExceeded"),
        fails("SubnetOutOfIPAddresses"),
        fails("InsufficientRolePermissions"),
        fails("EniLimitExceeded"),
        fails("Creating"),
    ];
    let operations = [
        "UpdateFunctionConfiguration",
        "UpdateFunctionConfiguration",
        "AttachRolePolicy",
        "GetFunctionConfiguration",
        "ListEntitiesForPolicy",
        "ListAttachedRolePolicies",
        "SimulatePrincipalPolicy",
        "GetCallerIdentity",
        "Describe*",
        "*",
    ];
    let fault = Fault::always(dice.one_of(&answers)).on(dice.one_of(&operations));
    fault.times(dice.one_of(&[1, 1, 2, 3, 8]))
}

/// What keeps a resync from reading what it needs, once or for a while.
fn failing_reads(dice: &mut Dice<'_>) -> Fault {
    let answers = [Misbehaviour::Throttled(None), Misbehaviour::ServerError, Misbehaviour::Reset, Misbehaviour::Denied];
    let operations = ["GetCallerIdentity", "ListFunctions", "Describe*", "ListEntitiesForPolicy", "Get*", "*s"];
    let fault = Fault::always(dice.one_of(&answers)).on(dice.one_of(&operations));
    fault.times(dice.one_of(&[1, 3, 10, 40]))
}

fn meddler(dice: &mut Dice<'_>) -> DeclaredMeddler {
    let every = dice.one_of(&[60.0, 7.0, 300.0, 1200.0]);
    let times = Some(dice.one_of(&[1, 2, 3, 6]));
    let some = |text: &str| Some(text.to_owned());
    match dice.throw(3) {
        0 => DeclaredMeddler {
            function: some(dice.one_of(&["f0", "f1", UNLISTED])),
            network: some("none"),
            every,
            times,
            ..DeclaredMeddler::default()
        },
        1 => DeclaredMeddler {
            function: some(dice.one_of(&["f0", "f2"])),
            subnets: vec!["subnet-1a000000".to_owned()],
            security_groups: vec!["sg-10000000".to_owned()],
            every,
            times,
            ..DeclaredMeddler::default()
        },
        _ => DeclaredMeddler {
            role: some(dice.one_of(&ROLES)),
            detach: some("service-role/AWSLambdaVPCAccessExecutionRole"),
            every,
            times,
            ..DeclaredMeddler::default()
        },
    }
}
