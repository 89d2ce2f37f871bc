// One function: why it is as it is, what differs, what happens next, and what happened.

import { WORDS, age, badge, duration, el, moment } from "./dom.js";
import { CAUSES } from "./table.js";

const dialog = document.getElementById("details");

export function draw(fn, close) {
  const scrolled = dialog.scrollTop;
  dialog.replaceChildren(
    el("header", {},
      el("h2", { id: "details-title" }, fn.name),
      el("button", { type: "button", "aria-label": "Close", onclick: close }, "×")),
    el("p", { class: "dim" }, `${fn.region} in account ${fn.account} · ${fn.place}`),
    el("p", {}, badge(fn.state), " for ", age(fn.since),
      fn.next_try === null ? null : el("span", {}, ", next try ", moment(fn.next_try))),
    ...why(fn), ...doubts(fn), ...difference(fn), ...lastChange(fn), ...digests(fn), ...history(fn));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = scrolled;
}

/** Shows that there is no such function, or none any more. */
export function missing(error, close) {
  dialog.replaceChildren(
    el("header", {}, el("h2", { id: "details-title" }, "Not found"),
      el("button", { type: "button", "aria-label": "Close", onclick: close }, "×")),
    el("p", {}, error));
  if (!dialog.open) dialog.showModal();
}

export function hide() {
  if (dialog.open) dialog.close();
}

function why(fn) {
  const parts = [];
  if (fn.why !== null) {
    parts.push(el("p", { class: "why" }, el("strong", {}, fn.why.reason), " ", fn.why.sentence));
    if (fn.why.detail !== "") parts.push(el("pre", {}, fn.why.detail));
  }
  if (fn.mode === "observe" && fn.why?.reason !== "Observed") {
    parts.push(el("p", {}, "The file says that it is only observed", fn.observed_because === null ? "." : `: ${fn.observed_because}`));
  }
  if (fn.observed_until !== null) parts.push(el("p", {}, "The observation ends ", moment(fn.observed_until), "."));
  return parts;
}

function doubts(fn) {
  if (fn.doubts.length === 0) return [];
  return [el("h3", {}, "Doubts"), el("ul", {}, fn.doubts.map((text) => el("li", {}, text)))];
}

function difference({ change, cause, live, vpc }) {
  const parts = [];
  if (change !== null) {
    parts.push(el("h3", {}, "What differs"), el("p", {}, `Because ${CAUSES[cause] ?? cause}.`));
    // Nobody expects that to be needed of which a simulation says that the right is there.
    const perhaps = change.attach_if_refused.filter(({ evidence }) => evidence !== "doubted");
    for (const [attach, when] of [[change.attach, ""], [perhaps, ", if Lambda refuses without it"]]) {
      for (const { role, policy } of attach) {
        parts.push(el("p", {}, "Role ", el("code", {}, role), " gets ", el("code", {}, policy), when, "."));
      }
    }
    if (change.to !== null) parts.push(compare(change.from, change.to));
  }
  if (live !== null) {
    const heading = change === null ? "What it has" : "What it has now";
    parts.push(el("h3", {}, heading), el("p", {}, isAttached(live) ? (live.vpc ?? "a VPC") : "no VPC"));
    if (change === null || change.to === null) parts.push(networkList(live));
  }
  if (change !== null) parts.push(el("p", { class: "dim" }, vpc === null ? "The file wants it in no VPC." : `The file wants it in ${vpc}.`));
  return parts;
}

function isAttached({ subnets, security_groups }) {
  return subnets.length > 0 || security_groups.length > 0;
}

function ids(network) {
  return [...network.subnets, ...network.security_groups, ...(network.ipv6 ? ["ipv6"] : [])];
}

function networkList(network) {
  return el("ul", { class: "ids" }, ids(network).map((id) => el("li", {}, id)));
}

/** Live against desired, an id a line: what goes, what stays, what comes. */
function compare(from, to) {
  const [live, desired] = [ids(from), ids(to)];
  const line = (id) => {
    const [kind, sign, word] = !desired.includes(id) ? ["gone", "−", "goes"] : !live.includes(id) ? ["new", "+", "comes"] : ["kept", " ", "stays"];
    return el("tr", { class: kind }, el("td", {}, `${sign} ${id}`), el("td", {}, word));
  };
  return el("table", { class: "diff" },
    el("caption", {}, `${live.length === 0 ? "no VPC" : "another network"} now, ${desired.length === 0 ? "no VPC" : "this network"} desired`),
    el("tbody", {}, [...new Set([...live, ...desired])].map(line)));
}

function lastChange({ last_change: made }) {
  if (made === null) return [];
  const what = made.step === "attach_policy" ? `attached ${made.policy} to role ${made.role}` : "set its network";
  return [el("h3", {}, "Last change by this controller"),
    el("p", {}, moment(made.at), `: ${what}, because ${CAUSES[made.cause] ?? made.cause} (file ${made.file_digest.slice(0, 12)})`)];
}

function digests(fn) {
  const short = (digest) => digest === null ? "none yet" : digest.slice(0, 12);
  return [el("p", { class: "dim" },
    `Last looked at by file ${short(fn.attempted_digest)}, last in sync by file ${short(fn.applied_digest)}.`)];
}

function history({ history: events }) {
  const row = (event) => el("tr", {},
    el("td", {}, moment(event.last)),
    el("td", {}, tell(event), event.times > 1 ? el("span", { class: "dim" }, ` ${event.times} times, first `, moment(event.first)) : null));
  return [el("h3", {}, "History"), events.length === 0
    ? el("p", { class: "dim" }, "Nothing has happened since the daemon began.")
    : el("table", { class: "history" }, el("tbody", {}, events.map(row)))];
}

function tell(event) {
  switch (event.event) {
    case "edited": return `its entry was edited (file ${event.file_digest.slice(0, 12)})`;
    case "differs": return `differs: ${CAUSES[event.cause] ?? event.cause}`;
    case "called": return event.error === null
      ? `${event.step} accepted after ${event.duration_ms < 1000 ? `${event.duration_ms} ms` : duration(event.duration_ms / 1000)}`
      : `${event.step} failed: ${event.error}`;
    case "became": return [WORDS[event.state] ?? event.state, event.reason, event.detail].filter((text) => text !== null).join(", ");
    default: return event.event;
  }
}
