//! The file is swapped under the running daemon, in every way in which files really arrive. No account is needed: what is
//! in force is told by its digest. Each way is taken twice in a row, since the first swap may kill a watch, and only the
//! second shows it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lambda_vpc_controller::desired::{Accounts, DesiredState, Files};
use lambda_vpc_controller::file::Allowed;
use lambda_vpc_controller::names::Digest;

use crate::served::aws_environment;
use crate::support::process::{Process, eventually, within};
use crate::support::{bare, program, replace};

/// Far above what an event needs, also on a busy machine, and below the poll of ten seconds, which begins anew with each
/// reading: what is in force within this time was found by an event.
const BY_EVENT: Duration = Duration::from_secs(8);

/// As long as something is waited for that was written in its place; and if an entry is gone.
const IN_PLACE: Duration = Duration::from_secs(10);
const CUT: Duration = Duration::from_secs(30);

/// A desired state; the texts of all numbers up to 999 are of one length.
fn text(number: u32) -> String {
    of("f", number)
}

/// The same of a function of this name.
fn of(name: &str, number: u32) -> String {
    format!(
        "# edition {number:03}\n[[function]]\nname = '{name}'\nvpc = 'none'\nregion = 'eu-west-1'\naccount = '123456789012'\nmode = 'observe'\n"
    )
}

/// A daemon without an account, and what it follows.
struct Follower {
    root: PathBuf,
    _folder: tempfile::TempDir,
    desired: PathBuf,
    daemon: Process,
}

impl Follower {
    /// Lets the layout be made, and starts a daemon on it.
    fn start(desired: &str, lay_out: impl FnOnce(&Path)) -> Self {
        Self::start_with(program(), desired, lay_out)
    }

    fn start_with(mut program: Command, desired: &str, lay_out: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        lay_out(&root);
        let settings = root.join("controller.toml");
        if !settings.exists() {
            fs::write(&settings, format!("desired = '{desired}'\nlisten = '127.0.0.1:0'\nresync = '1h'\n")).unwrap();
        }
        program.args(["run", "--log-format", "json", "--config"]).arg(&settings);
        // Nothing listens on port 9 of the loopback interface.
        let daemon = Process::start(program.envs(aws_environment("http://127.0.0.1:9")));
        let follower = Self { desired: root.join(desired), root, _folder: folder, daemon };
        follower.in_force_within(Duration::from_secs(30), desired);
        follower
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let at = self.daemon.told("\"at\":\"", '"');
        let text = ureq::get(format!("http://{at}/metrics")).call().ok()?.body_mut().read_to_string().ok()?;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until what is there now is in force.
    #[track_caller]
    fn in_force_within(&self, limit: Duration, what: &str) {
        let anywhere = Files::read(&self.desired, &Allowed::anywhere());
        let state = DesiredState::of(&anywhere, &Accounts::without_aws(BTreeMap::new(), None)).unwrap();
        let series = format!("lambda_vpc_desired_info{{digest=\"{}\"}}", state.digest.as_str());
        let said = || format!("{what} was not noticed:\n{}", self.daemon.output());
        within(limit, said, || self.metric(&series).filter(|value| *value == 1.0));
    }

    fn put(&self, path: &str, content: &str) {
        fs::write(self.root.join(path), content).unwrap();
    }

    fn replace(&self, path: &str, content: &str) {
        replace(&self.root.join(path), content);
    }

    /// Replaces a link, as one rename.
    fn swap_link(&self, link: &str, target: &str) {
        let next = self.root.join(format!("{link}_tmp"));
        symlink(target, &next).unwrap();
        fs::rename(next, self.root.join(link)).unwrap();
    }
}

/// A volume as Kubernetes mounts it: `f.toml` leads to `..data/f.toml`, and `..data` to a directory of one revision.
fn config_map(root: &Path) {
    config_map_revision(root, 0);
    symlink("..rev0", root.join("mount/..data")).unwrap();
    symlink("..data/f.toml", root.join("mount/f.toml")).unwrap();
}

fn config_map_revision(root: &Path, number: u32) {
    let revision = root.join(format!("mount/..rev{number}"));
    fs::create_dir_all(&revision).unwrap();
    fs::write(revision.join("f.toml"), text(number)).unwrap();
}

fn swap_config_map(it: &Follower, turn: u32) {
    config_map_revision(&it.root, turn);
    it.swap_link("mount/..data", &format!("..rev{turn}"));
    fs::remove_dir_all(it.root.join(format!("mount/..rev{}", turn - 1))).unwrap();
}

/// A tree as git-sync keeps it: a link leads to the tree of one revision.
fn git_sync(root: &Path) {
    git_revision(root, 0);
    symlink("rev0", root.join("git/current")).unwrap();
}

fn git_revision(root: &Path, number: u32) {
    let tree = root.join(format!("git/rev{number}/fleet"));
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("f.toml"), text(number)).unwrap();
}

