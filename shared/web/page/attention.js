// What needs a person, in the order of urgency, each with what to do next.
import { inPortal } from "./api.js";
import { destinations, shortName } from "./destinations.js";
import { CHECKS, KINDS, LETTERS, ORDER, STATES, ago, mutedWords, number, plural } from "./words.js";

// `data` holds what has arrived so far, by section; each finding may filter the matrix (`show`).
export function findings({ coverage, letters, freshness, exports: files, ready }) {
  const found = ready ? faults(ready.checks) : [];
  if (coverage) {
    found.push(...troubled(coverage));
    for (const state of ORDER.filter((name) => STATES[name].bad && name !== "broken")) {
      const rows = coverage.rows.filter((row) => KINDS.some(([kind]) => row.states[kind] === state && !row.muted[kind]));
      if (rows.length) {
        const notes = new Set(rows.flatMap((row) => KINDS.filter(([kind]) => row.states[kind] === state && !row.muted[kind]).map(([kind]) => row.notes?.[kind]).filter(Boolean)));
        found.push({
          state, word: state, what: `${plural(rows.length, "subscription")}: ${STATES[state].means}${notes.size === 1 ? ` ${sentence([...notes][0])}` : ""}${whose(rows)}`,
          next: STATES[state].next, show: { state },
        });
      }
    }
    const unmet = coverage.rows.filter((row) => row.unmet);
    if (unmet.length) {
      found.push({ state: "drifted", word: "not met", what: `${plural(unmet.length, "subscription")} without CIS 8.1.5.2: alerts of High and Medium severity must leave the portal.${whose(unmet)}`,
        next: "Declare an alerts export that reaches them; open one for the reason.", show: { state: "cis" } });
    }
    if (!coverage.complete && coverage.reasons?.length) {
      found.push({ state: "blocked", word: "incomplete", what: `Not every subscription was seen: ${coverage.reasons.join("; ")}.`,
        next: "Compare the app's role assignments with the deployment guide. An incomplete discovery deletes nothing." });
    }
  }
  for (const problem of files?.problems ?? []) {
    found.push({ state: "drifted", word: "invalid", what: `The export file ${problem.name} is not valid: ${problem.findings[0]?.sentence ?? "see its findings"}`,
      next: `${problem.inForce ? "Its last valid version stays in force." : "It is not in force."} ${problem.findings[0]?.fix ?? ""} Then push it again.` });
  }
  if (files && !files.rows.length) {
    found.push({ state: "quiet", word: "empty", what: "No export file is stored, so nothing is declared.", next: "Write one and push it: defender-export push exports/" });
  }
  const last = coverage?.run;
  if (last && !coverage.runMuted && last.outcome !== "Succeeded") {
    found.push({ state: last.outcome === "Partial" ? "drifted" : "blocked", word: last.outcome.toLowerCase(), what: `The run ${ago(last.ended)}: ${sentence(last.reason)}`,
      next: last.guards?.length ? "If the change is meant, let it through once: a reconcile with raised limits." : "Open the run: each change that failed has its reason.", run: last.runId });
  }
  const parked = letters?.rows.filter((letter) => letter.parked).reduce((sum, letter) => sum + letter.records, 0);
  if (parked) {
    found.push({ state: "blocked", word: "parked", what: `${plural(parked, "record")} could not be delivered and wait for a person.`, next: "Look at one, mend the cause, and replay the dead letters.", go: "letters-card" });
  }
  const waiting = letters?.rows.filter((letter) => !letter.parked) ?? [];
  for (const reason of new Set(waiting.map((letter) => letter.reason))) {
    const count = waiting.filter((letter) => letter.reason === reason).reduce((sum, letter) => sum + letter.records, 0);
    found.push({ state: "silent", word: "waiting", what: `${plural(count, "record")} ${count === 1 ? "waits" : "wait"} as dead letters (${reason}).`,
      next: LETTERS[reason] ?? "They are sent again by themselves.", go: "letters-card" });
  }
  if (freshness && !freshness.checked) {
    found.push({ state: "quiet", word: "unknown", what: "The flow of data was never checked.", next: "The hourly check does it by itself; EVENT_HUB_RESOURCE_ID must be set." });
  } else if (freshness?.reasons?.length) {
    found.push({ state: "blocked", word: "not judged", what: `The check of the flow ${ago(freshness.checked)} did not see everything: ${sentence(freshness.reasons.join("; "))}`,
      next: "What follows from it is not known, rather than well; the next check looks again." });
  }
  if (coverage?.muteTrouble) {
    found.push({ state: "drifted", word: "mutes", what: sentence(coverage.muteTrouble), next: "Put the file of mutes anew: defender-export mutes put FILE." });
  }
  return found;
}

