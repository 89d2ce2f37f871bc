//! Which functions the file's patterns mean.

use super::*;

/// A file with these entries, each a name and further lines, and functions of these names in AWS.
fn scene_of(entries: &[(&str, &str)], there: &[&str]) -> Scene {
    let entries: String =
        entries.iter().map(|(name, rest)| format!("[[function]]\nname = '{name}'\n{rest}\n")).collect();
    let text = format!(
        "defaults = {{ region = 'eu-west-1', account = '{ACCOUNT}' }}\n\
         vpc = [{{ name = 'orders', id = 'vpc-1' }}]\n{entries}"
    );
    let mut scene = Scene { desired: reading(&text), ..scene(ORDERS) };
    scene.swept().functions.clear();
    for name in there {
        scene.add(name, "api");
    }
    scene
}

impl Scene {
    fn match_up(&mut self) -> Vec<String> {
        let matched = matched(&self.desired, &self.facts);
        let gone = self.desired.match_up(matched);
        gone.iter().map(|entry| entry.key.name.to_string()).collect()
    }

    /// Each entry, with the pattern that lists it and what it is about.
    fn entries(&self) -> Vec<String> {
        let entry = |entry: &Arc<Entry>| {
            let by = entry.pattern.as_ref().map(|pattern| format!(" by {pattern}")).unwrap_or_default();
            let about = compared(&compare(&self.world(), entry).verdict, self.now);
            format!("{}{by}: {}", entry.key.name, about.replace("subnet-a,subnet-b/sg-default", "home"))
        };
        self.desired.entries.iter().map(entry).collect()
    }
}

#[test]
fn a_pattern_means_what_it_fits_and_an_exact_name_wins_over_it() {
    let mut scene =
        scene_of(&[("orders-*", ORDERS), ("orders-api", "vpc = 'none'")], &["orders-api", "orders-x", "billing"]);
    assert_eq!(scene.entries(), ["orders-api: in sync"]);
    assert_eq!(scene.match_up(), [""; 0]);
    assert_eq!(scene.entries(), ["orders-api: in sync", "orders-x by orders-*: set none -> home"]);
    assert_eq!(scene.match_up(), [""; 0], "matching again changes nothing");
    assert_eq!(scene.desired.entries.len(), 2);
}

#[test]
fn a_function_that_two_patterns_fit_is_blocked_naming_both_and_the_rest_goes_on() {
    let mut scene =
        scene_of(&[("orders-*", ORDERS), ("*-api", "vpc = 'none'")], &["billing-api", "orders-api", "orders-x"]);
    scene.match_up();
    assert_eq!(
        scene.entries(),
        [
            "billing-api by *-api: in sync",
            "orders-api by orders-*: blocked AmbiguousPattern",
            "orders-x by orders-*: set none -> home"
        ]
    );
    let outcome = compare(&scene.world(), scene.desired.get(&key("orders-api")).unwrap());
    let Verdict::Stuck(outcome) = outcome.verdict else { panic!("{outcome:?}") };
    assert_eq!(outcome.why().unwrap().detail, "`orders-*` and `*-api`");
    assert_eq!(unmatched(&scene.desired, &scene.facts), []);
}

#[test]
fn a_function_of_which_nobody_knows_stays_and_one_that_is_gone_is_named() {
    let mut scene = scene_of(&[("orders-*", ORDERS)], &["orders-a", "orders-b"]);
    scene.match_up();
    let set = |scene: &mut Scene, name: &str, seen| {
        scene.swept().functions.insert(FunctionName::parse(name).unwrap(), seen);
    };
    set(&mut scene, "orders-a", Seen::Unknown(Fault::Unread));
    set(&mut scene, "orders-b", Seen::Absent);
    assert_eq!(scene.match_up(), ["orders-b"]);
    assert_eq!(scene.entries(), ["orders-a by orders-*: unknown Unread"]);
    assert!(scene.desired.get(&key("orders-b")).is_none());
    assert_eq!(scene.desired.entries.len(), 1);
}

