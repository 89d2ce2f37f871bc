//! `import`: the desired state that describes a live fleet, for whoever begins with one.
//!
//! What is listed is safe to plan on: nothing would be changed. What cannot be listed so is told in a comment and left
//! alone, as everything is that no file lists. A region whose functions cannot be listed ends it all, since nobody would
//! know what is missing.

mod adopt;
mod naming;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use self::adopt::{Adopted, Outside, adopt};
use self::text::{one_line, place};
use super::{Failure, ImportArgs, connect, exit, print};
use crate::cloud::aws::{Aws, Endpoint};
use crate::cloud::{Function, Listed, Read, Unobserved};
use crate::desired::Accounts;
use crate::live::{self, Facts, Fault};
use crate::names::{AccountId, Region, ScopeKey};
use crate::plan::{Limits, Why};
use crate::settings::Settings;

/// What AWS said, of each region that was looked at.
type Regions = BTreeMap<ScopeKey, Facts>;

pub(super) async fn run(settings: &Settings, args: &ImportArgs) -> Result<ExitCode, Failure> {
    let target = Target::of(&args.output)?;
    let clock = connect::clock();
    let aws = connect::aws(settings, &Endpoint::Environment, Arc::new(Unobserved), clock.clone()).await?;
    let regions = regions(args, &aws);
    let Some(any) = regions.first() else {
        let none = "no region is known to look at: pass --region eu-west-1, or set AWS_REGION";
        return Err(Failure::Other(none.to_owned()));
    };
    let read = connect::reading(&aws, &clock);
    let account = account(settings, args, &*read, any).await?;
    let mut facts = Regions::new();
    for region in regions {
        let scope = ScopeKey { account: account.clone(), region };
        let found = live::fleet(&*read, &scope, |listed| picked(args, listed), clock.now()).await;
        let found = found.map_err(|fault| unlisted(&scope, &fault))?;
        facts.insert(scope, Facts::from(found));
    }
    let outside = if args.detached { Outside::Listed } else { Outside::LeftOut };
    let adopted = adopt(&facts, outside, &Limits::attended(settings), clock.now())
        .map_err(|text| Failure::Other(format!("this is a defect of the program, and nothing was written: {text}")))?;
    tell(&adopted);
    if adopted.listed.is_empty() {
        return Err(Failure::Other(nothing(&adopted)));
    }
    target.write(&adopted.text)?;
    tell_written(&adopted, &facts, &target);
    let unread = adopted.doubts().any(|(_, doubt)| doubt.unread);
    Ok(if unread { exit::ERROR } else { exit::FINE })
}

fn regions(args: &ImportArgs, aws: &Aws) -> BTreeSet<Region> {
    match args.region.is_empty() {
        true => aws.region().into_iter().collect(),
        false => args.region.iter().cloned().collect(),
    }
}

/// The account that is meant: by its name in the settings, by its id, or the one of the credentials, as any region says.
async fn account(
    settings: &Settings,
    args: &ImportArgs,
    read: &dyn Read,
    region: &Region,
) -> Result<AccountId, Failure> {
    let Some(text) = &args.account else {
        let identity = read.caller_identity(None, region).await;
        let unknown = |why| Failure::Other(format!("whose the credentials are could not be found out: {why}"));
        return identity.map(|identity| identity.account).map_err(|error| unknown(Why::answered(&error)));
    };
    let accounts = Accounts::without_aws(connect::named_accounts(settings), None);
    accounts.find(text).map_err(|none| {
        let help = none.help().map(|help| format!("; {help}")).unwrap_or_default();
        Failure::Other(format!("{none}{help}"))
    })
}

/// Whether a function is asked for. One that cannot be understood may be in any VPC.
fn picked(args: &ImportArgs, Listed { name, version: _, function }: &Listed) -> bool {
    let in_vpc = |function: &Function| function.vpc.as_ref().is_some_and(|vpc| args.vpc.contains(vpc));
    (args.name.is_empty() || args.name.iter().any(|pattern| pattern.fits(name)))
        && (args.vpc.is_empty() || function.as_ref().map_or(true, in_vpc))
}

fn unlisted(scope: &ScopeKey, fault: &Fault) -> Failure {
    let ScopeKey { account, region } = scope;
    Failure::Other(format!(
        "the functions of account {account} in {region} could not be listed, and nothing was written: {}",
        Why::unread(fault)
    ))
}

fn nothing(Adopted { left_out, outside, .. }: &Adopted) -> String {
    let mut text = "no function was found that can be listed, and nothing was written".to_owned();
    match outside {
        0 => {}
        1 => text += "; 1 is in no VPC (--detached lists it)",
        _ => text += &format!("; {outside} are in no VPC (--detached lists them)"),
    }
    if left_out.is_empty() && *outside == 0 {
        text += "; look at --name, --vpc, --region and --account";
    }
    text
}

/// Says of each function that is not listed, or not like the others, why.
fn tell(adopted: &Adopted) {
    for (key, doubt) in adopted.doubts() {
        let level = if doubt.unread { "error" } else { "note" };
        print::tell(&format!("{level}: {}: {}", key, one_line(&doubt.text)));
    }
}

fn tell_written(adopted: &Adopted, facts: &Regions, target: &Target<'_>) {
    let networks: BTreeSet<_> = adopted.listed.keys().filter_map(|key| place(facts, key)).collect();
    let functions = print::counted(adopted.listed.len(), "function");
    let networks = print::counted(networks.len(), "network");
    let rest = match adopted.left_out.len() {
        0 => String::new(),
        number => format!("; {number} not listed, as the comments at the end say"),
    };
    print::tell(&format!("{functions} in {networks}{rest}"));
    if let Target::File(path) = target {
        print::tell(&format!("written to {0}; see it with: lambda-vpc-controller plan --desired {0}", path.display()));
    }
}

/// Where the file goes.
enum Target<'a> {
    Stdout,
    File(&'a Path),
}

impl<'a> Target<'a> {
    /// A file that is there already is refused before anything is looked at.
    fn of(output: &'a Path) -> Result<Self, Failure> {
        match output.as_os_str() == "-" {
            true => Ok(Self::Stdout),
            false if output.symlink_metadata().is_ok() => Err(there(output)),
            false => Ok(Self::File(output)),
        }
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let Self::File(path) = self else { return print::out(text) };
        let cannot = |error| Failure::Other(format!("{} cannot be written: {error}", path.display()));
        let mut file = File::create_new(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => there(path),
            _ => cannot(error),
        })?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
            // It was made a moment ago; half of it would be taken for the whole.
            let _ = std::fs::remove_file(path);
            cannot(error)
        })
    }
}

fn there(path: &Path) -> Failure {
    let path = path.display();
    Failure::Other(format!("{path} is there already, and nothing is overwritten: remove it, or name another file"))
}

#[cfg(test)]
mod tests;
