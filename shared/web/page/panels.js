// The drawer: one subscription, or one run, in full.
import { MAY_APPROVE, MAY_WRITE, all, ask, inPortal, signIn } from "./api.js";
import { proof } from "./canaries.js";
import { shortName } from "./destinations.js";
import { byId, el, fill, mark } from "./dom.js";
import { ACTIONS, KINDS, OUTCOMES, STATES, ago, difference, duration, inForce, kindName, moment, mutedWords, planned, plural } from "./words.js";

const MOST = 200;
const drawer = byId("drawer");
let closed = () => {};
let ticket = 0;

byId("drawer-close").addEventListener("click", () => drawer.close());
drawer.addEventListener("close", () => {
  if (drawer.open) return; // it tells late of a closing before this opening
  ticket += 1;
  closed();
});
drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());

export function onClose(listener) {
  closed = listener;
}

export function close() {
  if (drawer.open) drawer.close();
}

function begin(title) {
  fill(byId("drawer-title"), title);
  fill(byId("drawer-body"), el("p", { class: "loading" }, "Loading…"));
  if (!drawer.open) drawer.showModal();
  ticket += 1;
  return ticket;
}

export const failed = (failure, again) =>
  el("div", { class: "failure", role: "alert" },
    el("p", {}, mark("blocked", failure.title ?? "This page failed")),
    el("p", {}, failure.next ?? "Load the page again; if it stays, look at the browser's console."),
    failure.signIn ? el("a", { class: "button", href: signIn() }, "Sign in")
      : again ? el("button", { type: "button", onclick: again }, "Try again") : null);

const subscriptionOf = (item) => (item.id.split("/")[2] ?? "").toLowerCase();

export async function subscription(row, kind, act) {
  const mine = begin(row.subscription || row.subscriptionId);
  const retry = () => subscription(row, kind, act);
  try {
    const id = encodeURIComponent(row.subscriptionId);
    const [coverage, freshness] = await Promise.all([ask(`coverage?subscription=${id}`), ask(`freshness?subscription=${id}`)]);
    if (mine !== ticket) return;
    const proven = el("div", {});
    fill(byId("drawer-body"), about(row), act ? act(row) : null, proven, drift(coverage.value[0]?.open ?? []), el("h3", {}, "Kinds of record"),
      KINDS.map(([name]) => kindSection(name, row, coverage.value[0], freshness.value.find((each) => each.kind === name), name === kind)),
      verdicts(coverage.value[0]));
    const wanted = kind && byId("drawer-body").querySelector(`[data-section="${CSS.escape(kind)}"]`);
    if (wanted) wanted.scrollIntoView({ block: "nearest" });
    const canaries = await all(`canaries?subscription=${id}`).catch((failure) => ({ failure }));
    if (mine === ticket) fill(proven, proof(canaries));
  } catch (failure) {
    if (mine === ticket) fill(byId("drawer-body"), about(row), failed(failure, retry));
  }
}

const portal = (id, tenant, label) => el("a", { href: inPortal(id, tenant), target: "_blank", rel: "noreferrer", "aria-label": label }, "portal");

const about = (row) =>
  el("dl", { class: "facts" },
    el("dt", {}, "Subscription"), el("dd", {}, el("code", {}, row.subscriptionId), " ", portal(`/subscriptions/${row.subscriptionId}`, row.tenantId, "Open the subscription in the portal")),
    el("dt", {}, "Tenant"), el("dd", {}, el("code", {}, row.tenantId)),
    row.owner ? [el("dt", {}, "Owner"), el("dd", {}, row.owner)] : null,
    row.subscriptionState && row.subscriptionState !== "Enabled" ? [el("dt", {}, "State in Azure"), el("dd", {}, `${row.subscriptionState}${row.dormant ? ": nothing can be written there" : ""}`)] : null,
    el("dt", {}, "Management groups"), el("dd", {}, row.managementGroups.filter((name) => name !== row.tenantId).join(" › ") || "none visible"));

function drift(items) {
  const open = items.filter((item) => item.action !== "foreign" && item.action !== "unchanged" && (!item.outcome || !["created", "updated", "deleted", "adopted", "unchanged"].includes(item.outcome)));
  if (!open.length) return null;
  return [el("h3", {}, "What differs"), open.map(itemSection)];
}

