//! The documentation is true of the program: what it shows is read, understood or run by it, and its links lead somewhere.

mod page;
mod reference;
mod shell;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use lambda_vpc_controller::commands::Cli;
use lambda_vpc_controller::desired::{Accounts, DesiredState};
use lambda_vpc_controller::file::Source;
use lambda_vpc_controller::names::AccountId;
use lambda_vpc_controller::settings::{Overrides, Settings};

use self::page::{Block, Page, of_the_book, root};
use crate::served::aws_environment;
use crate::support::process::{Process, eventually};
use crate::support::program;

const OURS: &str = "lambda-vpc-controller";

fn blocks(info: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Page::all().iter().flat_map(Page::blocks).collect();
    blocks.retain(|block| block.info == info);
    assert!(!blocks.is_empty(), "no block of {info} was found");
    blocks
}

/// A block is a file of the desired state if it has one of its tables, and otherwise one of settings.
#[test]
fn every_file_that_is_shown_is_valid_and_nothing_about_it_is_doubtful() {
    let (mut desired, mut settings) = (0, 0);
    for Block { place, body, .. } in blocks("toml") {
        let source = Source::from_bytes(Path::new(&place), body.clone().into_bytes()).unwrap();
        if is_desired(&body) {
            desired += 1;
            let named = ["prod", "billing"].map(|name| (name.to_owned(), AccountId::parse("210987654321").unwrap()));
            let state = DesiredState::check(&source, &Accounts::without_aws(named.into(), None));
            let state = state.unwrap_or_else(|said| panic!("{}", said.render(false)));
            assert_eq!(state.warnings, [], "{place}");
        } else {
            settings += 1;
            Settings::check(&source, &Overrides::default()).unwrap_or_else(|said| panic!("{}", said.render(false)));
        }
    }
    assert!(desired >= 3 && settings >= 4, "{desired} and {settings}");
}

fn is_desired(body: &str) -> bool {
    ["[defaults]", "[[vpc]]", "[[function]]"].iter().any(|table| body.lines().any(|line| line == *table))
}

#[test]
fn every_block_of_json_is_json() {
    for Block { place, body, .. } in blocks("json") {
        let read: Result<serde_json::Value, _> = serde_json::from_str(&body);
        read.unwrap_or_else(|error| panic!("{place}: {error}"));
    }
}

/// A block of another kind would be checked by nobody. The two without a kind are pictures of the architecture, and the
/// text is the help of the commands, which is made from the program; two lines for an image of one's own are left to the
/// reader.
#[test]
fn no_block_goes_unchecked() {
    let mut kinds: BTreeMap<(String, String), usize> = BTreeMap::new();
    for block in Page::all().iter().flat_map(Page::blocks) {
        let (page, _) = block.place.split_once(':').unwrap();
        let known = ["toml", "json", "sh"].contains(&block.info.as_str());
        if !known {
            *kinds.entry((page.to_owned(), block.info)).or_default() += 1;
        }
    }
    let helps = 1 + reference::names().len();
    let expected = [
        ("ARCHITECTURE.md", "", 2),
        ("docs/commands.md", "text", helps),
        ("docs/design.md", "", 2),
        ("deploy/ecs/README.md", "dockerfile", 1),
    ];
    let expected = expected.iter().filter(|(page, ..)| root().join(page).exists());
    let expected: BTreeMap<_, _> =
        expected.map(|(page, info, times)| (((*page).to_owned(), (*info).to_owned()), *times)).collect();
    assert_eq!(kinds, expected, "blocks that nobody checks");
}

/// Gives the arguments to the program's own parser.
fn understood(place: &str, words: &[String]) {
    let plan = |word: &String| if word == "ID" { "0123456789ab".to_owned() } else { word.clone() };
    match Cli::try_parse_from(words.iter().map(plan)) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {}
        Err(error) => panic!("{place} shows `{}`, which is refused: {error}", words.join(" ")),
    }
}

