// Starting work and following it to its end.  Only offered where the caller has the role for it.
import { ask } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { plural, planned } from "./words.js";

export const KINDS = {
  plan: { title: "Plan", does: "Compares what is live with the export files. Nothing is changed." },
  reconcile: { title: "Reconcile", does: "Makes the live automations equal to the export files, within the guards." },
  replay: { title: "Replay", does: "Sends every dead letter again now, parked ones too. A replay is idempotent." },
};
const dialog = byId("confirm");
let wanted = null;
let finished = () => {};

export function onFinished(listener) {
  finished = listener;
}

byId("confirm-cancel").addEventListener("click", () => dialog.close());
byId("confirm-form").addEventListener("submit", (event) => {
  event.preventDefault();
  dialog.close();
  start(wanted);
});

// `row`: one subscription; without it the whole tenant.
export function confirm(kind, row) {
  const { title, does } = KINDS[kind];
  wanted = { kind, row };
  fill(byId("confirm-title"), `${title} ${row ? row.subscription || row.subscriptionId : kind === "replay" ? "dead letters" : "the whole tenant"}`);
  fill(byId("confirm-text"), does);
  fill(byId("confirm-ok"), title);
  dialog.showModal();
  byId("confirm-ok").focus();
}

export const buttons = (row) =>
  el("p", { class: "actions" }, ["plan", "reconcile"].map((kind) => el("button", { type: "button", onclick: () => confirm(kind, row) }, `${KINDS[kind].title} this subscription`)));

function say(text, bad = false) {
  const status = byId("job-status");
  status.className = bad ? "job-status bad" : "job-status";
  fill(status, text, el("button", { type: "button", class: "plain", "aria-label": "Dismiss", onclick: () => fill(status) }, "×"));
}

async function start({ kind, row }) {
  const { title } = KINDS[kind];
  try {
    say(`${title}: starting…`);
    const body = { kind, ...(row ? { subscriptions: [row.subscriptionId] } : {}) };
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
  if (job.state !== "succeeded") return [`${title} failed: ${job.error || "see the app's log"}`, true];
  if (kind !== "replay") return [`${title} finished: ${planned(job.result)} of ${plural(job.result.subscriptions, "subscription")}${job.result.reason ? `. ${job.result.reason}` : ""}`];
  return [`${title} finished.`];
}
