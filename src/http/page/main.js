// What is shown is in the address behind `#`, so that it can be passed on; what is true is asked of the daemon again and
// again. Each change of either draws what has changed.

import { ask, forget } from "./api.js";
import * as details from "./details.js";
import { refreshTimes, setText } from "./dom.js";
import * as overview from "./overview.js";
import * as table from "./table.js";

const EVERY = 2000;
const PAGE = 100;

const connection = document.getElementById("connection");
const form = document.getElementById("filters");
const [name, vpc, scope] = ["name", "vpc", "scope"].map((id) => document.getElementById(id));
const [previous, next] = ["previous", "next"].map((id) => document.getElementById(id));

/** The cursors of the pages before this one, the first of which has none. */
let cursors = [null];
let following = null;
let opener = null;
let round = 0;
/** Whether the last round has not ended yet. */
let underWay = false;

const view = () => new URLSearchParams(location.hash.slice(1));

/** Changes what is shown; a null takes a parameter away. */
function show(changes, { keepPage = false } = {}) {
  const wanted = view();
  for (const [key, value] of Object.entries(changes)) {
    wanted.delete(key);
    [value ?? []].flat().filter((each) => each !== "").forEach((each) => wanted.append(key, each));
  }
  if (!keepPage) cursors = [null];
  history.replaceState(null, "", `#${wanted}`);
  mark();
  refresh();
}

function toggle(state) {
  const states = view().getAll("state");
  show({ state: states.includes(state) ? states.filter((other) => other !== state) : [...states, state] });
}

/** What somebody types is found anywhere in the name, unless it has stars of its own. */
function pattern(text) {
  return /[*?]/.test(text) ? text : `*${text}*`;
}

function path() {
  const wanted = view();
  const query = new URLSearchParams({ limit: PAGE, sort: wanted.get("sort") ?? "state" });
  wanted.getAll("state").forEach((state) => query.append("state", state));
  if (wanted.get("name")) query.set("name", pattern(wanted.get("name")));
  if (wanted.get("vpc")) query.set("vpc", wanted.get("vpc"));
  const [account, region] = (wanted.get("scope") ?? "").split(" ");
  if (region) {
    query.set("account", account);
    query.set("region", region);
  }
  const cursor = cursors.at(-1);
  if (cursor !== null) query.set("cursor", cursor);
  return `/api/v1/functions?${query}`;
}

/** The controls show what is chosen. */
function mark() {
  const wanted = view();
  for (const input of [name, vpc, scope]) {
    const value = wanted.get(input.id) ?? "";
    if (input !== document.activeElement && input.value !== value) input.value = value;
  }
  const sort = wanted.get("sort") ?? "state";
  for (const button of document.querySelectorAll("button[data-sort]")) {
    const by = button.dataset.sort;
    const order = sort === by ? "ascending" : sort === `-${by}` ? "descending" : "none";
    button.closest("th").setAttribute("aria-sort", order);
  }
  overview.mark(wanted.getAll("state"), toggle);
}

function askStatus(isWanted) {
  return ask("status", "/api/v1/status", { isWanted, draw: drawStatus });
}

function drawStatus(status) {
  const scopes = status.scopes.map(({ account, region }) => `${account} ${region}`);
  if ([...scope.options].slice(1).map((option) => option.value).join() !== scopes.join()) {
    scope.replaceChildren(scope.options[0], ...scopes.map((text) => new Option(text, text)));
    scope.value = view().get("scope") ?? "";
  }
  overview.draw(status, view().getAll("state"), toggle);
  document.title = status.states.blocked > 0 ? `(${status.states.blocked}) lambda-vpc-controller` : "lambda-vpc-controller";
}

function askTable(isWanted) {
  return ask("table", path(), { isWanted, draw: drawTable });
}

function drawTable(answer) {
  if (answer.functions.length === 0 && cursors.length > 1) {
    cursors = [null];
    refresh();
    return;
  }
  table.draw(answer, (cursors.length - 1) * PAGE, (key) => show({ open: key }, { keepPage: true }));
  following = answer.next;
  previous.disabled = cursors.length === 1;
  next.disabled = following === null;
}

async function askDetails(isWanted) {
  const key = view().get("open");
  if (key === null) {
    details.hide();
    forget("details");
    return;
  }
  opener = key;
  const path = key.split("/").map(encodeURIComponent).join("/");
  const draw = (fn) => details.draw(fn, close);
  const missing = (error) => details.missing(error, close);
  await ask("details", `/api/v1/functions/${path}`, { isWanted, draw, missing });
}

function close() {
  show({ open: null }, { keepPage: true });
}

/** Asks for everything that is shown. What comes when a later round has begun is of no use: that one asks as well. */
async function refresh() {
  const mine = ++round;
  const isWanted = () => mine === round;
  underWay = true;
  const answered = await Promise.allSettled([askStatus(isWanted), askTable(isWanted), askDetails(isWanted)]);
  if (!isWanted()) return;
  underWay = false;
  const failed = answered.find(({ status }) => status === "rejected");
  setText(connection, failed === undefined ? "live" : inWords(failed.reason));
  connection.className = failed === undefined ? "live" : "lost";
}

function inWords(error) {
  return error.status === undefined ? "the daemon does not answer; trying again" : error.message;
}

form.addEventListener("input", (event) => show({ [event.target.id]: event.target.value }));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => show({ name: null, vpc: null, scope: null, state: null }));
next.addEventListener("click", () => {
  // Whoever presses twice before the page comes means one page.
  if (cursors.at(-1) !== following) cursors.push(following);
  refresh();
});
previous.addEventListener("click", () => {
  if (cursors.length > 1) cursors.pop();
  refresh();
});
for (const button of document.querySelectorAll("button[data-sort]")) {
  button.addEventListener("click", () => {
    const by = button.dataset.sort;
    show({ sort: (view().get("sort") ?? "state") === by ? `-${by}` : by });
  });
}
document.getElementById("details").addEventListener("close", () => {
  if (view().get("open") !== null) close();
  if (opener !== null) table.focus(opener);
  opener = null;
});
window.addEventListener("hashchange", () => {
  cursors = [null];
  mark();
  refresh();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    name.focus();
  } else if (event.key === "ArrowDown" && !event.target.matches("select")) {
    event.preventDefault();
    table.step(1);
  } else if (event.key === "ArrowUp" && !typing) {
    event.preventDefault();
    table.step(-1);
  }
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
// Where an answer takes longer than that, it is waited for.
setInterval(() => {
  if (!document.hidden && !underWay) refresh();
}, EVERY);
setInterval(refreshTimes, 1000);

mark();
refresh();
