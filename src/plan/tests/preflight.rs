//! What is told before any write.

use super::*;

/// Compares `api`, which is to get new pairs in both subnets, after something was done to the world.
#[track_caller]
fn check(done: impl FnOnce(&mut Scene), expected: &str, warnings: &[&str]) {
    let mut scene = scene(ORDERS);
    scene.vpc().interfaces = Seen::Present(Interfaces::default());
    done(&mut scene);
    let Comparison { verdict, warnings: warned, .. } = scene.compare();
    assert_eq!(compared(&verdict, NOW), expected);
    assert_eq!(warned.len(), warnings.len(), "{warned:?}");
    for (warning, part) in warned.iter().zip(warnings) {
        assert!(warning.contains(part), "`{warning}` does not say `{part}`");
    }
}

const TO_HOME: &str = "set none -> subnet-a,subnet-b/sg-default";

fn free(scene: &mut Scene, addresses: u32) {
    scene.vpc().subnets[0].subnet.free_addresses = addresses;
}

#[test]
fn a_new_pair_needs_a_free_address() {
    check(|_| {}, TO_HOME, &[]);
    check(|scene| free(scene, 0), "blocked NoFreeAddress", &[]);
    check(|scene| free(scene, 1), TO_HOME, &["subnet-a has only 1 free addresses"]);
    check(|scene| free(scene, 8), TO_HOME, &[]);
}

#[test]
fn a_pair_that_is_there_needs_none() {
    let known = |scene: &mut Scene, addresses| {
        scene.vpc().interfaces = Seen::Present(home().pairs().collect());
        free(scene, addresses);
    };
    check(|scene| known(scene, 0), TO_HOME, &[]);
    let in_sync = |scene: &mut Scene| {
        free(scene, 0);
        scene.at_home();
    };
    check(in_sync, "in sync", &[]);
}

#[test]
fn where_nobody_can_say_which_pairs_are_there_lambda_has_to_tell() {
    let unknown = |scene: &mut Scene| {
        scene.vpc().interfaces = Seen::Unknown(Fault::Unread);
        free(scene, 0);
    };
    check(unknown, TO_HOME, &["subnet-a has only 0 free addresses"]);
}

fn two_functions() -> Scene {
    let mut scene = scene(
        "vpc = 'orders'\n[[function]]\nname = 'b'\nvpc = 'orders'\n\
         [[function]]\nname = 'c'\nvpc = 'orders'\nsecurity_groups = { names = ['lambda'] }\n\
         [[function]]\nname = 'd'\nvpc = 'orders'\nmode = 'observe'\nsecurity_groups = { ids = ['sg-default', 'sg-lambda'] }",
    );
    scene.vpc().interfaces = Seen::Present(Interfaces::default());
    scene
}

#[test]
fn a_plan_counts_the_interfaces_that_it_would_make() {
    let mut scene = two_functions();
    let told = |scene: &Scene| {
        let told: Vec<_> = plan(&scene.world()).interfaces;
        told.iter().map(|it| (it.vpc.to_string(), it.there, it.new, it.warnings.clone())).collect::<Vec<_>>()
    };
    let vpc = || "vpc-1".to_owned();
    assert_eq!(
        told(&scene),
        [(vpc(), Some(0), 4, vec![])],
        "two subnets with two sets of groups; observed ones do not count"
    );
    scene.vpc().interfaces = Seen::Present(home().pairs().collect());
    assert_eq!(told(&scene), [(vpc(), Some(2), 2, vec![])]);
    scene.function("c").network = network(&["subnet-a", "subnet-b"], &["sg-lambda"]);
    assert_eq!(told(&scene), [], "nothing new");
}

#[test]
fn a_plan_warns_of_the_usual_quota_and_of_addresses_that_do_not_suffice() {
    let mut scene = two_functions();
    let many = |number: usize| {
        let pair = |i| network(&[&format!("subnet-{i}")], &["sg-x"]).pairs().collect::<Vec<_>>();
        Seen::Present((0..number).flat_map(pair).collect())
    };
    scene.vpc().interfaces = many(496);
    assert_eq!(plan(&scene.world()).interfaces[0].warnings, Vec::<String>::new());
    free(&mut scene, 2);
    assert_eq!(plan(&scene.world()).interfaces[0].warnings, Vec::<String>::new(), "two interfaces, two addresses");
    scene.vpc().interfaces = many(497);
    free(&mut scene, 1);
    let warnings = plan(&scene.world()).interfaces[0].warnings.join("\n");
    assert!(warnings.contains("497 interfaces of Lambda are there and 4 are to be made"), "{warnings}");
    assert!(warnings.contains("subnet-a has 1 free addresses, and 2 interfaces are to be made in it"), "{warnings}");
    // Under load Lambda makes further interfaces for a pair, and each counts.
    let busy = home().pairs().flat_map(|pair| std::iter::repeat_n(pair, 250)).collect();
    scene.vpc().interfaces = Seen::Present(busy);
    let busy = &plan(&scene.world()).interfaces[0];
    assert_eq!((busy.there, busy.new), (Some(500), 2), "{busy:?}");
    assert!(busy.warnings[0].contains("500 interfaces of Lambda are there and 2 are to be made"), "{busy:?}");
    scene.vpc().interfaces = Seen::Unknown(error(Class::AccessDenied).into());
    let interfaces = plan(&scene.world()).interfaces;
    assert_eq!(interfaces[0].there, None);
    assert!(interfaces[0].warnings[0].contains("cannot be read"), "{:?}", interfaces[0].warnings);
}
