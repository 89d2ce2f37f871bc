//! `simulate`: the simulated account alone, for any AWS client.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::connect::clock;
use super::{Failure, SimulateArgs, exit, print, run};
use crate::file::{Allowed, Beside, Source, Unusable};
use crate::names::{Clock, Time};
use crate::simulator::{Door, IdentityPolicy, World, WorldError, http};

/// A simulated world is this old when it is first seen, so that nothing in it looks freshly changed.
const AGE: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn run(args: &SimulateArgs) -> Result<ExitCode, Failure> {
    let world = match (&args.world, args.functions) {
        (Some(file), _) => World::parse(&text_of(file).await?, &file.display().to_string()),
        (None, Some(functions)) => Ok(World::fleet(functions)),
        (None, None) => World::demo(),
    };
    let listener = run::listen(args.listen).await?;
    let door = world.and_then(|world| open(&world, args.time_scale, clock())).map_err(wrong)?;
    if let Some(file) = &args.policy {
        let policy = permissions(file).await?;
        door.with(|aws, _| aws.permissions = Some(policy));
    }
    let at = listener.local_addr().map_err(|error| Failure::Other(format!("no address to listen on: {error}")))?;
    super::print::out(&format!("a simulated AWS account is served at http://{at}\n"))?;
    print::tell(&how_to_use(&format!("http://{at}")));
    let served = http::serve(listener, door, run::told_to_stop()?).await;
    served.map_err(|error| Failure::Other(format!("serving at {at} failed: {error}")))?;
    Ok(exit::FINE)
}

async fn permissions(file: &Path) -> Result<IdentityPolicy, Failure> {
    IdentityPolicy::parse(&text_of(file).await?).map_err(|error| {
        Failure::Other(format!("{} is no policy as `iam-policy` prints them: {error}", file.display()))
    })
}

/// The text of a file that the person at the terminal names.
async fn text_of(path: &Path) -> Result<String, Failure> {
    let file = path.to_owned();
    let read = move || Source::read(&file, &Allowed::anywhere());
    let source = Beside::default().at(path, read).await.and_then(|read| read);
    Ok(source.map_err(Unusable::from)?.text().to_owned())
}

/// The door to a world that was built a while ago, and in which everything happens so many times as fast.
pub(super) fn open(world: &World, time_scale: u32, clock: Clock) -> Result<Door, WorldError> {
    let built = Time(clock.now().0.saturating_sub(u64::try_from(AGE.as_millis()).unwrap_or_default()));
    let door = Door::new(world.build(built)?, clock.clone());
    door.with(|aws, now| aws.hasten(time_scale, now));
    Ok(door)
}

pub(super) fn wrong(error: WorldError) -> Failure {
    Failure::Other(error.to_string())
}

fn how_to_use(url: &str) -> String {
    format!(
        "point any AWS client at it:\n  export AWS_ENDPOINT_URL={url} AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=any \
         AWS_SECRET_ACCESS_KEY=any\n  aws lambda list-functions"
    )
}