function itemSection(item) {
  const state = item.action === "blocked" || item.outcome === "failed" || item.outcome === "blocked" ? "blocked" : "drifted";
  const sentences = item.action === "create" && !item.changes?.length ? ["Its automation is missing."]
    : item.action === "delete" ? ["No export file declares it any longer."] : (item.changes ?? []).map(difference);
  return el("div", { class: "item" },
    el("p", {}, mark(state, item.outcome ?? ACTIONS[item.action] ?? item.action), item.export ? el("span", { class: "aside" }, ` export ${item.export}`) : null),
    el("p", { class: "path" }, item.id.split("/").slice(-1)[0]),
    item.reason || item.outcomeReason ? el("p", {}, item.outcomeReason || item.reason) : null,
    sentences.length ? el("ul", {}, sentences.map((sentence) => el("li", {}, sentence))) : null,
    el("p", { class: "next" }, STATES[state].inside ?? STATES[state].next));
}

function kindSection(name, row, coverage, health, open) {
  const state = row.states[name] ?? "none";
  const exporters = [...(coverage?.sources[name] ?? []), ...(coverage?.sources[`${name}Snapshot`] ?? []).map((each) => ({ ...each, weekly: true }))];
  const note = state === "drifted" ? "" : row.notes?.[name];
  return el("details", { class: "kind", "data-section": name, open: open || STATES[state].bad },
    el("summary", {}, el("span", { class: "kind-name" }, kindName(name)), mark(state)),
    el("p", {}, STATES[state].means, note ? ` ${note.charAt(0).toUpperCase()}${note.slice(1)}.` : ""),
    row.muted?.[name] ? el("p", {}, mark("quiet", "muted"), ` ${mutedWords(row.muted[name])}.`) : null,
    STATES[state].next && state !== "drifted" ? el("p", { class: "next" }, STATES[state].inside ?? STATES[state].next) : null,
    health ? el("p", {}, `Last arrived: ${health.lastSeen ? `${moment(health.lastSeen)}, ${ago(health.lastSeen)}` : "never"}. Flow: ${health.verdict}${health.reason ? `, ${health.reason}` : ""}.`) : null,
    exporters.map((each) => el("div", { class: "exporter" },
      el("p", {}, el("b", {}, each.automation.split("/").slice(-1)[0]), " ", portal(each.automation, row.tenantId, `Open ${each.automation.split("/").slice(-1)[0]} in the portal`), ` ${each.owner === "ours" ? `for export ${each.export}` : "made by others"}${each.enabled ? "" : ", disabled"}${each.wholeSubscription ? "" : ", resource groups only"}${each.weekly ? ", weekly snapshot" : ""}`),
      el("p", {}, `Sends ${each.filter}`),
      el("p", { class: "path" }, each.destinations.map((target) => `to ${shortName(target)}`).join("; ") || "to no destination"),
      each.findings.length ? el("p", { class: "next" }, `The linter says: ${each.findings.join(", ")}.`) : null)));
}

function verdicts(coverage) {
  if (!coverage?.verdicts.length) return null;
  return [el("h3", {}, "Requirements"), coverage.verdicts.map((each) =>
    el("p", {}, mark(each.met ? "exported" : "drifted", each.met ? "met" : "not met"), ` ${each.requirement}${each.reason ? `: ${each.reason}` : ""}`))];
}

// Anything else that is worth a panel; `content` gives its elements.
export async function show(title, content) {
  const mine = begin(title);
  try {
    const found = await content();
    if (mine === ticket) fill(byId("drawer-body"), found);
  } catch (failure) {
    if (mine === ticket) fill(byId("drawer-body"), failed(failure, () => show(title, content)));
  }
}

