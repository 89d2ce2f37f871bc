// What the daemon says. The browser keeps each answer and asks whether it has changed; most of the time it has not.

import { setClock } from "./dom.js";

/** Which answer each place shows: its path and its tag. */
const shown = new Map();

/**
 * Asks for a path, and lets `draw` show the answer in its place; `missing`, where there is one, shows a refusal. Nothing is
 * drawn that the place shows already, and nothing is drawn or remembered that `isWanted` no longer wants when it comes.
 */
export async function ask(place, path, { isWanted, draw, missing }) {
  const response = await fetch(path, { cache: "no-cache", signal: AbortSignal.timeout(10_000) });
  const body = await response.json();
  if (!isWanted()) return;
  setClock(response.headers.get("date"));
  if (!response.ok) {
    forget(place);
    if (missing !== undefined) return missing(body.error);
    throw Object.assign(new Error(body.error), { status: response.status });
  }
  const tag = path + response.headers.get("etag");
  if (shown.get(place) === tag) return;
  draw(body);
  shown.set(place, tag);
}

/** The next answer for this place is drawn in any case. */
export function forget(place) {
  shown.delete(place);
}
