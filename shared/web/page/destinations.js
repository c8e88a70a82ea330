// Where exports send: what is known of each destination, and how many subscriptions send there.
import { inPortal } from "./api.js";
import { byId, el, fill, mark } from "./dom.js";
import { DESTINATIONS, mutedWords, plural } from "./words.js";

const WORST = ["broken", "unverified", "ready"];
const rank = (state) => (WORST.indexOf(state) + 1 || WORST.length) - 1;

// The names in a resource's id, without their types: what stands after `providers/<namespace>` is type and name in turn.
export function shortName(id) {
  const parts = id.split("/");
  const at = parts.findLastIndex((part) => part.toLowerCase() === "providers");
  return at < 0 ? id : parts.slice(at + 2).filter((_, index) => index % 2).join("/");
}

// Each destination once, the worst first; `state` is empty where only others' automations send, which no run looks at.
export function destinations({ rows, destinations: known = [] }) {
  const found = new Map();
  const at = (id) => found.get(id.toLowerCase()) ?? found.set(id.toLowerCase(), { id, subscriptions: 0, state: "", reasons: [], exports: [] }).get(id.toLowerCase());
  for (const row of rows) for (const id of new Set((row.destinations ?? []).map((each) => each.toLowerCase()))) at(id).subscriptions += 1;
  for (const each of known) {
    const place = at(each.id);
    place.id = each.id; // as it is spelt there
    if (!place.state || rank(each.state) < rank(place.state)) place.state = each.state;
    if (each.state !== "ready") place.raised ||= !each.muted;
    place.muted = place.raised ? null : each.muted ?? place.muted;
    place.exports.push(...each.exports);
    place.reasons.push(...each.reasons.filter((reason) => !place.reasons.includes(reason)));
  }
  const order = (each) => (each.state ? rank(each.state) : WORST.length);
  return [...found.values()].sort((one, other) => order(one) - order(other) || other.subscriptions - one.subscriptions);
}

export function showDestinations(coverage, search) {
  const found = destinations(coverage);
  fill(byId("destinations"), found.length ? el("ul", { class: "letters" }, found.map((each) => {
    const { colour, word } = DESTINATIONS[each.state] ?? DESTINATIONS[""];
    return el("li", {},
      el("p", {}, mark(colour, word), " ", el("b", {}, shortName(each.id)), " ", link(each)),
      el("p", { class: "aside" }, `${plural(each.subscriptions, "subscription")} ${each.subscriptions === 1 ? "sends" : "send"} there${each.exports.length ? `, by ${each.exports.length === 1 ? "the export" : "the exports"} ${each.exports.join(", ")}` : ", by others' automations alone"} `,
        el("button", { type: "button", class: "link", onclick: () => search(shortName(each.id)), "aria-label": `Show what sends to ${shortName(each.id)}` }, "Show")),
      each.muted ? el("p", { class: "aside" }, `${mutedWords(each.muted)}.`) : null,
      each.reasons.map((reason) => el("p", {}, `${reason}${/[.!?]$/.test(reason) ? "" : "."}`)));
  })) : el("p", { class: "empty" }, coverage.more ? "Loading…" : "None: no automation sends anywhere."));
}

const link = ({ id }) => (id.startsWith("/subscriptions/") ? el("a", { href: inPortal(id), target: "_blank", rel: "noreferrer", "aria-label": `Open ${shortName(id)} in the portal` }, "portal") : null);