// `nameOf` gives the name of a subscription by its id.
export async function run(id, nameOf, lift) {
  const mine = begin("Run");
  try {
    const report = await ask(`runs/${encodeURIComponent(id)}`);
    if (mine !== ticket) return;
    const groups = Map.groupBy ? Map.groupBy(report.items, (item) => item.action) : grouped(report.items);
    fill(byId("drawer-title"), `Run of ${moment(report.started)}`);
    fill(byId("drawer-body"),
      el("dl", { class: "facts" },
        el("dt", {}, "Outcome"), el("dd", {}, mark(OUTCOMES[report.outcome] ?? "quiet", report.outcome), report.reason ? ` ${report.reason}` : ""),
        el("dt", {}, "In force"), el("dd", {}, inForce(report) || "nothing is declared"),
        Object.keys(report.scope ?? {}).length ? [el("dt", {}, "Only"), el("dd", {}, Object.values(report.scope).flat().join(", "))] : null,
        el("dt", {}, "Changes"), el("dd", {}, planned(report)),
        el("dt", {}, "By"), el("dd", {}, `${report.trigger}, ${report.actor}; mode ${report.mode}`),
        report.approvedBy ? [el("dt", {}, "Approved"), el("dd", {}, `by ${report.approvedBy}, ${moment(report.approvedAt)}`)] : null,
        el("dt", {}, "Took"), el("dd", {}, `${duration(report.seconds)}, ${plural(report.subscriptions, "subscription")}`),
        el("dt", {}, "Id"), el("dd", {}, el("code", {}, report.runId))),
      report.waiting ? approval(report) : null,
      (report.written ?? []).map((each) => el("p", {}, el("b", {}, each.export), ` writes ${plural(each.automations, "automation")} to ${each.destination}: ${each.sends.join("; ")}`)),
      report.guards?.length && MAY_WRITE && MAY_APPROVE ? el("p", { class: "actions" }, el("button", { type: "button", onclick: () => lift(report.scope ?? {}) }, "Let it through once")) : null,
      (report.guards ?? []).map((guard) => el("p", {}, mark("blocked", "held back"), ` ${guard}`)),
      (report.incompleteBecause ?? []).map((reason) => el("p", {}, mark("blocked", "incomplete"), ` ${reason}`)),
      (report.findings ?? []).map((finding) => el("p", {}, mark("drifted", "not in force"), ` ${finding}`)),
      (report.inForce ?? []).filter((each) => each.rest.length).map((each) => el("p", {}, mark("drifted", each.export), ` ${each.rest.map((one) => `${one.count}: ${one.reason}`).join("; ")}`)),
      ["blocked", "update", "create", "delete", "leaving", "adopt", "skipped", "foreign"].filter((action) => groups.get(action)).map((action) => section(action, groups.get(action), nameOf)),
      report.items.length ? null : el("p", { class: "empty" }, "Everything already was as declared."));
  } catch (failure) {
    if (mine === ticket) fill(byId("drawer-body"), failed(failure, () => run(id, nameOf, lift)));
  }
}

// Approving takes two clicks: the plan is read between them.
function approval(report) {
  if (!MAY_APPROVE) return el("p", { class: "next" }, "Its changes wait for the approval of somebody with Exports.Approve.");
  const place = el("p", { class: "actions" });
  const button = (text, onclick) => el("button", { type: "button", onclick }, text);
  const send = async () => {
    fill(place, "Approving…");
    try {
      const given = await ask("approvals", { method: "POST", body: { runId: report.runId } });
      fill(place, `Approved until ${moment(given.expires)}; the next run carries it out.`);
    } catch (failure) {
      fill(place, `${failure.title}. ${failure.next ?? ""}`);
    }
  };
  const writes = ["Created", "Updated", "Deleted", "Adopted"].reduce((sum, name) => sum + (report.counts?.[name] ?? 0), 0);
  fill(place, button("Approve this plan", () => fill(place, button(`Approve ${plural(writes, "change")}: ${planned(report)}`, send))));
  return place;
}

const WORTH_OPENING = ["blocked", "update", "create", "delete", "adopt"];

function section(action, items, nameOf) {
  const details = el("details", { class: "items", open: WORTH_OPENING.includes(action) && items.length <= 20 },
    el("summary", {}, `${plural(items.length, "automation")} ${ACTIONS[action]}`));
  const build = () => details.childElementCount === 1 && details.append(...items.slice(0, MOST).map((item) => reported(item, nameOf)), ...(items.length > MOST ? [el("p", { class: "aside" }, `… and ${items.length - MOST} more in the report.`)] : []));
  details.addEventListener("toggle", build);
  if (details.open) build();
  return details;
}

function reported(item, nameOf) {
  const sentences = (item.changes ?? []).map(difference);
  return el("div", { class: "item" },
    el("p", {}, el("b", {}, item.id.split("/").slice(-1)[0]), el("span", { class: "aside" }, ` in ${nameOf(subscriptionOf(item))}${item.outcome ? `: ${item.outcome}` : ""}`)),
    item.outcomeReason || item.reason ? el("p", {}, item.outcomeReason || item.reason) : null,
    sentences.length ? el("ul", {}, sentences.map((sentence) => el("li", {}, sentence))) : null);
}

function grouped(items) {
  const groups = new Map();
  for (const item of items) groups.set(item.action, [...(groups.get(item.action) ?? []), item]);
  return groups;
}
