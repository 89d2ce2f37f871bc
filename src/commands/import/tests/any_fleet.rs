//! Whatever the fleet and its tags: what is written means the same, and needs no change.

use proptest::prelude::*;

use super::*;

/// A function of a made fleet.
#[derive(Clone, Debug)]
struct MadeFunction {
    number: usize,
    vpc: usize,
    subnets: u8,
    groups: u8,
    ipv6: bool,
    role: usize,
    kind: u8,
}

/// A small fleet.
#[derive(Clone, Debug)]
struct Made {
    /// Each with its name, its region and whether it is shared by another account.
    vpcs: Vec<(String, usize, bool)>,
    /// The names of subnets and groups.
    names: Vec<String>,
    functions: Vec<MadeFunction>,
    /// A read that is denied.
    denied: Option<&'static str>,
}

const ROLES: [&str; 4] = ["able", "lacking", "inline", "bounded"];

/// What people write into tags, and what they hopefully do not.
fn tag() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] =
        &["orders", "orders", "orders-2", "none", "vpc-", "vpc-0a1b", "a\nb = 1", "\"]\n[[x]]", "'''", "\\", "#", " "];
    prop_oneof![3 => prop::sample::select(KNOWN).prop_map(str::to_owned), 1 => any::<String>()]
}

fn made() -> impl Strategy<Value = Made> {
    let vpcs = prop::collection::vec((tag(), 0..2usize, prop::bool::weighted(0.2)), 1..4);
    let function = (0..8usize, 0..4usize, 1..4u8, 1..8u8, prop::bool::weighted(0.2), 0..ROLES.len(), 0..10u8);
    let function = function.prop_map(|(number, vpc, subnets, groups, ipv6, role, kind)| MadeFunction {
        number,
        vpc,
        subnets,
        groups,
        ipv6,
        role,
        kind,
    });
    const READS: &[&str] =
        &["ListEntitiesForPolicy", "SimulatePrincipalPolicy", "DescribeSubnets", "DescribeNetworkInterfaces"];
    let denied = prop::option::weighted(0.3, prop::sample::select(READS));
    (vpcs, prop::collection::vec(tag(), 6), prop::collection::vec(function, 0..14), denied)
        .prop_map(|(vpcs, names, functions, denied)| Made { vpcs, names, functions, denied })
}

fn of_mask(mask: u8, ids: &[String]) -> Vec<String> {
    let chosen = ids.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
    chosen.map(|(_, id)| id.clone()).collect()
}

impl Made {
    fn ids(vpc: usize, kind: &str, count: usize) -> Vec<String> {
        (0..count).map(|number| format!("{kind}-{vpc:04}{number:04}")).collect()
    }

    fn world(&self) -> World {
        let mut world = World { roles: ROLES.iter().map(|name| role(name, &[])).collect(), ..World::default() };
        world.roles[0].policies = texts([VPC_ACCESS]);
        world.roles[2].inline_vpc_access = true;
        world.roles[3].overruled = Some(Overruler::Boundary);
        for (at, (name, region, shared)) in self.vpcs.iter().enumerate() {
            let id = format!("vpc-{at:08}");
            let (region, owner) = (Some(REGIONS[*region].to_owned()), shared.then(|| "210987654321".to_owned()));
            world.vpcs.push(DeclaredVpc { region, owner, ..vpc(&id, name) });
            let subnets = Self::ids(at, "subnet", 2).into_iter().zip(&self.names[..2]);
            world.subnets.extend(subnets.map(|(subnet_id, name)| subnet(&subnet_id, &id, Some(name))));
            let groups = Self::ids(at, "sg", 3).into_iter().zip(&self.names[2..]);
            world.security_groups.extend(groups.map(|(group_id, name)| group(&group_id, &id, name)));
        }
        for made in &self.functions {
            let declared = self.function(made);
            let same = |it: &&DeclaredFunction| (&it.name, &it.region) == (&declared.name, &declared.region);
            if !world.functions.iter().any(|it| same(&it)) {
                world.functions.push(declared);
            }
        }
        world
    }