#[test]
fn a_pattern_that_means_nothing_is_pointed_at_once_all_functions_were_seen() {
    let mut scene = scene_of(&[("orders-*", ORDERS), ("ordres-*", ORDERS), ("orders-api", ORDERS)], &["orders-api"]);
    scene.match_up();
    let useless = |scene: &Scene| {
        unmatched(&scene.desired, &scene.facts).iter().map(|pattern| pattern.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(useless(&scene), ["orders-*", "ordres-*"], "what is named by itself is no pattern's");
    assert_eq!(plan(&scene.world()).unmatched.len(), 2);
    scene.add("orders-new", "api");
    scene.match_up();
    assert_eq!(useless(&scene), ["ordres-*"]);
    scene.swept().listed = Seen::Unknown(Fault::Unread);
    assert_eq!(useless(&scene), [""; 0]);
}

/// The world of each account and region that the file of a scene speaks of, where all is as in the scene, and what its
/// patterns mean in each.
fn by_scope(whole: &Scene) -> Vec<Scene> {
    let one = |desired| {
        let Scene { facts, memory, limits, now, .. } = whole;
        let (facts, memory, limits) = (facts.clone(), memory.clone(), limits.clone());
        let mut scene = Scene { desired, facts, memory, limits, now: *now };
        assert_eq!(scene.match_up(), [""; 0]);
        scene
    };
    whole.desired.by_scope().into_values().map(one).collect()
}

fn keys(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line.entry.key.to_string()).collect()
}

#[test]
fn patterns_hold_in_their_own_account_and_region() {
    let patterns = [("*", "vpc = 'vpc-1'\nregion = 'eu-central-1'"), ("billing-*", "vpc = 'none'")];
    let scenes = by_scope(&scene_of(&patterns, &["orders-api"]));
    let listed: Vec<Vec<String>> = scenes.iter().map(|scene| keys(&plan(&scene.world()).lines)).collect();
    assert_eq!(listed, [vec!["123456789012/eu-central-1/orders-api".to_owned()], Vec::new()]);
    let unmatched = scenes.iter().flat_map(|scene| unmatched(&scene.desired, &scene.facts));
    assert_eq!(unmatched.map(|pattern| pattern.name.to_string()).collect::<Vec<_>>(), ["billing-*"]);
}

#[test]
fn a_plan_is_the_same_whichever_account_or_region_was_swept_last() {
    let patterns = [("*", "vpc = 'none'\nregion = 'eu-central-1'"), ("*", "vpc = 'none'")];
    let plans = [false, true].map(|reversed| {
        let mut whole = scene_of(&patterns, &["orders-a", "orders-b"]);
        whole.swept().functions.values_mut().for_each(|function| present(function).network = home());
        let mut scenes = by_scope(&whole);
        if reversed {
            scenes.reverse();
        }
        let plan = Plan::of_all(scenes.iter().map(|scene| plan(&scene.world())), &whole.desired);
        assert_eq!(plan.lines.iter().filter(|line| line.change().is_some()).count(), 4);
        assert_eq!(plan.ids.len(), 2);
        (plan.id, keys(&plan.lines))
    });
    assert_eq!(plans[0], plans[1]);
}

#[test]
fn what_a_pattern_leaves_out_it_does_not_mean() {
    let except = format!("{ORDERS}\nexcept = ['orders-edge', '*-legacy']");
    let there = ["orders-api", "orders-edge", "orders-edge-2", "orders-legacy"];
    let mut scene = scene_of(&[("orders-*", &except)], &there);
    scene.match_up();
    assert_eq!(
        scene.entries(),
        ["orders-api by orders-*: set none -> home", "orders-edge-2 by orders-*: set none -> home"]
    );
    // What one pattern leaves out, another may mean.
    let mut scene = scene_of(&[("orders-*", &except), ("*-legacy", "vpc = 'none'")], &there);
    scene.match_up();
    assert!(scene.entries().contains(&"orders-legacy by *-legacy: in sync".to_owned()), "{:?}", scene.entries());
}

#[test]
fn what_services_made_for_themselves_no_pattern_means_but_an_entry_may_name_it() {
    let of_services =
        ["StackSet-audit-1a2b", "amplify-shop-main", "aws-controltower-NotificationForwarder", "cwsyn-checkout-1"];
    let there = [&of_services[..], &["my-cwsyn-reader", "orders-api"]].concat();
    let mut scene = scene_of(&[("*", ORDERS)], &there);
    scene.match_up();
    let left_out = |scene: &Scene| {
        let all = left_out(&scene.desired, &scene.facts);
        all.iter().map(|it| format!("{}: {}", it.key.name, it.service)).collect::<Vec<_>>()
    };
    assert_eq!(scene.entries().len(), 2, "{:?}", scene.entries());
    assert_eq!(
        left_out(&scene),
        [
            "StackSet-audit-1a2b: CloudFormation StackSets",
            "amplify-shop-main: AWS Amplify",
            "aws-controltower-NotificationForwarder: AWS Control Tower",
            "cwsyn-checkout-1: CloudWatch Synthetics",
        ]
    );
    assert_eq!(plan(&scene.world()).left_out.len(), 4);
    let mut named = scene_of(&[("orders-*", ORDERS), ("cwsyn-checkout-1", ORDERS)], &there);
    named.match_up();
    assert_eq!(named.entries(), ["cwsyn-checkout-1: set none -> home", "orders-api by orders-*: set none -> home"]);
    assert_eq!(left_out(&named), [""; 0], "no pattern fits them, and what is named is taken");
}
