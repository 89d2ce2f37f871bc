// The functions, a page of them at a time: the daemon filters and sorts, so that ten thousand are as quick as ten.

import { badge, el, moment, setText } from "./dom.js";

const rows = document.getElementById("rows");
const count = document.getElementById("count");
const shown = new Map();

export function keyOf({ account, region, name }) {
  return `${account}/${region}/${name}`;
}

/** Draws a page; rows that are there stay the same elements, so that the focus stays where it is. */
export function draw(answer, before, open) {
  const wanted = new Set(answer.functions.map(keyOf));
  for (const [key, row] of shown) {
    if (!wanted.has(key)) {
      row.remove();
      shown.delete(key);
    }
  }
  answer.functions.forEach((fn, place) => {
    const key = keyOf(fn);
    if (!shown.has(key)) shown.set(key, makeRow(fn, open));
    const row = shown.get(key);
    fill(row, fn);
    if (rows.children[place] !== row) rows.insertBefore(row, rows.children[place] ?? null);
  });
  const last = before + answer.functions.length;
  setText(count, answer.total === 0 ? "No function fits." : `${before + 1}–${last} of ${answer.total}`);
}

function makeRow(fn, open) {
  const key = keyOf(fn);
  const cell = (label) => el("td", { "data-label": label });
  return el("tr", { "data-key": key },
    el("th", { scope: "row" },
      el("button", { type: "button", class: "link", onclick: () => open(key) }, fn.name),
      el("span", { class: "note" }, `${fn.region} ${fn.account}`)),
    cell("State"), cell("Why"), cell("Since"), cell("Next try"), cell("VPC"));
}

function fill(row, fn) {
  const text = JSON.stringify(fn);
  if (row.dataset.is === text) return;
  row.dataset.is = text;
  const [state, why, since, next, vpc] = row.querySelectorAll("td");
  state.replaceChildren(badge(fn.state));
  why.replaceChildren(...reasons(fn));
  since.replaceChildren(moment(fn.since));
  next.replaceChildren(moment(fn.next_try));
  vpc.replaceChildren(...place(fn));
}

function reasons({ why, cause, warnings, mode }) {
  const parts = [];
  if (why !== null) parts.push(el("strong", { title: why.sentence }, why.reason), el("span", { class: "sentence" }, why.sentence));
  const notes = [];
  if (cause !== null) notes.push(`differs: ${CAUSES[cause] ?? cause}`);
  if (mode === "observe") notes.push("only observed");
  if (warnings > 0) notes.push(`${warnings} ${warnings === 1 ? "doubt" : "doubts"}`);
  if (notes.length > 0) parts.push(el("span", { class: "note" }, notes.join(" · ")));
  return parts;
}

export const CAUSES = {
  file: "the file asks for something else",
  live: "somebody changed the function or its role",
  network: "somebody changed the VPC",
};

function place({ vpc, vpc_name }) {
  if (vpc === null) return ["none"];
  return vpc_name === null ? [el("span", { class: "id" }, vpc)] : [vpc_name, " ", el("span", { class: "note id" }, vpc)];
}

/** Moves the focus from function to function. */
export function step(by) {
  const buttons = [...rows.querySelectorAll("button.link")];
  const now = buttons.indexOf(document.activeElement);
  const next = now < 0 ? (by > 0 ? 0 : buttons.length - 1) : now + by;
  buttons[Math.max(0, Math.min(buttons.length - 1, next))]?.focus();
}

/** Puts the focus on a function, if it is on this page. */
export function focus(key) {
  shown.get(key)?.querySelector("button.link").focus();
}
