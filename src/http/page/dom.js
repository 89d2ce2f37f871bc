// Elements and words. Whatever comes from the file or from AWS becomes text, never markup.

/** An element with attributes, and texts or elements in it; null is left out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text only if it is another one, so that what is selected or read aloud stays undisturbed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const WORDS = {
  blocked: "blocked",
  unknown: "unknown",
  awaiting_approval: "awaiting approval",
  out_of_sync: "out of sync",
  progressing: "progressing",
  excluded: "excluded",
  in_sync: "in sync",
};

/** How far the clock of the daemon is ahead of the browser's, in milliseconds. */
let ahead = 0;

export function setClock(date) {
  const theirs = Date.parse(date ?? "");
  if (!Number.isNaN(theirs)) ahead = theirs - Date.now();
}

/** A moment, shown as the time from or until now; `refreshTimes` keeps it true. */
export function moment(time, none = "–") {
  if (time === null) return el("span", { class: "none" }, none);
  return el("time", { datetime: time, title: time }, relative(time));
}

/** How long something has lasted that began at a moment; kept true as well. */
export function age(time) {
  return el("time", { datetime: time, title: time, class: "age" }, lasted(time));
}

function lasted(time) {
  return duration(Math.max(0, Math.round((Date.now() + ahead - Date.parse(time)) / 1000)));
}

function relative(time) {
  const seconds = Math.round((Date.parse(time) - Date.now() - ahead) / 1000);
  if (Math.abs(seconds) < 2) return "now";
  return seconds > 0 ? `in ${duration(seconds)}` : `${duration(-seconds)} ago`;
}

/** Two units at most: 40 s, 3 min, 2 h 5 min, 4 d 2 h. */
export function duration(seconds) {
  const [minutes, hours, days] = [seconds / 60, seconds / 3600, seconds / 86400].map(Math.floor);
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  if (minutes > 0) return `${minutes} min`;
  return `${Math.round(seconds)} s`;
}

export function refreshTimes() {
  for (const time of document.querySelectorAll("time")) {
    setText(time, time.classList.contains("age") ? lasted(time.dateTime) : relative(time.dateTime));
  }
}

export function badge(state) {
  return el("span", { class: `state ${state}` }, WORDS[state] ?? state);
}