/// What a command asks of this program, if it does.
fn ours(words: &[String]) -> Option<Vec<String>> {
    let program = || vec![OURS.to_owned()];
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [OURS, ..] => Some(words.to_vec()),
        ["cargo", "run", "--", ..] => Some([program(), words[3..].to_vec()].concat()),
        // The image begins the program by itself.
        ["docker", "run", ..] => Some(words.iter().skip_while(|word| *word != OURS).cloned().collect()),
        _ => None,
    }
}

#[test]
fn every_command_that_is_shown_is_understood() {
    let (mut own, mut others) = (0, BTreeSet::new());
    for Block { place, body, .. } in blocks("sh") {
        let commands = shell::commands(&body).unwrap_or_else(|wrong| panic!("{place}: {wrong}"));
        assert!(!commands.is_empty(), "{place} is empty");
        for words in commands {
            match ours(&words) {
                Some(words) => {
                    own += 1;
                    understood(&place, &words);
                }
                None => others.extend(words.first().cloned()),
            }
        }
    }
    assert!(own >= 20, "{own}");
    // What other programs are asked for is not checked here.
    assert_eq!(others.into_iter().collect::<Vec<_>>(), ["aws", "cargo", "docker"]);
}

/// In the prose: whole commands, commands without the program's name, and flags alone.
#[test]
fn every_command_and_flag_that_is_spoken_of_is_there() {
    let (names, cli) = (reference::names(), Cli::command());
    let all = || std::iter::once(&cli).chain(cli.get_subcommands()).flat_map(|command| command.get_arguments());
    let mut seen = (0, 0, 0);
    for page in Page::all() {
        let place = page.path.display().to_string();
        for code in page.code() {
            if code.contains(&format!("{OURS} ")) {
                for words in shell::commands(&code).unwrap_or_default().iter().filter_map(|words| ours(words)) {
                    seen.0 += 1;
                    understood(&place, &words);
                }
            }
            let words: Vec<String> = code.split(' ').map(str::to_owned).collect();
            if names.contains(&words[0]) && words.iter().any(|word| word.starts_with("--")) {
                seen.1 += 1;
                understood(&place, &[vec![OURS.to_owned()], words.clone()].concat());
            }
            if let Some(flag) = words[0].strip_prefix("--") {
                seen.2 += 1;
                let known = flag == "help" || flag == "version" || all().any(|arg| arg.get_long() == Some(flag));
                assert!(known, "{place} tells of --{flag}, which no command takes");
            }
        }
    }
    assert!(seen.0 >= 8 && seen.1 >= 2 && seen.2 >= 8, "{seen:?}");
}

#[test]
fn every_variable_metric_and_setting_that_is_spoken_of_is_there() {
    let cli = Cli::command();
    let arguments = std::iter::once(&cli).chain(cli.get_subcommands()).flat_map(|command| command.get_arguments());
    let variables: BTreeSet<String> =
        arguments.filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned)).collect();
    // That this table is the program's is another test's business.
    let metrics = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let schema = Settings::schema();
    let settings: BTreeSet<String> = ["Limits", "Guard", "Metrics", "Account"]
        .iter()
        .flat_map(|table| {
            let keys = schema.pointer(&format!("/$defs/Raw{table}/properties")).unwrap().as_object().unwrap().keys();
            keys.map(|key| format!("{}.{key}", table.to_lowercase()))
        })
        .collect();
    for page in Page::all() {
        let place = page.path.display();
        for variable in page.words("LAMBDA_VPC_", |c| c.is_ascii_uppercase() || c == '_') {
            let known = variable == "LAMBDA_VPC_" || variables.contains(&variable);
            assert!(known, "{place} tells of {variable}, which nothing reads");
        }
        for metric in page.words("lambda_vpc_", |c| c.is_ascii_lowercase() || c == '_') {
            let known = metric == "lambda_vpc_controller" || metrics.contains(&format!("| `{metric}` |"));
            assert!(known, "{place} tells of {metric}, which is no metric");
        }
        for code in page.code() {
            let table = code.split('.').next().unwrap_or_default();
            let spoken = ["limits", "guard", "metrics", "account"].contains(&table) && code.contains('.');
            if spoken && !code.ends_with(".md") && !code.contains("/") {
                let key = code.split(' ').next().unwrap_or_default();
                assert!(settings.contains(key), "{place} tells of the setting {code}, which is not there");
            }
        }
    }
}

