use super::*;

fn meddle(stage: &mut Stage, every: u64, times: Option<u32>, wants: Meddling) {
    stage.aws.add_meddler(Meddler { every: Duration::from_secs(every), times, wants }, stage.now);
}

fn key(stage: &Stage, name: &str) -> FunctionKey {
    FunctionKey { scope: stage.at.clone(), name: FunctionName::parse(name).unwrap() }
}

fn subnets(stage: &mut Stage, name: &str) -> usize {
    stage.get(name).configuration.vpc_config.map_or(0, |config| config.subnets.len())
}

#[test]
fn a_function_is_set_back_every_minute_for_as_long_as_it_differs() {
    let mut stage = Stage::demo();
    let wants = Meddling::Network(key(&stage, "legacy-report"), VpcConfigRequest::none());
    meddle(&mut stage, 60, None, wants);
    assert_eq!(subnets(stage.pass(59), "legacy-report"), 2);
    assert_eq!(subnets(stage.pass(1), "legacy-report"), 0);
    let left_alone = stage.pass(3600).get("legacy-report");
    assert_eq!(left_alone.modified + Duration::from_secs(3600), stage.now, "nothing was to be changed since");
    for _ in 0..3 {
        stage.pass(10).set_vpc("legacy-report", &[SUBNET_A, SUBNET_B], &[DEFAULT_GROUP]).unwrap();
        assert_eq!(subnets(stage.pass(49), "legacy-report"), 2);
        assert_eq!(subnets(stage.pass(1), "legacy-report"), 0);
    }
}

#[test]
fn a_meddler_stops_after_its_times() {
    let mut stage = Stage::demo();
    let wants = Meddling::Network(key(&stage, "legacy-report"), VpcConfigRequest::none());
    meddle(&mut stage, 60, Some(1), wants);
    stage.pass(70).set_vpc("legacy-report", &[SUBNET_A], &[DEFAULT_GROUP]).unwrap();
    assert_eq!(subnets(stage.pass(3600), "legacy-report"), 1);
}

#[test]
fn a_busy_function_is_left_to_the_next_turn() {
    let mut stage = Stage::demo();
    let wants = Meddling::Network(key(&stage, "legacy-report"), VpcConfigRequest::none());
    meddle(&mut stage, 60, Some(1), wants);
    stage.pass(59).set_vpc("legacy-report", &[SUBNET_A], &[DEFAULT_GROUP]).unwrap();
    assert_eq!(subnets(stage.pass(2), "legacy-report"), 1);
    assert_eq!(stage.get("legacy-report").life, settled());
    assert_eq!(subnets(stage.pass(59), "legacy-report"), 0, "the refused turn did not count");
}

#[test]
fn a_policy_is_detached_again_and_again() {
    let mut stage = Stage::demo();
    let role = RoleName::parse("orders-role").unwrap();
    let role = crate::names::RoleKey { account: stage.at.account.clone(), name: role };
    meddle(&mut stage, 60, None, Meddling::Detached(role.clone(), VPC_ACCESS.to_owned()));
    for _ in 0..2 {
        stage.attach("orders-role", VPC_ACCESS).unwrap();
        stage.pass(59).get("orders-api");
        assert_eq!(stage.aws.role(&role).unwrap().attached.len(), 2);
        stage.pass(1).get("orders-api");
        assert_eq!(stage.aws.role(&role).unwrap().attached.len(), 1);
    }
}

#[test]
fn a_world_that_begins_anew_gives_its_meddlers_their_first_turn_again() {
    let mut stage = Stage::demo();
    let wants = Meddling::Network(key(&stage, "legacy-report"), VpcConfigRequest::none());
    meddle(&mut stage, 60, None, wants);
    let now = stage.pass(50).now;
    stage.aws.begin(now);
    assert_eq!(subnets(stage.pass(59), "legacy-report"), 2);
    assert_eq!(subnets(stage.pass(1), "legacy-report"), 0);
    stage.aws.dismiss_meddlers();
    stage.pass(10).set_vpc("legacy-report", &[SUBNET_A], &[DEFAULT_GROUP]).unwrap();
    assert_eq!(subnets(stage.pass(3600), "legacy-report"), 1);
}
