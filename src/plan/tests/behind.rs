//! Published versions that run another network: told and counted, and nothing decided from it.

use super::*;
use crate::cloud::Alias;
use crate::live::Published;
use crate::names::{AliasName, Version};

/// Aliases, and the versions that they lead to.
type Aliases<'a> = &'a [(&'a str, &'a [u64])];

/// What was published of `api`: for each version from 1 on whether it runs at `h`ome or nowhere (`-`), and what its aliases
/// lead to, if that is known.
fn publish(scene: &mut Scene, versions: &str, aliases: Option<Aliases<'_>>) {
    let alias = |(name, versions): &(&str, &[u64])| Alias {
        name: AliasName::parse(name).unwrap(),
        versions: versions.iter().copied().map(Version).collect(),
    };
    let networks = versions.chars().map(|at| if at == 'h' { home() } else { Arc::default() });
    let published = Published {
        versions: (1..).map(Version).zip(networks).collect(),
        aliases: aliases.map_or(Seen::Unknown(Fault::Unread), |all| Seen::Present(all.iter().map(alias).collect())),
        asked: aliases.map(|_| NOW),
    };
    let by_name = [(FunctionName::parse("api").unwrap(), Arc::new(published))];
    scene.swept().published = Seen::Present(by_name.into());
}

#[test]
fn what_runs_another_network_is_told_with_the_aliases_that_lead_there() {
    let rows: [(&str, Option<Aliases<'_>>, &str); 10] = [
        ("", Some(&[]), ""),
        ("h", Some(&[("live", &[1])]), ""),
        ("h", None, ""),
        ("-h", Some(&[("live", &[2])]), "the published version 1 runs another network, but no alias leads there"),
        (
            "-h",
            Some(&[("live", &[1])]),
            "the published version 1 runs another network, and the alias `live` leads there: publish a version once \
             $LATEST is in sync, and move it",
        ),
        (
            "-h",
            Some(&[("live", &[2, 1])]),
            "the published version 1 runs another network, and the alias `live` leads there: publish a version once \
             $LATEST is in sync, and move it",
        ),
        (
            "--",
            Some(&[("canary", &[2]), ("latest", &[]), ("live", &[1])]),
            "2 published versions (2, 1) run another network, and the aliases `canary`, `live` lead there: publish a \
             version once $LATEST is in sync, and move them",
        ),
        (
            "-",
            None,
            "the published version 1 runs another network, and aliases may lead there: publish a version once $LATEST \
             is in sync, and move them",
        ),
        ("-----", Some(&[]), "5 published versions (5, 4, 3, 2, 1) run another network, but no alias leads there"),
        (
            "--------",
            Some(&[]),
            "8 published versions (8, 7, 6, 5, 4 and 3 older ones) run another network, but no alias leads there",
        ),
    ];
    for (versions, aliases, expected) in rows {
        let mut scene = scene(ORDERS);
        scene.at_home();
        publish(&mut scene, versions, aliases);
        let Comparison { verdict, warnings, behind, .. } = scene.compare();
        assert_eq!(verdict, Verdict::InSync, "it is no difference");
        let elsewhere = versions.matches('-').count();
        assert_eq!(behind.unwrap().versions.len(), elsewhere);
        assert_eq!(plan(&scene.world()).versions_behind(), Some(elsewhere));
        assert_eq!(warnings.join("; "), expected, "{versions}");
    }
}

#[test]
fn the_versions_of_all_functions_are_counted_together() {
    let mut scene = scene("vpc = 'orders'\n[[function]]\nname = 'other'\nvpc = 'orders'");
    publish(&mut scene, "--", None);
    let Seen::Present(published) = &mut scene.swept().published else { panic!("nothing is published") };
    let of_api = published.values().next().cloned().unwrap();
    published.insert(FunctionName::parse("other").unwrap(), of_api);
    assert_eq!(plan(&scene.world()).versions_behind(), Some(4));
}

#[test]
fn what_is_compared_is_what_the_file_says_and_not_what_latest_has() {
    // `api` is in no network yet, and so is its first version; the second one is ahead.
    let mut scene = scene(ORDERS);
    publish(&mut scene, "-h", None);
    let before = scene.compare();
    assert_eq!(compared(&before.verdict, NOW), "set none -> subnet-a,subnet-b/sg-default");
    assert_eq!(before.behind.unwrap().versions, [Version(1)].into());
    let mut unpublished = self::scene(ORDERS);
    unpublished.swept().published = Seen::Present(BTreeMap::new());
    let same = |scene: &Scene| plan(&scene.world()).id;
    assert_eq!(same(&scene), same(&unpublished), "a plan is the same change, whatever was published");
}

#[test]
fn nothing_is_counted_where_nobody_looks_or_nobody_can_say_where_it_should_run() {
    let mut scene = scene(ORDERS);
    assert_eq!(scene.compare().behind, None);
    assert_eq!(plan(&scene.world()).versions_behind(), None, "nobody has looked");
    publish(&mut scene, "-", None);
    scene.set_vpc(Seen::Absent);
    assert_eq!(compared(&scene.compare().verdict, NOW), "blocked VpcNotFound");
    assert_eq!(scene.compare().behind, None);
    // Where it should run is known, though it must not be changed.
    let mut refused = self::scene(ORDERS);
    refused.limits.allowed_vpcs = Some(BTreeSet::new());
    publish(&mut refused, "-", None);
    assert_eq!(compared(&refused.compare().verdict, NOW), "blocked VpcNotAllowed");
    assert_eq!(plan(&refused.world()).versions_behind(), Some(1));
    assert_eq!(refused.compare().warnings, [] as [&str; 0], "there is something else to do first");
}
