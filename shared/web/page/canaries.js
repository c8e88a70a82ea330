// What simulated alerts have shown of a subscription's path.
import { el, mark } from "./dom.js";
import { ago, duration } from "./words.js";

const STATES = { proven: "exported", "not-proven": "silent", "not-possible": "quiet" };
const WORDS = { proven: "proven", "not-proven": "not proven", "not-possible": "not possible" };

const where = ({ hop, reason }) => `${hop ? ` at ${hop}` : ""}${reason ? `: ${reason}` : ""}`;

export const told = (canary) => canary.outcome === "proven" ? "Proven: a simulated alert reached its table."
  : `${canary.outcome === "not-proven" ? "Not proven" : "Not possible"}${where(canary)}. ${canary.mend}`;

// The newest one, with how long each hop took; nothing where there was none.
export function proof({ rows, failure }) {
  if (failure) return failure.status === 404 ? null : el("p", { class: "aside" }, `Simulated alerts: ${failure.title}. ${failure.next ?? ""}`);
  const last = rows.toSorted((one, other) => one.begun < other.begun ? -1 : 1).at(-1);
  if (!last) return null;
  const hops = last.hops.filter((hop) => hop.seconds !== null).map((hop) => `${hop.hop} ${duration(hop.seconds)}`);
  return [el("h3", {}, "By a simulated alert"),
    el("p", {}, mark(STATES[last.outcome] ?? "quiet", WORDS[last.outcome] ?? last.outcome), ` ${ago(last.ended)}${last.outcome === "proven" ? "" : where(last)}`),
    hops.length ? el("p", { class: "aside" }, hops.join(", ")) : null,
    last.mend ? el("p", { class: "next" }, last.mend) : null];
}
