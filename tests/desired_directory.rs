//! A desired state of several files: what holds in one of them, what in all, and what is said of mistakes.

use std::collections::BTreeMap;
use std::fs;

use lambda_vpc_controller::desired::{Accounts, DesiredState};

/// The desired state of a directory with these files; what is wrong, without the path of the directory.
fn load(files: &[(&str, &str)]) -> Result<DesiredState, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let state = DesiredState::load(folder.path(), &Accounts::without_aws(BTreeMap::new(), None));
    let path = format!("{}/", folder.path().display());
    state.map_err(|unusable| unusable.render(false).replace(&path, ""))
}

const NETWORK: &str = "[defaults]\nregion = 'eu-west-1'\n[[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n";
const ORDERS_API: &str = "[[function]]\nname = 'orders-api'\nvpc = 'orders'\n";

#[test]
fn a_vpc_is_used_by_other_files_and_defaults_hold_in_their_own() {
    let observed = format!("[defaults]\nmode = 'observe'\n{}", ORDERS_API.replace("api", "worker"));
    let state = load(&[("b.toml", ORDERS_API), ("a.toml", &observed), ("network.toml", NETWORK)]).unwrap();
    let found: Vec<String> = state
        .entries
        .iter()
        .map(|entry| {
            let file = entry.terms.source.path().file_name().unwrap().to_string_lossy();
            format!("{file} {} {} {:?}", entry.key.name, entry.key.scope.region, entry.terms.mode)
        })
        .collect();
    assert_eq!(found, ["a.toml orders-worker eu-west-1 Observe", "b.toml orders-api eu-west-1 Enforce"]);
    assert_eq!(state.warnings, [], "the VPC is used, and a file without functions is none of anybody's business");
}

#[test]
fn the_defaults_of_one_file_are_not_those_of_another() {
    let said = load(&[
        ("a.toml", "[defaults]\nregion = 'eu-west-1'\n[[function]]\nname = 'a'\nvpc = 'none'\n"),
        ("b.toml", "[[function]]\nname = 'b'\nvpc = 'none'\n"),
    ])
    .unwrap_err();
    assert!(said.contains("this function has no region") && said.contains("b.toml:1:1"), "{said}");
    assert!(!said.contains("a.toml"), "{said}");
}

#[test]
fn what_stands_in_two_files_is_shown_in_both() {
    let other = "[[vpc]]\nname = 'orders'\nid = 'vpc-0b1b2c3d4e5f60718'\n";
    let said =
        load(&[("a.toml", NETWORK), ("b.toml", &format!("{ORDERS_API}{other}")), ("c.toml", ORDERS_API)]).unwrap_err();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("duplicates_across_files", said);
    });
}

#[test]
fn all_mistakes_of_all_files_are_told_at_once_and_none_that_only_follows() {
    let said = load(&[
        ("a.toml", "[[vpc]\nname = 'orders'\n"),
        ("b.toml", ""),
        ("c.toml", &format!("{ORDERS_API}mode = 'watch'\n")),
    ])
    .unwrap_err();
    for words in ["a.toml:1", "not valid TOML", "b.toml is empty", "`watch` is not a mode", "c.toml:4"] {
        assert!(said.contains(words), "{words} is missing in:\n{said}");
    }
    assert!(!said.contains("there is no VPC"), "the VPC may stand where nothing could be read:\n{said}");
}

#[test]
fn a_directory_without_files_or_with_an_empty_one_is_unusable() {
    let good = format!("{NETWORK}{ORDERS_API}");
    for (files, words) in [
        (&[][..], "has no file that ends in .toml"),
        (&[("a.md", good.as_str()), (".b.toml", good.as_str())][..], "has no file that ends in .toml"),
        (&[("a.toml", good.as_str()), ("b.toml", "\n")][..], "b.toml is empty"),
        (&[("a.toml", good.as_str()), ("b.toml", "# later\n")][..], "b.toml lists nothing"),
    ] {
        let said = load(files).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
}