fn swap_git(it: &Follower, turn: u32) {
    git_revision(&it.root, turn);
    it.swap_link("git/current", &format!("rev{turn}"));
}

fn swap_git_and_remove(it: &Follower, turn: u32) {
    swap_git(it, turn);
    fs::remove_dir_all(it.root.join(format!("git/rev{}", turn - 1))).unwrap();
}

fn plain(root: &Path) {
    fs::create_dir(root.join("dir")).unwrap();
    fs::write(root.join("dir/f.toml"), text(0)).unwrap();
}

fn chain(root: &Path) {
    allow(root, "one/f.toml", ".");
    for folder in ["one", "two", "three", "end"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    for number in 0..=2 {
        fs::write(root.join(format!("end/{number}.toml")), text(number)).unwrap();
    }
    symlink("../two/f.toml", root.join("one/f.toml")).unwrap();
    symlink("../three/f.toml", root.join("two/f.toml")).unwrap();
    symlink("../end/0.toml", root.join("three/f.toml")).unwrap();
}

/// Settings that let links lead into this directory as well.
fn allow(root: &Path, desired: &str, directory: &str) {
    let text =
        format!("desired = '{desired}'\nlisten = '127.0.0.1:0'\nresync = '1h'\n[files]\nroots = ['{directory}']\n");
    fs::write(root.join("controller.toml"), text).unwrap();
}

/// A way in which files change.
struct Way {
    name: &'static str,
    /// How long it is waited for, beside the time in which an event is noticed.
    waited: Duration,
    desired: &'static str,
    lay_out: fn(&Path),
    change: fn(&Follower, u32),
}

const WAYS: &[Way] = &[
    Way {
        name: "a write in place",
        waited: IN_PLACE,
        desired: "dir/f.toml",
        lay_out: plain,
        change: |it, turn| {
            let mut file = OpenOptions::new().write(true).open(it.root.join("dir/f.toml")).unwrap();
            file.write_all(text(turn).as_bytes()).unwrap();
        },
    },
    Way {
        name: "a truncation, then a write",
        waited: IN_PLACE,
        desired: "dir/f.toml",
        lay_out: plain,
        change: |it, turn| {
            let mut file = fs::File::create(it.root.join("dir/f.toml")).unwrap();
            if turn == 2 {
                eventually("the empty file to be refused", || {
                    it.metric("lambda_vpc_desired_valid").filter(|it| *it == 0.0)
                });
            }
            file.write_all(text(turn).as_bytes()).unwrap();
        },
    },
    Way {
        name: "a rename over the file",
        waited: Duration::ZERO,
        desired: "dir/f.toml",
        lay_out: plain,
        change: |it, turn| {
            it.replace("dir/f.toml", &text(turn));
        },
    },
    Way {
        name: "the file removed and put back",
        waited: IN_PLACE,
        desired: "dir/f.toml",
        lay_out: plain,
        change: |it, turn| {
            fs::remove_file(&it.desired).unwrap();
            eventually("the missing file to be told", || it.metric("lambda_vpc_desired_valid").filter(|it| *it == 0.0));
            it.put("dir/f.toml", &text(turn));
        },
    },
    Way {
        name: "a directory that goes and appears later",
        waited: IN_PLACE,
        desired: "dir/f.toml",
        lay_out: plain,
        change: |it, turn| {
            fs::remove_dir_all(it.root.join("dir")).unwrap();
            eventually("the missing file to be told", || it.metric("lambda_vpc_desired_valid").filter(|it| *it == 0.0));
            fs::create_dir(it.root.join("dir")).unwrap();
            it.put("dir/f.toml", &text(turn));
        },
    },
    Way {
        name: "a ConfigMap's swap",
        waited: Duration::ZERO,
        desired: "mount/f.toml",
        lay_out: config_map,
        change: swap_config_map,
    },
    Way {
        name: "a ConfigMap's swap, as a directory",
        waited: Duration::ZERO,
        desired: "mount",
        lay_out: config_map,
        change: swap_config_map,
    },
    Way {
        name: "git-sync, the old tree kept",
        waited: Duration::ZERO,
        desired: "git/current/fleet/f.toml",
        lay_out: git_sync,
        change: swap_git,
    },
    Way {
        name: "git-sync, the old tree removed",
        waited: Duration::ZERO,
        desired: "git/current/fleet/f.toml",
        lay_out: git_sync,
        change: swap_git_and_remove,
    },
    Way {
        name: "git-sync of a directory",
        waited: Duration::ZERO,
        desired: "git/current/fleet",
        lay_out: git_sync,
        change: swap_git_and_remove,
    },
    Way {
        name: "the last link of three",
        waited: Duration::ZERO,
        desired: "one/f.toml",
        lay_out: chain,
        change: |it, turn| it.swap_link("three/f.toml", &format!("../end/{turn}.toml")),
    },
    Way {
        name: "the links of three before the last",
        waited: Duration::ZERO,
        desired: "one/f.toml",
        lay_out: chain,
        change: |it, turn| {
            let link = if turn == 1 { "two/f.toml" } else { "one/f.toml" };
            it.swap_link(link, &format!("../end/{turn}.toml"));
        },
    },
    Way {
        name: "a file added to a directory, and one removed",
        waited: CUT,
        desired: "dir",
        lay_out: plain,
        change: |it, turn| match turn {
            1 => it.put("dir/more.toml", &of("more", turn)),
            _ => fs::remove_file(it.root.join("dir/f.toml")).unwrap(),
        },
    },
    Way {
        name: "a file renamed to a directory, and over one there",
        waited: Duration::ZERO,
        desired: "dir",
        lay_out: plain,
        change: |it, turn| match turn {
            1 => it.replace("dir/more.toml", &of("more", turn)),
            _ => it.replace("dir/f.toml", &text(turn)),
        },
    },
    Way {
        name: "a write to a file that a directory has a link to",
        waited: IN_PLACE,
        desired: "links",
        lay_out: |root| {
            plain(root);
            allow(root, "links", "dir");
            fs::create_dir(root.join("links")).unwrap();
            symlink("../dir/f.toml", root.join("links/f.toml")).unwrap();
        },
        change: |it, turn| it.put("dir/f.toml", &text(turn)),
    },
];

#[test]
fn every_way_of_changing_is_noticed_twice_in_a_row() {
    std::thread::scope(|scope| {
        // Two at a time: what is measured is the reaction, not how many processes a machine can start.
        let (even, odd): (Vec<_>, Vec<_>) = WAYS.iter().enumerate().partition(|(at, _)| at % 2 == 0);
        for ways in [even, odd] {
            scope.spawn(move || {
                for (_, way) in ways {
                    let follower = Follower::start(way.desired, way.lay_out);
                    for turn in 1..=2 {
                        (way.change)(&follower, turn);
                        follower.in_force_within(way.waited + BY_EVENT, &format!("{}, turn {turn}", way.name));
                    }
                }
            });
        }
    });
}

#[test]
fn after_two_hundred_swaps_in_ten_seconds_the_last_content_is_in_force() {
    let follower = Follower::start("mount/f.toml", config_map);
    for turn in 1..=200 {
        swap_config_map(&follower, turn);
        std::thread::sleep(Duration::from_millis(50));
    }
    follower.in_force_within(BY_EVENT, "the last swap");
    let loads = follower.metric("lambda_vpc_desired_loads_total{result=\"success\"}").unwrap();
    assert!((2.0..=10.0).contains(&loads), "{loads} readings were taken over: a storm is waited out, for 3 s at most");
    assert_eq!(follower.metric("lambda_vpc_desired_valid"), Some(1.0));
}

#[test]
fn the_settings_name_another_place_and_that_is_followed_from_then_on() {
    let mut follower = Follower::start("dir/f.toml", |root| {
        plain(root);
        fs::create_dir(root.join("other")).unwrap();
        fs::write(root.join("other/g.toml"), text(7)).unwrap();
    });
    follower.replace("controller.toml", "desired = 'other'\nlisten = '127.0.0.1:0'\nresync = '1h'\n");
    follower.desired = follower.root.join("other");
    follower.in_force_within(BY_EVENT, "the other place");
    for turn in 1..=2 {
        follower.replace("other/g.toml", &text(turn));
        follower.in_force_within(BY_EVENT, "a change in the other place");
    }
}

#[test]
fn the_settings_are_followed_in_the_same_way_twice_in_a_row() {
    let revision = |root: &Path, number: u32| {
        let tree = root.join(format!("mount/..rev{number}"));
        fs::create_dir_all(&tree).unwrap();
        let settings = format!("desired = 'dir/{number}.toml'\nlisten = '127.0.0.1:0'\nresync = '1h'\n");
        fs::write(tree.join("controller.toml"), settings).unwrap();
    };
    let mut follower = Follower::start("dir/0.toml", |root| {
        fs::create_dir(root.join("dir")).unwrap();
        (0..=2).for_each(|number| fs::write(root.join(format!("dir/{number}.toml")), text(number)).unwrap());
        revision(root, 0);
        symlink("..rev0", root.join("mount/..data")).unwrap();
        symlink("mount/..data/controller.toml", root.join("controller.toml")).unwrap();
    });
    for turn in 1..=2 {
        revision(&follower.root, turn);
        follower.swap_link("mount/..data", &format!("..rev{turn}"));
        fs::remove_dir_all(follower.root.join(format!("mount/..rev{}", turn - 1))).unwrap();
        follower.desired = follower.root.join(format!("dir/{turn}.toml"));
        follower.in_force_within(BY_EVENT, &format!("settings of turn {turn}"));
    }
}

/// Prints how long it takes from the rename of a file until the log says that it is in force.
#[test]
#[ignore = "a measurement, which says something on a machine that does nothing else"]
fn how_long_it_takes_until_an_edit_is_in_force() {
    let follower = Follower::start("dir/f.toml", plain);
    let mut took: Vec<Duration> = (1..=20)
        .map(|turn| {
            let digest = Digest::of(text(turn).as_bytes());
            follower.put("dir/next", &text(turn));
            let begun = Instant::now();
            fs::rename(follower.root.join("dir/next"), follower.root.join("dir/f.toml")).unwrap();
            while !follower.daemon.output().contains(&format!("\"digest\":\"{}\"", digest.short())) {
                assert!(begun.elapsed() < BY_EVENT, "edit {turn} was not noticed:\n{}", follower.daemon.output());
                std::thread::sleep(Duration::from_millis(1));
            }
            begun.elapsed()
        })
        .collect();
    took.sort();
    println!("20 edits: {:?} at best, {:?} in the median, {:?} at worst", took[0], took[10], took[19]);
}

#[test]
fn where_the_system_gives_no_events_the_poll_finds_every_change() {
    // In a user namespace of its own a process can be forbidden to use inotify, where that is allowed to anybody.
    let no_events = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
    let possible = Command::new("unshare").args(["-Ur", "sh", "-c", no_events, "sh", "true"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("user namespaces are not available here: the poll is tested with a watch without events alone");
        return;
    }
    let mut unshared = bare("unshare");
    unshared.args(["-Ur", "sh", "-c", no_events, "sh"]).arg(program().get_program());
    let follower = Follower::start_with(unshared, "mount/f.toml", config_map);
    follower.daemon.told("no file events: the file is polled", '"');
    for turn in 1..=2 {
        swap_config_map(&follower, turn);
        follower.in_force_within(Duration::from_secs(15), "a swap without events");
    }
}
