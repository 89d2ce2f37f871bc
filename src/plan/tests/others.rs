//! Other people at work: who sets back what we set.

use super::*;

impl Scene {
    /// Lambda accepts our update, and it comes to a good end; then somebody sets another network.
    fn set_back(&mut self) {
        self.answer(&set_step(), Answer::Done);
        let now = self.now;
        (self.api().network, self.api().modified) = (home(), Some(now));
        self.looks();
        self.wait(60);
        let now = self.now;
        (self.api().network, self.api().modified) = (Arc::default(), Some(now));
        self.looks();
        self.wait(100);
    }

    fn looks(&mut self) {
        let seen = self.api().clone();
        self.memory.looked(&key("api"), &seen, self.now);
    }

    #[track_caller]
    fn decides(&self, expected: &str) {
        assert_eq!(decided(self.decide().as_ref(), self.now), expected);
    }
}

const ALWAYS: &str = "vpc = 'orders'\nattach_policy = 'always'";
const TO_HOME: &str = "set none -> subnet-a,subnet-b/sg-default";

#[test]
fn a_function_that_is_set_back_three_times_in_an_hour_is_left_alone_for_an_hour() {
    let mut scene = scene(ORDERS);
    scene.set_back();
    scene.decides(TO_HOME);
    scene.set_back();
    scene.decides(TO_HOME);
    scene.set_back();
    scene.decides("blocked Flapping for 3500s");
    scene.wait(3499);
    scene.decides("blocked Flapping for 1s");
    scene.wait(1);
    scene.decides(TO_HOME);
    let plan = plan(&scene.world());
    assert!(plan.lines[0].outcome().is_none(), "and a plan shows it as a change again");
}

#[test]
fn what_happens_less_often_is_put_right_each_time() {
    let mut scene = scene(ORDERS);
    for _ in 0..10 {
        scene.set_back();
        scene.decides(TO_HOME);
        scene.wait(1800);
    }
}

#[test]
fn an_edit_of_the_entry_ends_it_at_once() {
    let mut scene = scene(ORDERS);
    (0..3).for_each(|_| scene.set_back());
    scene.memory.edited(&key("api"));
    scene.decides(TO_HOME);
}

#[test]
fn looking_again_and_sweeps_do_not_count_a_set_back_twice() {
    let mut scene = scene(ORDERS);
    (0..2).for_each(|_| scene.set_back());
    for _ in 0..5 {
        scene.looks();
        let listed = Function { life: None, ..scene.api().clone() };
        scene.memory.seen(&key("api"), &listed, scene.now);
    }
    scene.decides(TO_HOME);
}

#[test]
fn an_update_that_lambda_gave_up_or_that_a_listing_does_not_show_yet_was_set_back_by_nobody() {
    let mut scene = scene(ORDERS);
    for _ in 0..4 {
        scene.answer(&set_step(), Answer::Done);
        let listed = Function { life: None, modified: Some(scene.now), ..scene.api().clone() };
        scene.memory.seen(&key("api"), &listed, scene.now);
        let failed = Update::Failed(crate::cloud::Failure { code: "InternalError".to_owned(), text: String::new() });
        scene.api().life = Some(Box::new(Life { state: Lambda::Active, update: failed }));
        scene.looks();
        scene.wait(60);
    }
    scene.decides(TO_HOME);
}

#[test]
fn a_listing_shows_who_sets_back_what_had_come_about() {
    let mut scene = scene(ORDERS);
    for _ in 0..3 {
        scene.answer(&set_step(), Answer::Done);
        let now = scene.now;
        (scene.api().network, scene.api().modified) = (home(), Some(now));
        scene.looks();
        scene.wait(60);
        let now = scene.now;
        (scene.api().network, scene.api().modified) = (Arc::default(), Some(now));
        let listed = Function { life: None, ..scene.api().clone() };
        scene.memory.seen(&key("api"), &listed, scene.now);
        scene.wait(100);
    }
    assert!(decided(scene.decide().as_ref(), scene.now).starts_with("blocked Flapping"));
}

#[test]
fn a_policy_that_is_taken_off_three_times_in_an_hour_is_not_attached_again() {
    let mut scene = scene(ALWAYS);
    scene.at_home();
    for turn in 1..=3 {
        scene.without_policy(Some(Simulated::Missing));
        scene.role().at = scene.now;
        scene.decides("attach VPCAccess to api");
        scene.answer(&attach_step(), Answer::Done);
        scene.wait(300);
        let now = scene.now;
        scene.role().at = now;
        let seen = scene.role().clone();
        scene.memory.role_seen(role_arn("api").key(), &seen, now);
        if turn == 3 {
            scene.decides("blocked Flapping for 3600s");
        }
    }
}

#[test]
fn a_read_that_lags_behind_the_attach_is_nobodys_doing() {
    let mut scene = scene(ALWAYS);
    scene.at_home();
    for _ in 0..4 {
        scene.without_policy(Some(Simulated::Missing));
        scene.answer(&attach_step(), Answer::Done);
        // Up to a minute later, the minute itself included.
        scene.wait(60);
        let now = scene.now;
        scene.role().at = now;
        let seen = scene.role().clone();
        scene.memory.role_seen(role_arn("api").key(), &seen, now);
    }
    scene.wait(1);
    let now = scene.now;
    scene.role().at = now;
    scene.decides("attach VPCAccess to api");
}
