// Starting work and following it to its end.  Only offered where the caller has the role for it.
import { ask } from "./api.js";
import { told } from "./canaries.js";
import { byId, el, fill } from "./dom.js";
import { moment, plural, planned } from "./words.js";

export const KINDS = {
  plan: { title: "Plan", does: "Compares what is live with the export files. Nothing is changed." },
  reconcile: { title: "Reconcile", does: "Makes the live automations equal to the export files, within the guards." },
  lift: { title: "Let through", does: "Makes the live automations equal to the export files with the guards raised for this one run. The settings stay as they are.", hidden: true },
  cancel: { title: "Cancel the job", does: "Ends it now, or within half a minute where it runs.", hidden: true },
  canary: { title: "Prove", does: "Asks Defender for Cloud to simulate an alert of this subscription, which is seen there too, and follows it to its table for fifteen minutes unless CANARY_MINUTES says otherwise.", hidden: true },
  replay: { title: "Replay", does: "Sends every dead letter again now, parked ones too. A replay is idempotent." },
};
const dialog = byId("confirm");
const WRITES = ["create", "update", "delete", "adopt"];
let wanted = null;
let finished = () => {};

export function onFinished(listener) {
  finished = listener;
}

byId("confirm-cancel").addEventListener("click", () => dialog.close());
byId("confirm-form").addEventListener("submit", (event) => {
  event.preventDefault();
  dialog.close();
  if (wanted.kind === "cancel") end(wanted);
  else start(wanted);
});

// `row`: one subscription; without it the whole tenant.  What writes is asked for with the number of its changes.
export function confirm(kind, row, scope = row ? { subscriptions: [row.subscriptionId] } : {}) {
  const { title, does } = KINDS[kind];
  wanted = { kind, scope };
  fill(byId("confirm-title"), `${title} ${row ? row.subscription || row.subscriptionId : kind === "replay" ? "dead letters" : Object.keys(scope).length ? "what this run looked at" : "the whole tenant"}`);
  fill(byId("confirm-text"), does);
  fill(byId("confirm-count"));
  fill(byId("confirm-ok"), title);
  byId("confirm-ok").disabled = false;
  dialog.showModal();
  byId("confirm-cancel").focus();
  if (kind === "reconcile" || kind === "lift") count(kind, scope);
}

// A job that waits or runs.  What it has done by then stays, and is said as far as the job has told.
export function cancel(job) {
  wanted = { kind: "cancel", job };
  const asked = [...(job.arguments?.subscriptions ?? []), ...(job.arguments?.managementGroups ?? []), ...(job.arguments?.exports ?? [])];
  fill(byId("confirm-title"), `Cancel the ${job.kind} of ${moment(job.created)}`);
  fill(byId("confirm-text"), `${KINDS.cancel.does} What it has done by then stays.`);
  fill(byId("confirm-count"), `It is ${job.state}${job.progress ? `: ${job.progress}` : ", and has told nothing of how far it is"}. It is for ${asked.length ? asked.join(", ") : "the whole tenant"}, asked by ${job.actor}.`);
  fill(byId("confirm-ok"), KINDS.cancel.title);
  byId("confirm-ok").disabled = false;
  dialog.showModal();
  byId("confirm-cancel").focus();
}

async function end({ job }) {
  try {
    const { state } = await ask(`jobs/${encodeURIComponent(job.id)}/cancel`, { method: "POST" });
    say(state === "cancelled" ? `The ${job.kind} is cancelled.` : `The ${job.kind} is to be cancelled: its worker ends it within half a minute.`);
  } catch (failure) {
    say(`It was not cancelled: ${failure.title}. ${failure.next ?? ""}`, true);
  }
  finished();
}

async function count(kind, scope) {
  const mine = wanted;
  const ok = byId("confirm-ok");
  ok.disabled = true;
  fill(byId("confirm-count"), "Counting the changes…");
  try {
    const { plan } = await ask("plan", { method: "POST", body: { ...scope, output: "json" } });
    if (mine !== wanted) return;
    const parts = WRITES.filter((name) => plan.counts[name]).map((name) => `${plan.counts[name]} to ${name}`);
    const total = WRITES.reduce((sum, name) => sum + (plan.counts[name] ?? 0), 0);
    fill(byId("confirm-count"), total ? `${plural(total, "change")}: ${parts.join(", ")}.` : "Nothing to change.", kind === "reconcile" && plan.guards.length ? ` Held back: ${plan.guards.join("; ")}.` : "");
    fill(ok, total ? `${KINDS[kind].title} ${plural(total, "change")}` : KINDS[kind].title);
    // What was counted is the most that goes: a delete that comes later is held back again.
    wanted.limits = kind === "lift" ? { maxDeletes: plan.counts.delete ?? 0, maxChangePercent: 100 } : {};
    ok.disabled = false;
  } catch (failure) {
    if (mine !== wanted) return;
    fill(byId("confirm-count"), `The changes could not be counted: ${failure.title}. ${failure.next ?? ""}`);
    ok.disabled = kind === "lift";
  }
}

export const buttons = (row) =>
  el("p", { class: "actions" }, ["plan", "reconcile", "canary"].map((kind) => el("button", { type: "button", onclick: () => confirm(kind, row) }, `${KINDS[kind].title} this subscription`)));

function say(text, bad = false) {
  const status = byId("job-status");
  status.className = bad ? "job-status bad" : "job-status";
  fill(status, text, el("button", { type: "button", class: "plain", "aria-label": "Dismiss", onclick: () => fill(status) }, "×"));
}

async function start({ kind, scope, limits }) {
  const { title } = KINDS[kind];
  try {
    say(`${title}: starting…`);
    const body = { kind: kind === "lift" ? "reconcile" : kind, ...scope, ...limits };
    let job = await ask("jobs", { method: "POST", body, headers: { "Idempotency-Key": crypto.randomUUID() } });
    while (job.state === "queued" || job.state === "running") {
      say(`${title}: ${job.state}${job.progress ? `, ${job.progress}` : ""}…`);
      job = await ask(`jobs/${encodeURIComponent(job.id)}?wait=20`);
    }
    say(...outcome(title, kind, job));
  } catch (failure) {
    say(`${title}: ${failure.title}. ${failure.next ?? ""}`, true);
  }
  finished();
}

function outcome(title, kind, job) {
  if (job.state === "cancelled") return [`${title}: ${job.error}`, true];
  if (job.state !== "succeeded") return [`${title} failed: ${job.error || "see the app's log"}`, true];
  if (kind === "canary") return [job.result.value.map(told).join(" "), job.result.value.some((each) => each.outcome !== "proven")];
  if (kind !== "replay") return [`${title} finished: ${planned(job.result)} of ${plural(job.result.subscriptions, "subscription")}${job.result.reason ? `. ${job.result.reason}` : ""}`];
  return [`${title} finished.`];
}