/// The rights that the page about security lists, and those that the program prints for settings that want the most.
#[test]
fn the_rights_that_are_listed_are_those_that_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut printed = BTreeSet::new();
    for settings in ["versions = true", "[limits]\nget_function_per_second = 9"] {
        fs::write(folder.path().join("controller.toml"), settings).unwrap();
        let output = program().args(["iam-policy", "--config", "controller.toml"]).current_dir(folder.path()).output();
        let policy: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
        printed.extend(actions.map(|action| action.as_str().unwrap().to_owned()));
    }
    let code = Page::read("docs/security.md").code();
    let is_right = |code: &&String| {
        let service = code.split(':').next().unwrap_or_default();
        let action = code.split(':').nth(1).and_then(|action| action.chars().next());
        ["sts", "lambda", "iam", "ec2"].contains(&service) && action.is_some_and(char::is_uppercase)
    };
    // What follows a colon in these is a key of a condition.
    let keys = ["iam:PolicyARN", "lambda:VpcIds", "lambda:Layer"];
    let listed: BTreeSet<String> =
        code.iter().filter(is_right).filter(|it| !keys.contains(&it.as_str())).cloned().collect();
    // Nobody needs a right for this one.
    printed.insert("sts:GetCallerIdentity".to_owned());
    assert_eq!(listed, printed);
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => assert!(plain.pop(), "{} leads out of the repository", path.display()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for page in Page::all() {
        let place = page.path.display().to_string();
        for link in page.links() {
            seen += 1;
            assert!(!link.contains("://"), "{place} leads elsewhere: {link}");
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, at)| (file, Some(at)));
            let target = match file {
                "" => page.path.clone(),
                file => plain(&page.path.parent().unwrap().join(file)),
            };
            assert!(root().join(&target).exists(), "{place}: there is nothing at {link}");
            let within = !page.is_of_the_book() || target.starts_with("docs");
            assert!(within, "{place}: {link} leads out of the book, where it would be broken: write it as code");
            if let Some(anchor) = anchor {
                let anchors = Page::read(&target).anchors();
                assert!(anchors.contains(anchor), "{place}: no heading for {link}; there are {anchors:?}");
            }
        }
    }
    assert!(seen > 80, "{seen}");
}

