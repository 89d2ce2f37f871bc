//! The page, in a real browser.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lambda_vpc_controller::names::Time;
use lambda_vpc_controller::plan::Limits;
use lambda_vpc_controller::simulator::{Fault, Misbehaviour, UpdateFunctionConfiguration, VpcConfigRequest, World};
use serde_json::json;

use crate::daemon::{FILE, Stage};
use crate::support::browser::{Browser, keys};
use crate::support::history::{History, key, settings};
use crate::support::replace;
use crate::support::window::Window;

const HEAD: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
                    security_groups = { names = ['lambda'] }\nsubnets = { tags = { tier = 'private' } }\n";
const SOME: &str = "[[function]]\nname = 'orders-api'\nvpc = 'orders'\n\
                    [[function]]\nname = 'orders-worker'\nvpc = 'orders'\n\
                    [[function]]\nname = 'nobody'\nvpc = 'orders'\n\
                    [[function]]\nname = 'billing-report'\nvpc = 'orders'\nmode = 'observe'\nreason = 'the team looks first'\n";
/// The names that the table shows, in its order.
const NAMES: &str = "[...document.querySelectorAll('#rows button.link')].map(it => it.textContent)";
const STATE: &str = "document.querySelector('#rows tr[data-key$=\"/orders-api\"] .state')?.textContent";
const OPEN: &str = "document.querySelector('dialog').open";

fn at_rest(file: &str) -> Window {
    let mut history = History::new(Limits::of(&settings()));
    history.load(&format!("{HEAD}{file}"));
    history.until_rest(Duration::from_secs(1200));
    Window::on(history)
}

#[test]
fn the_page_shows_the_fleet_and_is_filtered_sorted_and_read_by_keyboard() {
    let Some(browser) = Browser::open(1280, 900) else { return };
    let window = at_rest(SOME);
    browser.go(&window.url);
    browser.until(NAMES, json!(["nobody", "billing-report", "orders-api", "orders-worker"]));
    browser.until("document.getElementById('connection').textContent", "live");
    browser.until("document.querySelector('#states .in_sync strong').textContent", "2");
    browser.until("document.querySelector('#states .blocked strong').textContent", "1");
    browser.until("document.title", "(1) lambda-vpc-controller");
    browser.until("document.getElementById('count').textContent", "1–4 of 4");

    browser.click("#states button.blocked");
    browser.until(NAMES, json!(["nobody"]));
    browser.until("document.querySelector('#states .blocked').getAttribute('aria-pressed')", "true");
    browser.click("#states button.blocked");
    browser.until(NAMES, json!(["nobody", "billing-report", "orders-api", "orders-worker"]));

    browser.press("/orders");
    browser.until(NAMES, json!(["orders-api", "orders-worker"]));
    browser.until("location.hash", "#name=orders");
    browser.press(&keys::BACKSPACE.repeat(6));
    browser.press("*-report");
    browser.until(NAMES, json!(["billing-report"]));
    browser.click("#filters button[type=reset]");
    browser.click("button[data-sort=name]");
    browser.until(NAMES, json!(["billing-report", "nobody", "orders-api", "orders-worker"]));
    browser.click("button[data-sort=name]");
    browser.until(NAMES, json!(["orders-worker", "orders-api", "nobody", "billing-report"]));
    browser.until("document.querySelector('[data-sort=name]').closest('th').getAttribute('aria-sort')", "descending");

    // From function to function, into the details and back.
    browser.value("document.activeElement.blur()");
    browser.press(&keys::DOWN.repeat(4));
    browser.until("document.activeElement.textContent", "billing-report");
    browser.press(keys::ENTER);
    browser.until(OPEN, true);
    let text = "document.querySelector('dialog').innerText";
    browser.until(&format!("{text}.includes('the team looks first')"), true);
    for words in [
        "out of sync",
        "functions.toml:",
        "Observed",
        "Because the file asks for something else",
        "+ subnet-0a1a1a1a1a1a1a1a1",
        "History",
    ] {
        browser.until(&format!("{text}.includes({words:?})"), true);
    }
    browser.press(keys::ESCAPE);
    browser.until(OPEN, false);
    browser.until("document.activeElement.textContent", "billing-report");
    // An address that somebody was sent shows the same.
    browser.go("about:blank");
    browser.go(&format!("{}/#open=123456789012/eu-west-1/orders-api", window.url));
    browser.until(&format!("{text}.includes('set_vpc accepted')"), true);
    browser.assert_no_complaint();
}

