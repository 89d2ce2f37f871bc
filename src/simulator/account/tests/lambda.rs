use super::*;

fn describe(text: &str) -> UpdateFunctionConfiguration {
    UpdateFunctionConfiguration { description: Some(text.to_owned()), ..UpdateFunctionConfiguration::default() }
}

#[test]
fn a_listing_has_at_most_fifty_functions_whatever_is_asked_for() {
    let mut stage = Stage::of(&World::fleet(120));
    let mut names = Vec::new();
    let mut pages = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let page =
            stage.aws.list_functions(&stage.at, Listing::Latest, Some(10_000), from.as_deref(), stage.now).unwrap();
        pages.push(page.items.len());
        names.extend(page.items.into_iter().map(|function| function.name.to_string()));
        from = page.next.map(|marker| marker.0);
        if from.is_none() {
            break;
        }
    }
    assert_eq!(pages, [50, 50, 20]);
    assert_eq!(names.len(), 120);
    assert!(names.is_sorted());
}

#[test]
fn a_smaller_page_is_honoured_and_a_full_last_page_has_no_marker() {
    let mut stage = Stage::demo();
    let page = stage.aws.list_functions(&stage.at, Listing::Latest, Some(3), None, stage.now).unwrap();
    assert_eq!(page.items.len(), 3);
    let rest =
        stage.aws.list_functions(&stage.at, Listing::Latest, Some(1), Some(&page.next.unwrap().0), stage.now).unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
}

#[test]
fn a_page_size_outside_the_service_model_is_refused() {
    let mut stage = Stage::demo();
    refused(
        stage.aws.list_functions(&stage.at, Listing::Latest, Some(0), None, stage.now),
        400,
        "ValidationException",
        "maxItems",
    );
    refused(
        stage.aws.list_functions(&stage.at, Listing::Latest, Some(10_001), None, stage.now),
        400,
        "ValidationException",
        "less than or equal to 10000",
    );
}

#[test]
fn the_revision_changes_at_the_answer_and_again_at_the_end() {
    let mut stage = Stage::demo();
    let before = stage.get("orders-api");
    let answered = stage.update("orders-api", &describe("new")).unwrap();
    assert_eq!(answered.life.update, Update::InProgress);
    assert_eq!(answered.modified, stage.now);
    assert_ne!(answered.revision, before.revision);

    let during = stage.pass(1).get("orders-api");
    assert_eq!(during, answered);
    let after = stage.pass(1).get("orders-api");
    assert_eq!(after.life, settled());
    assert_ne!(after.revision, answered.revision);
    assert_eq!(after.modified, answered.modified);
}

#[test]
fn an_identical_update_is_a_real_one() {
    let mut stage = Stage::demo();
    stage.update("orders-api", &describe("same")).unwrap();
    let before = stage.pass(10).get("orders-api");
    let answered = stage.update("orders-api", &describe("same")).unwrap();
    assert_eq!(answered.life.update, Update::InProgress);
    let after = stage.pass(10).get("orders-api");
    assert_eq!(after.configuration, before.configuration);
    assert!(after.revision != before.revision && after.revision != answered.revision);
}

#[test]
fn a_stale_revision_is_refused_with_412() {
    let mut stage = Stage::demo();
    let old = stage.get("orders-api").revision;
    let with = |revision: &str| UpdateFunctionConfiguration { revision_id: Some(revision.to_owned()), ..describe("x") };
    let answered = stage.update("orders-api", &with(&old)).unwrap();
    stage.pass(10);
    for stale in [&old, &answered.revision] {
        let answer = stage.update("orders-api", &with(stale));
        refused(answer, 412, "PreconditionFailedException", "does not match the latest Revision Id");
    }
    let latest = stage.get("orders-api").revision;
    assert!(stage.update("orders-api", &with(&latest)).is_ok());
}

#[test]
fn an_update_during_an_update_is_refused_with_409() {
    let mut stage = Stage::demo();
    stage.update("orders-api", &describe("one")).unwrap();
    refused(
        stage.update("orders-api", &describe("two")),
        409,
        "ResourceConflictException",
        "An update is in progress for resource: arn:aws:lambda:eu-west-1:123456789012:function:orders-api",
    );
    stage.pass(2);
    assert!(stage.update("orders-api", &describe("two")).is_ok());
}

#[test]
fn a_new_function_is_pending_and_cannot_be_updated_until_it_is_active() {
    let mut stage = Stage::demo();
    let request = CreateFunction {
        function_name: "new".to_owned(),
        settings: UpdateFunctionConfiguration {
            role: Some("arn:aws:iam::123456789012:role/orders/orders-role".to_owned()),
            ..UpdateFunctionConfiguration::default()
        },
    };
    let made = stage.aws.create_function(&stage.at, &request, stage.now).unwrap();
    assert_eq!(made.life.state, State::Pending);
    assert_eq!(made.configuration.vpc_config, None);
    refused(
        stage.update("new", &describe("x")),
        409,
        "ResourceConflictException",
        "The function is currently in the following state: Pending",
    );
    refused(
        stage.aws.create_function(&stage.at, &request, stage.now),
        409,
        "ResourceConflictException",
        "already exist",
    );
    let active = stage.pass(3).get("new");
    assert_eq!(active.life, settled());
    assert_ne!(active.revision, made.revision);
}