/// Files and folders of the repository that are spoken of, since a book cannot link to them.
#[test]
fn every_file_that_is_spoken_of_is_there() {
    let mut seen = 0;
    for page in Page::all() {
        for code in page.code().iter().filter(|code| !code.contains(' ')) {
            let folders = ["deploy/", "src/", "tests/", "docs/", "config/", ".ci/", "fuzz/", "benches/"];
            if folders.iter().any(|folder| code.starts_with(folder)) {
                seen += 1;
                assert!(root().join(code).exists(), "{} tells of {code}, which is not there", page.path.display());
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn the_book_has_every_page_once() {
    let listed: Vec<PathBuf> =
        Page::read("docs/SUMMARY.md").links().iter().map(|link| Path::new("docs").join(link)).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    let pages: Vec<PathBuf> = of_the_book().into_iter().filter(|path| !path.ends_with("SUMMARY.md")).collect();
    assert_eq!(sorted, pages);
    for page in pages {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        assert!(text.starts_with("# "), "{} has no title", page.display());
    }
}

#[test]
fn the_parts_made_from_the_program_are_as_it_makes_them() {
    for part in reference::PARTS {
        let (page, should) = part.stands_and_should();
        let differs = page.lines().zip(should.lines()).find(|(stands, should)| stands != should);
        assert!(page == should, "{} is not what the program says: run docs/generate. First: {differs:?}", part.page);
    }
}

/// Writes those parts: `docs/generate`.
#[test]
#[ignore = "writes into docs/"]
fn the_parts_made_from_the_program_are_written() {
    for part in reference::PARTS {
        let (_, should) = part.stands_and_should();
        fs::write(root().join(part.page), should).unwrap();
    }
}

/// The page for beginners, step by step, on a simulated account in which all goes thirty times as fast. From the step on in
/// which the daemon's policy is printed, the account allows what that policy allows, and nothing else.
#[test]
fn the_first_ten_minutes_go_as_they_are_told() {
    let desk = Desk::new();
    let page = Page::read("docs/getting-started.md");
    let (mut steps, mut files, mut further) = (Vec::new(), BTreeSet::new(), String::new());
    for Block { info, body, .. } in page.blocks() {
        match info.as_str() {
            "toml" => {
                let name = if is_desired(&body) { "functions.toml" } else { "controller.toml" };
                match files.insert(name) {
                    true => fs::write(desk.folder.path().join(name), &body).unwrap(),
                    // The account that is to be added at the end.
                    false => further += &body,
                }
            }
            "sh" => steps.extend(shell::commands(&body).unwrap().iter().filter_map(|words| ours(words))),
            _ => {}
        }
    }
    let mut simulated = desk.simulated(&[]);
    let (mut daemon, mut url) = (None, String::new());
    let mut gone = Vec::new();
    for step in steps {
        let arguments: Vec<&str> = step[1..].iter().map(String::as_str).collect();
        let aws = &simulated.1;
        match arguments[0] {
            "run" => {
                let run = [&arguments[..], &["--listen", "127.0.0.1:0"]].concat();
                let running = daemon.insert(Process::start(&mut desk.program(&run, aws)));
                url = format!("http://{}", running.told("\"at\":\"", '"'));
                eventually("the daemon to have looked", || {
                    let ready = desk.program(&["status", "--url", &url], aws).output().unwrap();
                    (ready.status.code() == Some(0)).then_some(())
                });
            }
            "status" => drop(desk.goes(&[&arguments[..], &["--url", &url]].concat(), aws, 0)),
            "apply" => drop(desk.goes(&[&arguments[..], &["--yes"]].concat(), aws, 0)),
            "plan" => drop(desk.goes(&arguments, aws, 2)),
            "iam-policy" if arguments.contains(&"--account") => {
                let settings = desk.folder.path().join("controller.toml");
                let stated = fs::read_to_string(&settings).unwrap() + &std::mem::take(&mut further);
                fs::write(&settings, stated).unwrap();
                let policy = String::from_utf8(desk.goes(&arguments, aws, 0)).unwrap();
                let expected =
                    if arguments.contains(&"--trust") { "sts:ExternalId" } else { "arn:aws:iam::210987654321:" };
                assert!(policy.contains(expected), "{policy}");
            }
            "iam-policy" => {
                let policy = desk.goes(&arguments, aws, 0);
                fs::write(desk.folder.path().join("policy.json"), policy).unwrap();
                simulated = desk.simulated(&["--policy", "policy.json"]);
            }
            _ => drop(desk.goes(&arguments, aws, 0)),
        }
        gone.push(arguments[0].to_owned());
    }
    assert_eq!(gone[..8], ["--version", "validate", "plan", "iam-policy", "apply", "run", "status", "status"]);
    assert_eq!(gone[8..], ["iam-policy", "iam-policy"]);
}

/// A folder in which the steps of a page are gone.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A simulated account, and its address.
    fn simulated(&self, more: &[&str]) -> (Process, String) {
        let mut simulate = program();
        simulate.args(["simulate", "--listen", "127.0.0.1:0", "--time-scale", "30"]).args(more);
        let simulated = Process::start(simulate.current_dir(self.folder.path()));
        let at = simulated.told("is served at ", '\n');
        (simulated, at)
    }

    fn program(&self, arguments: &[&str], aws: &str) -> Command {
        let mut program = program();
        program.args(arguments).current_dir(self.folder.path()).envs(aws_environment(aws));
        program
    }

    /// Runs a step; what it prints.
    #[track_caller]
    fn goes(&self, arguments: &[&str], aws: &str, expected: i32) -> Vec<u8> {
        let output = self.program(arguments, aws).output().unwrap();
        let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned()).concat();
        assert_eq!(output.status.code(), Some(expected), "{}: {said}", arguments.join(" "));
        output.stdout
    }
}
