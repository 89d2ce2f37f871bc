// What the daemon says. The browser keeps each answer and asks whether it has changed; most of the time it has not.

import { setClock } from "./dom.js";

/** An answer that is the same as before, when nothing has to be drawn. */
export const SAME = Symbol("same");

const seen = new Map();

/** Asks for a path; `place` is what the answer is for, and remembers which one it shows. */
export async function get(path, place) {
  const response = await fetch(path, { cache: "no-cache", signal: AbortSignal.timeout(10_000) });
  setClock(response.headers.get("date"));
  const body = await response.json();
  if (!response.ok) throw Object.assign(new Error(body.error), { status: response.status });
  const tag = path + response.headers.get("etag");
  if (seen.get(place) === tag) return SAME;
  seen.set(place, tag);
  return body;
}

/** The next answer for this place is drawn in any case. */
export function forget(place) {
  seen.delete(place);
}