#[test]
fn a_function_needs_a_role_that_exists() {
    let mut stage = Stage::demo();
    let mut request = CreateFunction { function_name: "new".to_owned(), ..CreateFunction::default() };
    refused(stage.aws.create_function(&stage.at, &request, stage.now), 400, "ValidationException", "'role'");
    request.settings.role = Some("arn:aws:iam::123456789012:role/nobody".to_owned());
    let answer = stage.aws.create_function(&stage.at, &request, stage.now);
    refused(answer, 400, "InvalidParameterValueException", "cannot be assumed by Lambda");
}

#[test]
fn a_deleted_function_is_gone_and_its_update_with_it() {
    let mut stage = Stage::demo();
    stage.update("orders-api", &describe("x")).unwrap();
    stage.aws.delete_function(&stage.at, "orders-api", stage.now).unwrap();
    stage.pass(60);
    let arn = "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:orders-api";
    let (at, now) = (stage.at.clone(), stage.now);
    refused(stage.aws.get_function(&at, "orders-api", now), 404, "ResourceNotFoundException", arn);
    refused(stage.aws.delete_function(&at, "orders-api", now), 404, "ResourceNotFoundException", arn);
    refused(stage.update("orders-api", &describe("x")), 404, "ResourceNotFoundException", arn);
}

#[test]
fn a_function_is_named_by_name_partial_arn_or_arn() {
    let mut stage = Stage::demo();
    for name in [
        "orders-api",
        "orders-api:$LATEST",
        "123456789012:function:orders-api",
        "arn:aws:lambda:eu-west-1:123456789012:function:orders-api",
        "arn:aws:lambda:eu-west-1:123456789012:function:orders-api:$LATEST",
    ] {
        assert_eq!(stage.get(name).name.as_str(), "orders-api");
    }
    for (name, status, code) in [
        ("orders-api:7", 404, "ResourceNotFoundException"),
        ("arn:aws:lambda:us-east-1:123456789012:function:orders-api", 404, "ResourceNotFoundException"),
        ("210987654321:function:orders-api", 403, "AccessDeniedException"),
        ("no such name", 400, "ValidationException"),
    ] {
        refused(stage.aws.get_function(&stage.at, name, stage.now), status, code, "");
    }
}

#[test]
fn an_account_that_is_not_in_the_world_has_no_valid_credentials() {
    let mut stage = Stage::demo();
    let at = ScopeKey { account: AccountId::parse("999999999999").unwrap(), ..stage.at.clone() };
    refused(
        stage.aws.list_functions(&at, Listing::Latest, None, None, stage.now),
        403,
        "UnrecognizedClientException",
        "invalid",
    );
    refused(stage.aws.describe_vpcs(&at, &Describe::default(), stage.now), 401, "AuthFailure", "");
}

#[test]
fn another_region_is_empty() {
    let mut stage = Stage::demo();
    let at = ScopeKey { region: Region::parse("us-east-1").unwrap(), ..stage.at.clone() };
    assert!(stage.aws.list_functions(&at, Listing::Latest, None, None, stage.now).unwrap().items.is_empty());
    assert!(stage.aws.describe_vpcs(&at, &Describe::default(), stage.now).unwrap().items.is_empty());
}

#[test]
fn the_same_calls_at_the_same_times_give_the_same_answers() {
    let history = || {
        let mut stage = Stage::demo();
        let first = stage.update("orders-api", &describe("x")).unwrap();
        (first, stage.pass(5).get("orders-api"))
    };
    assert_eq!(history(), history());
}

#[test]
fn a_listing_shows_an_update_later_than_a_single_read_does() {
    let mut stage = Stage::demo();
    stage.aws.timings.lists = Duration::from_secs(5);
    let described = UpdateFunctionConfiguration { description: Some("new".to_owned()), ..Default::default() };
    stage.update("orders-api", &described).unwrap();
    let shown = |stage: &mut Stage| {
        let page = stage.aws.list_functions(&stage.at, Listing::Latest, None, None, stage.now).unwrap();
        let listed = page.items.into_iter().find(|it| it.name.as_str() == "orders-api").unwrap();
        let read = stage.aws.get_function(&stage.at, "orders-api", stage.now).unwrap();
        (listed.configuration.description == "new", listed.revision == read.revision, read.configuration.description)
    };
    assert_eq!(shown(&mut stage), (false, false, "new".to_owned()));
    stage.now = stage.now + Duration::from_secs(6);
    assert_eq!(shown(&mut stage), (true, true, "new".to_owned()));
}