#[test]
fn a_policy_of_which_a_simulation_says_that_it_is_not_needed_is_not_announced() {
    let Some(browser) = Browser::open(1280, 900) else { return };
    let role = "name = \"billing-role\"\n";
    let world =
        include_str!("../src/simulator/world/demo.toml").replace(role, &format!("{role}inline_vpc_access = true\n"));
    let unsaid = Fault::always(Misbehaviour::Denied).on("SimulatePrincipalPolicy");
    for (fault, may_be_needed) in [(None, false), (Some(unsaid), true)] {
        let mut history = History::of(World::parse(&world, "the demo's world").unwrap(), Limits::of(&settings()));
        history.door.with(|aws, _| fault.into_iter().for_each(|fault| aws.faults.add(fault)));
        history.load(&format!("{HEAD}{SOME}"));
        history.pass(Duration::from_secs(1200));
        let window = Window::on(history);
        browser.go(&format!("{}/#open=123456789012/eu-west-1/billing-report", window.url));
        let text = "document.querySelector('dialog').innerText";
        browser.until(&format!("{text}.includes('What differs')"), true);
        let announced = format!("{text}.includes(', if Lambda refuses without it')");
        assert_eq!(browser.value(&announced), may_be_needed, "{}", browser.value(text));
    }
}

#[test]
fn what_comes_from_the_file_and_from_aws_is_never_markup() {
    const EVIL: &str = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script><b>bold</b>";
    let Some(browser) = Browser::open(1280, 900) else { return };
    let window = at_rest(&format!(
        "[[vpc]]\nname = '{EVIL}'\nid = 'vpc-0a1b2c3d4e5f60718'\nsecurity_groups = {{ names = ['{EVIL}'] }}\n\
         [[function]]\nname = 'orders-api'\nvpc = '{EVIL}'\nmode = 'observe'\nreason = '{EVIL}'\n\
         [[function]]\nname = 'billing-report'\nvpc = 'orders'\nmode = 'observe'\nreason = '{EVIL}'\n"
    ));
    browser.go(&format!("{}/#open=123456789012/eu-west-1/orders-api", window.url));
    let shows = |words: &str| format!("document.querySelector('dialog').textContent.includes({})", json!(words));
    browser.until(&shows(EVIL), true);
    browser.until("document.querySelector('#rows').textContent.includes('<b>bold</b>')", true);
    browser.go("about:blank");
    browser.go(&format!("{}/#open=123456789012/eu-west-1/billing-report", window.url));
    browser.until(&shows(EVIL), true);
    // What is in the address is nobody's markup either.
    browser.go("about:blank");
    browser.go(&format!("{}/#open={EVIL}&name={EVIL}&sort={EVIL}", window.url));
    browser.until(&shows("Not found"), true);
    for evil in ["img", "b", "body script"] {
        assert_eq!(browser.value(&format!("document.querySelectorAll({evil:?}).length")), 0, "{evil}");
    }
    assert_eq!(browser.value("window.hacked === undefined"), true);
}

