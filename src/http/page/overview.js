// The fleet at a glance: what is wrong as a whole, how many functions are in which state, and each account and region.

import { WORDS, age, badge, duration, el, moment, setText } from "./dom.js";

const states = document.getElementById("states");
const alerts = document.getElementById("alerts");
const scopes = document.getElementById("scopes");

/** Draws it; `chosen` are the states that are shown, `toggle` shows or hides one. */
export function draw(status, chosen, toggle) {
  drawAlerts(status);
  setText(document.getElementById("version"), status.version);
  drawStates(status, chosen, toggle);
  const open = scopes.querySelector("details")?.open ?? false;
  scopes.replaceChildren(summary(status, open), scopeTable(status));
}

/** What is read aloud when it changes must stay the same where only the particulars of another try differ. */
function drawAlerts(status) {
  const all = warnings(status);
  const told = JSON.stringify(all.map((warning) => warning.told));
  if (alerts.dataset.told === told) {
    [...alerts.children].forEach((alert, place) => setText(alert.querySelector(".particulars"), all[place].particulars));
    return;
  }
  alerts.dataset.told = told;
  alerts.replaceChildren(...all.map(drawAlert));
}

function drawAlert({ title, text, particulars }) {
  return el("div", { class: "alert" }, title, text === null ? null : el("p", {}, text),
    el("pre", { class: "particulars", "aria-live": "off" }, particulars));
}

function drawStates(status, chosen, toggle) {
  if (states.children.length === 0) {
    states.append(...Object.keys(WORDS).map((state) => el("li", {},
      el("button", { type: "button", class: state, "data-state": state, onclick: () => toggle(state) },
        el("strong", {}), el("span", {}, WORDS[state])))));
  }
  for (const button of states.querySelectorAll("button")) {
    const state = button.dataset.state;
    const count = status?.states[state];
    if (count !== undefined) {
      setText(button.querySelector("strong"), String(count));
      button.classList.toggle("none", count === 0);
    }
    button.setAttribute("aria-pressed", chosen.includes(state));
  }
}

/** Marks which states are shown, without news from the daemon. */
export function mark(chosen, toggle) {
  drawStates(null, chosen, toggle);
}

/** What is wrong as a whole: what makes it news, and how it is shown. The particulars, like the id of a request, are no news. */
function warnings(status) {
  const { desired } = status;
  const all = [];
  if (desired.problem !== null) {
    const stays = desired.digest === null ? "nothing is in force" : "what was in force before stays in force";
    const title = el("strong", {}, `The desired state cannot be used; ${stays}.`);
    all.push({ told: title.textContent, title, text: null, particulars: desired.problem });
  }
  if (status.settings_problem !== null) {
    const title = el("strong", {}, "The settings cannot be used; those that were in force before stay in force.");
    all.push({ told: title.textContent, title, text: null, particulars: status.settings_problem });
  }
  for (const { account, region, fault } of status.scopes.filter((scope) => scope.fault !== null)) {
    const { reason, sentence, detail, since } = fault;
    const title = el("span", {}, el("strong", {}, `${region} in ${account}: ${reason}`),
      el("span", { "aria-live": "off" }, " for ", age(since)));
    all.push({ told: [account, region, reason, since], title, text: sentence, particulars: detail });
  }
  if (status.held_by_guard > 0) {
    const title = el("strong", {}, `The guard holds the changes of ${status.held_by_guard} functions.`);
    const text = ["More functions differ than are changed in an hour without a person's agreement. Look at ",
      el("code", {}, "lambda-vpc-controller plan"), ", then approve it by its id: ",
      el("code", {}, "lambda-vpc-controller apply --approve ID"), "."];
    all.push({ told: title.textContent, title, text, particulars: "" });
  }
  return all;
}

function summary({ listed, behind, desired, ready }, open) {
  const digest = desired.digest === null ? "no desired state is in force yet" : `file ${desired.digest.slice(0, 12)}`;
  const waits = desired.digest !== null && !ready;
  return el("p", { class: "summary" },
    el("span", { title: desired.digest ?? "" }, digest),
    desired.since === null ? null : el("span", {}, "in force for ", age(desired.since)),
    el("span", {}, `${listed} functions`),
    behind === 0 ? null : el("span", {}, `${behind} not looked at by this file yet`),
    waits ? el("span", { class: "state unknown" }, "not every account and region has answered yet") : null,
    desired.warnings.length === 0 ? null : el("details", { open },
      el("summary", {}, `${desired.warnings.length} doubts about the file`),
      el("ul", {}, desired.warnings.map((warning) => el("li", {}, warning)))));
}

function scopeTable(status) {
  const row = (scope) => el("tr", {},
    el("th", { scope: "row" }, `${scope.account} ${scope.region}`),
    el("td", { "data-label": "Last look" }, moment(scope.last_sweep, "none yet"),
      scope.last_sweep_seconds === null ? null : el("span", { class: "note" }, `took ${took(scope.last_sweep_seconds)}`),
      scope.sweeping_since === null ? null : el("span", { class: "note" }, "looking now")),
    el("td", { "data-label": "All read" }, moment(scope.last_success, "never")),
    el("td", { "data-label": "Guard" }, scope.held_by_guard === 0 ? "holds none" : `holds ${scope.held_by_guard}`),
    el("td", { "data-label": "Fault" }, scope.fault === null ? "none" : badgeOf(scope.fault)));
  return el("table", {},
    el("thead", {}, el("tr", {}, ["Account and region", "Last look", "All read", "Guard", "Fault"].map(
      (title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, status.scopes.map(row)));
}

function badgeOf(fault) {
  const shown = badge("blocked");
  setText(shown, fault.reason);
  return shown;
}

function took(seconds) {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds);
}