const PARTS = { coverage: "The state of the subscriptions", exports: "The export files", letters: "The dead letters", freshness: "The check of the flow", ready: "What the app depends on" };
const FORBIDDEN = 403; // a part that somebody may not see is no matter for them

// A part that could not be read is no part without a matter: what is known of it is of before.
export function unread(data, failures) {
  return Object.keys(PARTS).filter((name) => failures[name] && failures[name].status !== FORBIDDEN).map((name) => ({
    state: "blocked", word: "not known", what: `${PARTS[name]} could not be read: ${sentence(failures[name].title)}`,
    next: `${data[name] ? `What is shown of it is of ${ago(data[name].at)}.` : "Nothing is known of it."} It is asked again by itself.`,
  }));
}

// What is muted is told after all that needs a person, and counted apart.
export function muted(coverage) {
  const rows = coverage?.rows.filter((row) => row.quieted || row.subscriptionMuted) ?? [];
  const places = coverage ? destinations(coverage).filter((each) => each.muted && each.state !== "ready") : [];
  const by = new Map(); // each mute once
  for (const row of rows) for (const one of [row.subscriptionMuted, ...Object.values(row.muted)]) if (one) by.set(one.mute, one);
  for (const { muted: one } of places) by.set(one.mute, one);
  if (!by.size) return [];
  const what = [rows.length ? plural(rows.length, "subscription") : "", places.length ? plural(places.length, "destination") : ""].filter(Boolean).join(" and ");
  return [{ state: "quiet", word: "muted", what: `${what}. ${[...by.values()].slice(0, 5).map(mutedWords).join(". ")}${by.size > 5 ? `. ${number(by.size - 5)} more mutes` : ""}.`,
    next: "Nothing until then: what is still wrong is raised again by itself.", show: rows.length ? { state: "muted" } : null }];
}

// A destination is told once, whatever number of subscriptions send there.
function troubled(coverage) {
  return destinations(coverage).filter(({ state, muted: by }) => !by && (state === "broken" || state === "unverified")).map(({ id, state, reasons, exports: files, subscriptions }) => {
    const name = shortName(id);
    const whom = `${files.length === 1 ? "the export" : "the exports"} ${files.join(", ")} in ${plural(subscriptions, "subscription")}`;
    return state === "broken"
      ? { state, word: "broken", what: `Nothing arrives at ${name}: ${reasons.join("; ")}. It takes ${whom}.`, next: STATES.broken.next, name, portal: inPortal(id) }
      : { state: "drifted", word: "unverified", what: `Whether anything arrives at ${name} is not known: ${reasons.join("; ")}. It takes ${whom}.`,
        next: "Grant what the reason names, or say verify: false in the export file.", name, portal: inPortal(id) };
  });
}

// In which management groups and with which owners most of them are.
function whose(rows) {
  const groups = most(rows, (row) => row.managementGroups.filter((name) => name !== row.tenantId).at(-1));
  const owners = most(rows, (row) => row.owner);
  return `${groups ? ` In ${groups}.` : ""}${owners ? ` Owners: ${owners}.` : ""}`;
}

function most(rows, nameOf) {
  const counts = new Map();
  for (const row of rows) if (nameOf(row)) counts.set(nameOf(row), (counts.get(nameOf(row)) ?? 0) + 1);
  const sorted = [...counts].sort(([, one], [, other]) => other - one);
  return sorted.slice(0, 3).map(([name, count]) => `${name} ${number(count)}`).join(", ") + (sorted.length > 3 ? `, ${number(sorted.length - 3)} more` : "");
}

// What `ready` finds wrong; what follows from another fault is told once, by its cause.
function faults(checks) {
  const bad = checks.filter((check) => !check.ok);
  const followed = new Set(bad.flatMap(({ name }) => CHECKS[name]?.brings ?? []));
  return bad.filter(({ name }) => !followed.has(name)).map(({ name, detail }) => {
    const { title, next } = CHECKS[name] ?? { title: name, next: "See the app's log." };
    return { state: name === "timers" ? "silent" : "blocked", word: name === "timers" ? "stopped" : "fault", what: `${title}: ${detail}.`, next };
  });
}

export function sentence(text) {
  const cut = text.length > 160 ? `${text.slice(0, 157)}...` : text;
  return `${cut.charAt(0).toUpperCase()}${cut.slice(1)}${/[.!?]$/.test(cut) ? "" : "."}`;
}