#[test]
fn a_function_that_somebody_changes_is_seen_to_drift_and_to_be_put_right_without_reloading() {
    let Some(browser) = Browser::open(1280, 900) else { return };
    let mut stage = Stage::open(&format!("{FILE}mode = 'observe'\n"));
    browser.go(&stage.url());
    browser.until(STATE, "out of sync");
    browser.value("window.sameDocument = true");
    replace(&stage.file(), FILE);
    browser.until(STATE, "in sync");
    replace(&stage.file(), format!("{FILE}mode = 'observe'\n"));
    browser.until("document.getElementById('rows').innerText.includes('only observed')", true);
    stage.account.detach("orders-api");
    browser.until(STATE, "out of sync");
    replace(&stage.file(), FILE);
    browser.until(STATE, "in sync");
    replace(&stage.file(), "[[function]\n");
    browser.until("document.querySelector('#alerts').innerText.includes('cannot be used; what was in force')", true);
    replace(&stage.file(), FILE);
    browser.until("document.querySelector('#alerts').innerText", "");
    assert_eq!(browser.value("window.sameDocument"), true, "the page was loaded anew");
    browser.assert_no_complaint();
    stage.daemon.signal("TERM");
    stage.daemon.ended();
    browser.until("document.getElementById('connection').className", "lost");
}

#[test]
fn ten_thousand_functions_are_turned_over_page_by_page() {
    const COUNT: usize = 10_000;
    let Some(browser) = Browser::open(1280, 900) else { return };
    let mut world = World::fleet(COUNT);
    // The role of the last function may make network interfaces.
    world.roles.last_mut().unwrap().inline_vpc_access = true;
    let mut file = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\nmode = 'observe'\n".to_owned();
    for number in 0..COUNT {
        file += &format!("[[function]]\nname = 'function-{number:05}'\nvpc = '{}'\n", world.vpcs[number / 500].id);
    }
    let mut history = History::of(world, Limits::of(&settings()));
    history.load(&file);
    history.until_rest(Duration::from_secs(3600));
    let mut window = Window::on(history);
    browser.go(&format!("{}/#sort=name", window.url));
    let count = "document.getElementById('count').textContent";
    browser.until(count, "1–100 of 10000");
    assert_eq!(browser.value(&format!("{NAMES}.length")), 100);
    browser.click("#next");
    browser.until(count, "101–200 of 10000");
    browser.until(&format!("{NAMES}[0]"), "function-00100");
    browser.click("#previous");
    browser.until(&format!("{NAMES}[0]"), "function-00000");
    browser.press("/9999");
    browser.until(NAMES, json!(["function-09999"]));
    let state = "document.querySelector('#rows .state')?.textContent";
    browser.until(state, "out of sync");
    // Somebody attaches it, just as the file says.
    let function = window.get("/api/v1/functions/123456789012/eu-west-1/function-09999").json();
    let ids = |list: &str| serde_json::from_value(function["change"]["to"][list].clone()).unwrap();
    let to = VpcConfigRequest {
        subnet_ids: Some(ids("subnets")),
        security_group_ids: Some(ids("security_groups")),
        ipv6_allowed_for_dual_stack: None,
    };
    let somebody = UpdateFunctionConfiguration { vpc_config: Some(to), ..UpdateFunctionConfiguration::default() };
    let key = key("function-09999");
    window
        .history
        .door
        .with(|aws, now| aws.update_function_configuration(&key.scope, key.name.as_str(), &somebody, now))
        .unwrap();
    window.history.pass(Duration::from_secs(601));
    window.show();
    browser.until(state, "in sync");
    browser.until(NAMES, json!(["function-09999"]));
    browser.assert_no_complaint();
}

/// In the page, before its own scripts: answers that are held back while `held` is a list, each until it is released, and
/// timers that tick when the test says so.
const BY_HAND: &str = "
    window.asked = 0;
    window.held = null;
    window.ticks = {};
    window.ask = window.fetch.bind(window);
    window.fetch = async (path, { cache }) => {
        asked += 1;
        const answer = await ask(path, { cache });
        const body = await answer.text();
        if (held !== null) await new Promise((release) => held.push(release));
        return new Response(body, { status: answer.status, headers: answer.headers });
    };
    window.setInterval = (tick, every) => { ticks[every] = tick; };";