    fn function(&self, made: &MadeFunction) -> DeclaredFunction {
        let at = made.vpc % self.vpcs.len();
        let region = Some(REGIONS[self.vpcs[at].1].to_owned());
        let name = format!("f{}", made.number);
        let attached = |kind: &str, mask, count| match made.kind {
            0 | 1 => Vec::new(),
            _ => of_mask(mask, &Self::ids(at, kind, count)),
        };
        let provider = "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p";
        DeclaredFunction {
            name: if made.kind == 2 { format!("us-east-1.{name}") } else { name },
            role: ROLES[made.role].to_owned(),
            region,
            subnets: attached("subnet", made.subnets, 2),
            security_groups: attached("sg", made.groups, 3),
            ipv6: made.ipv6 && made.kind > 1,
            master_arn: (made.kind == 2).then(|| "arn:aws:lambda:us-east-1:123456789012:function:f:1".to_owned()),
            capacity_provider: (made.kind == 3).then(|| provider.to_owned()),
            ..DeclaredFunction::default()
        }
    }
}

/// What an entry says of a network, in the words of a declared function.
fn said(want: &Want) -> (Vec<String>, Vec<String>, bool) {
    match want {
        Want::Detached | Want::Disputed(_) => (Vec::new(), Vec::new(), false),
        Want::Attached(intent) => match (&intent.subnets, &intent.security_groups) {
            (Pick::Ids(subnets), Pick::Ids(groups)) => (texts(subnets), texts(groups), intent.ipv6.unwrap_or_default()),
            other => panic!("by ids: {other:?}"),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_as_the_same_networks_and_a_plan_on_it_is_empty(
        made in made(),
        outside in prop::sample::select(&[Outside::LeftOut, Outside::Listed][..]),
    ) {
        let world = made.world();
        let door = door(&world);
        if let Some(read) = made.denied {
            door.with(|aws, _| aws.faults.add(Trouble::always(Misbehaviour::Denied).on(read)));
        }
        let facts = facts(&door, &REGIONS);
        let adopted = adopted(&facts, outside);
        if adopted.listed.is_empty() {
            prop_assert_eq!(&adopted.text, "");
            return Ok(());
        }
        let state = read(&adopted.text);
        prop_assert_eq!(state.warnings.len(), 0);
        let mut vpcs = BTreeSet::new();
        for entry in &state.entries {
            prop_assert!(entry.terms.account_stated);
            if let Want::Attached(intent) = &entry.terms.want {
                vpcs.insert((entry.key.scope.clone(), intent.name.clone(), said(&entry.terms.want)));
            }
        }
        prop_assert_eq!(vpcs.len(), adopted.text.matches("\n[[vpc]]\n").count(), "one for each distinct network");
        for declared in &world.functions {
            let region = declared.region.as_deref().unwrap();
            let key = FunctionKey { scope: scope(region), name: FunctionName::parse(&declared.name).unwrap() };
            let managed = declared.capacity_provider.is_none() && declared.master_arn.is_none();
            let wanted = managed && (!declared.subnets.is_empty() || outside == Outside::Listed);
            match state.get(&key) {
                Some(entry) => {
                    let network = (declared.subnets.clone(), declared.security_groups.clone(), declared.ipv6);
                    prop_assert_eq!(said(&entry.terms.want), network);
                    let left = adopted.listed[&key].is_some();
                    prop_assert_eq!(entry.terms.attach_policy == AttachPolicy::Never, left);
                    prop_assert!(wanted);
                }
                None => {
                    let why: Option<&Doubt> = adopted.left_out.get(&key);
                    prop_assert!(!wanted || made.denied.is_some() && why.is_some_and(|doubt| doubt.unread), "{:?}", why);
                    prop_assert!(managed || why.is_some(), "it is told of");
                }
            }
        }
        for line in plan(&door, state).lines {
            prop_assert_eq!(&line.comparison.verdict, &Verdict::InSync);
        }
        prop_assert_eq!(door.changes(), []);
    }
}
