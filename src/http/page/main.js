// What is shown is in the address behind `#`, so that it can be passed on; what is true is asked of the daemon again and
// again. Each change of either draws what has changed.

import { SAME, forget, get } from "./api.js";
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

async function drawStatus() {
  const status = await get("/api/v1/status", "status");
  if (status === SAME) return;
  const scopes = status.scopes.map(({ account, region }) => `${account} ${region}`);
  if ([...scope.options].slice(1).map((option) => option.value).join() !== scopes.join()) {
    scope.replaceChildren(scope.options[0], ...scopes.map((text) => new Option(text, text)));
    scope.value = view().get("scope") ?? "";
  }
  overview.draw(status, view().getAll("state"), toggle);
  document.title = status.states.blocked > 0 ? `(${status.states.blocked}) lambda-vpc-controller` : "lambda-vpc-controller";
}

async function drawTable(mine) {
  const answer = await get(path(), "table");
  if (mine !== round) return forget("table");
  if (answer === SAME) return;
  if (answer.functions.length === 0 && cursors.length > 1) {
    cursors = [null];
    return drawTable(mine);
  }
  table.draw(answer, (cursors.length - 1) * PAGE, (key) => show({ open: key }, { keepPage: true }));
  following = answer.next;
  previous.disabled = cursors.length === 1;
  next.disabled = following === null;
}

async function drawDetails(mine) {
  const key = view().get("open");
  if (key === null) {
    details.hide();
    return forget("details");
  }
  opener = key;
  try {
    const path = key.split("/").map(encodeURIComponent).join("/");
    const fn = await get(`/api/v1/functions/${path}`, "details");
    if (fn !== SAME && mine === round) details.draw(fn, close);
  } catch (error) {
    if (error.status === undefined) throw error;
    forget("details");
    details.missing(error.message, close);
  }
}

function close() {
  show({ open: null }, { keepPage: true });
}

/** Asks for everything that is shown; only the last round that was begun is drawn. */
async function refresh() {
  const mine = ++round;
  try {
    await Promise.all([drawStatus(), drawTable(mine), drawDetails(mine)]);
    setText(connection, "live");
    connection.className = "live";
  } catch (error) {
    const why = error.status === undefined ? "the daemon does not answer; trying again" : error.message;
    setText(connection, why);
    connection.className = "lost";
  }
  document.body.dataset.rounds = String(mine);
}

form.addEventListener("input", (event) => show({ [event.target.id]: event.target.value }));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => show({ name: null, vpc: null, scope: null, state: null }));
next.addEventListener("click", () => {
  cursors.push(following);
  refresh();
});
previous.addEventListener("click", () => {
  cursors.pop();
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
setInterval(() => {
  if (!document.hidden) refresh();
}, EVERY);
setInterval(refreshTimes, 1000);

mark();
refresh();