const TICK: &str = "ticks[2000]()";

/// A page whose answers and timers are in the test's hands.
fn by_hand(browser: &Browser, window: &Window) {
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": BY_HAND }));
    browser.go(&window.url);
    browser.until(NAMES, json!(["nobody", "billing-report", "orders-api", "orders-worker"]));
    browser.until("document.getElementById('connection').textContent", "live");
}

fn release(browser: &Browser, which: &str) {
    browser.value(&format!("held.splice({which}).forEach((release) => release())"));
    // What was released has been taken up when another answer has come.
    browser.value("ask('/livez').then((answer) => answer.text())");
}

#[test]
fn answers_that_take_longer_than_a_round_are_waited_for_and_drawn() {
    let Some(browser) = Browser::open(1280, 900) else { return };
    let mut window = at_rest(SOME);
    by_hand(&browser, &window);
    window.history.load(&format!("{HEAD}[[function]]\nname = 'orders-api'\nvpc = 'orders'\n"));
    window.show();
    browser.value("held = []");
    let before = browser.value("asked").as_i64().unwrap();
    for _ in 0..4 {
        browser.value(TICK);
    }
    assert_eq!(browser.value("asked"), before + 2, "a question is asked again before its answer has come");
    browser.until("held.length", 2);
    release(&browser, "0");
    browser.until(NAMES, json!(["orders-api"]));
    browser.until("document.getElementById('connection').textContent", "live");
    browser.value(TICK);
    assert_eq!(browser.value("asked"), before + 4, "nothing is asked any more");
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_changes_nothing() {
    let Some(browser) = Browser::open(1280, 900) else { return };
    let mut window = at_rest(SOME);
    by_hand(&browser, &window);
    let (blocked, title) = (
        "document.querySelector('#states .blocked strong').textContent",
        "document.querySelector('dialog h2').textContent",
    );
    let open = |name: &str| {
        browser.value(&format!("location.hash = 'open=123456789012/eu-west-1/{name}'"));
    };

    // Of two answers to the same question the older one comes last.
    browser.value("held = []");
    browser.value(TICK);
    browser.until("held.length", 2);
    window.history.load(&format!("{HEAD}{SOME}").replace("[[function]]\nname = 'nobody'\nvpc = 'orders'\n", ""));
    window.show();
    browser.click("#states button.out_of_sync");
    browser.until("held.length", 4);
    release(&browser, "2");
    browser.until(blocked, "0");
    browser.until(NAMES, json!(["billing-report"]));
    release(&browser, "0");
    assert_eq!((browser.value(blocked), browser.value(NAMES)), (json!("0"), json!(["billing-report"])));

    // A function is opened, and something else is pressed before it is there: it opens nevertheless.
    browser.click("#rows button.link");
    browser.until("held.length", 3);
    browser.click("#states button.out_of_sync");
    browser.until("held.length", 6);
    release(&browser, "0, 3");
    assert_eq!(browser.value(OPEN), false);
    release(&browser, "0");
    browser.until(OPEN, true);
    browser.until(title, "billing-report");

    // One that there is not, and one that there is, before it is known that there is not the first.
    open("else");
    browser.until("held.length", 3);
    open("orders-worker");
    browser.until("held.length", 6);
    release(&browser, "3");
    browser.until(title, "orders-worker");
    release(&browser, "0");
    assert_eq!(browser.value(title), "orders-worker");
    browser.value("held = null");
    open("else");
    browser.until(title, "Not found");
}

#[test]
fn what_is_wrong_as_a_whole_is_read_aloud_once_and_again_only_if_it_is_something_else() {
    let Some(browser) = Browser::open(1280, 900) else { return };
    let mut window = Window::on(History::new(Limits::of(&settings())));
    browser.go(&window.url);
    let summary = "document.getElementById('scopes').innerText";
    browser.until(&format!("{summary}.includes('no desired state is in force yet')"), true);
    assert_eq!(
        browser.value(&format!("{summary}.includes('not every account')")),
        false,
        "only one of the two is true"
    );

    let denied = Fault::always(Misbehaviour::Denied).on("DescribeVpcs");
    window.history.door.with(|aws, _| aws.faults.add(denied));
    window.history.load(&format!("{HEAD}{SOME}"));
    window.show();
    let (alert, particulars) =
        ("document.querySelector('#alerts .alert')", "document.querySelector('#alerts .particulars')?.textContent");
    browser.until(&format!("{alert}?.innerText.includes('AccessDenied')"), true);
    browser.until(&format!("{particulars}.includes('(request ')"), true);
    browser.value(&format!("[window.before, window.said] = [{alert}, {particulars}]"));
    window.history.pass(Duration::from_secs(3600));
    window.show();
    browser.until(&format!("{particulars} !== said"), true);
    assert_eq!(browser.value(&format!("{alert} === before")), true, "the same fault is told anew");
    assert_eq!(browser.value(&format!("{alert}.querySelector('.particulars').ariaLive")), "off");

    window.history.door.with(|aws, _| {
        aws.faults.clear();
        aws.faults.add(Fault::always(Misbehaviour::ServerError).on("DescribeVpcs"));
    });
    window.history.pass(Duration::from_secs(3600));
    window.show();
    browser.until(&format!("{alert}?.innerText.includes('ServerError')"), true);
    assert_eq!(browser.value(&format!("{alert} === before")), false, "another fault is not told");
    window.history.door.with(|aws, _| aws.faults.clear());
    window.history.pass(Duration::from_secs(3600));
    window.show();
    browser.until(alert, serde_json::Value::Null);
    browser.assert_no_complaint();
}

/// Writes the pictures of the docs: `docs/page/make`.
#[test]
#[ignore = "writes into docs/"]
fn the_pictures_of_the_docs() {
    let browser = Browser::open(1280, 860).expect("chromium and chromedriver");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/page");
    // The browser counts from now; the story began a quarter of an hour ago.
    let mut history = History::new(Limits::of(&settings()));
    let now = Time::from_system(SystemTime::now());
    let story = Duration::from_secs(15 * 60);
    history.clock.pass(now.since(history.clock.now()) - story);
    history.load(&format!("{HEAD}{SOME}"));
    history.pass(story - Duration::from_secs(5));
    let window = Window::on(history);
    let picture = |name: &str, scheme: &str, width: u32, height: u32, hash: &str| {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", feature);
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        browser.devtools("Emulation.setDeviceMetricsOverride", size);
        browser.go("about:blank");
        browser.go(&format!("{}/#{hash}", window.url));
        browser.until(&format!("{NAMES}.length"), 4);
        browser.until("document.getElementById('connection').className", "live");
        browser.until(OPEN, hash.starts_with("open"));
        let taken = browser.devtools("Page.captureScreenshot", json!({ "format": "png" }));
        fs::write(folder.join(format!("{name}.png")), base64(taken["data"].as_str().unwrap())).unwrap();
    };
    picture("light", "light", 1280, 860, "");
    picture("dark", "dark", 1280, 860, "");
    picture("narrow", "light", 390, 1100, "");
    picture("details", "light", 1280, 860, "open=123456789012/eu-west-1/billing-report");
}

/// The bytes that a text in base 64 stands for.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |digit: u8| DIGITS.iter().position(|known| *known == digit).map(|it| u32::try_from(it).unwrap());
    let digits: Vec<u32> = text.bytes().filter_map(value).collect();
    let group = |group: &[u32]| {
        let bits = group.iter().chain([0; 4].iter()).take(4).fold(0, |bits, digit| bits << 6 | digit);
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
