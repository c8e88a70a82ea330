// What things are called, what they mean, and what to do about them.

export const KINDS = [
  ["Alerts", "Alerts"],
  ["Assessments", "Recom\u00admendations"],
  ["SubAssessments", "Findings"],
  ["SecureScores", "Secure score"],
  ["SecureScoreControls", "Score controls"],
  ["RegulatoryComplianceAssessment", "Compliance"],
  ["AttackPaths", "Attack paths"],
];

export const RECORD_KINDS = {
  Alert: "Alerts",
  Assessment: "Recommendations",
  SubAssessment: "Findings",
  SecureScore: "Secure score",
  SecureScoreControl: "Score controls",
  RegulatoryCompliance: "Compliance",
  AttackPath: "Attack paths",
  Other: "Other",
};

export const kindName = (kind) => (KINDS.find(([name]) => name === kind) ?? [kind, kind])[1].replaceAll("\u00ad", "");

// Worst first; `next` is what to do, `bad` whether it needs a person.
export const STATES = {
  broken: {
    bad: true,
    means: "Its destination is gone or takes nothing, so nothing arrives.",
    next: "Mend the destination as its reason says, or name another in the export file; the next run sees it.",
  },
  blocked: {
    bad: true,
    means: "The app may not or cannot write here.",
    next: "Open the subscription: its reason names the role to grant or the lock to lift. The next run tries again by itself.",
    inside: "Do what the reason names; the next run tries again by itself.",
  },
  drifted: {
    bad: true,
    means: "The automation is not as the export file declares it.",
    next: {
      apply: "Nothing to do: the next run repairs it.",
      approve: "Open the newest run, review its plan and approve it.",
    }[document.documentElement.dataset.reconcile] ?? "In mode plan nothing is repaired: review the difference and start a reconcile.",
  },
  silent: {
    bad: true,
    means: "A weekly snapshot is overdue although such records exist.",
    next: "Open the subscription for the likely reason; check the hub's firewall and the sender's role first.",
    inside: "Check the hub's firewall and the sender's role first, then whether the destination below is the one that is read.",
  },
  foreign: {
    bad: false,
    means: "Somebody else's automation exports it; this app leaves it alone.",
    next: "To take it over, declare the export with automation: {adopt: true}.",
  },
  quiet: {
    bad: false,
    means: "Nothing arrived lately, and nothing may have had to.",
    next: "Nothing to do; a declared snapshot would tell quiet from silent.",
  },
  exported: { bad: false, means: "Exported as declared.", next: "" },
  none: {
    bad: false,
    means: "Nobody exports this kind.",
    next: "To export it, add the kind to an export file whose scope holds this subscription.",
  },
};
export const ORDER = Object.keys(STATES);

export const OUTCOMES = {
  Succeeded: "exported",
  Partial: "drifted",
  Blocked: "blocked",
  Failed: "blocked",
  Skipped: "quiet",
};

export const JOB_STATES = {
  queued: "quiet",
  running: "foreign",
  succeeded: "exported",
  failed: "blocked",
  dead: "blocked",
  cancelled: "none",
};

// What a run knows of a destination; none looks at those of others' automations.
export const DESTINATIONS = {
  broken: { colour: "blocked", word: "broken" },
  unverified: { colour: "drifted", word: "unverified" },
  ready: { colour: "exported", word: "ready" },
  "": { colour: "foreign", word: "not looked at" },
};

export const LETTERS = {
  "no-access": "The rule refuses the app. Check its role; the records are sent again by themselves.",
  "not-found": "The data collection rule is gone or misnamed. Check LOGS_INGESTION_RULE_ID.",
  throttled: "The rule's limits are reached. Rows wait and are sent again by themselves.",
  unavailable: "Logs Ingestion does not answer. The records are sent again by themselves.",
  "no-output-hub": "The settings name no output hub any more. Set FORWARD_EVENT_HUB and replay them, or remove them.",
  "no-place": "The file of routes names their place no more. Declare it again and replay them, or remove them.",
  "route-unknown": "Resource Graph did not say where they belong. They are read again by themselves.",
  "routes-unknown": "The file of routes can't be read, so their place is not known. Deploy one that can.",
  "no-token": "The app's identity gives no token. See what `ready` says of it; the records are sent again by themselves.",
  "stream-refused": "The rule refuses whatever this table's stream is sent. Deploy the resources of this release.",
  "hub-unavailable": "The output hub does not answer. The records are sent again by themselves.",
  defect: "This release stumbles over these records. Report it, and replay them after an upgrade.",
  "not-configured": "No data collection rule is configured. Set LOGS_INGESTION_ENDPOINT and LOGS_INGESTION_RULE_ID.",
  unreadable: "These are no records that the app can read. Look at one of them; they are tried again, then parked.",
  refused: "The API will not take these records. Look at one of them; replay after an upgrade.",
  "too-large": "These records are over the API's limit. Look at one of them; replay after an upgrade.",
};

// The checks of `ready`: what each is about, what helps, and which others fail with it.
export const CHECKS = {
  python: { title: "The package", next: "Deploy a package that was built for this Python." },
  settings: { title: "Settings", next: "Correct them with the deployment's parameter `settings`." },
  signIn: { title: "Sign-in", next: "Turn on authentication for this app, and see that it refuses callers without a token." },
  identity: { title: "The app's identity", next: "Give the app its managed identity back: deploy the resources again.", brings: ["storage", "eventHub", "ingestion", "routes", "stored", "lastRun", "timers"] },
  storage: { title: "Storage", next: "Look at the account's network rules and the app's roles on it; what is shown here is what was known before.", brings: ["eventHub", "ingestion", "routes", "stored", "lastRun", "timers"] },
  eventHub: { title: "The event hub", next: "Look at whether it is there, its network rules and the app's role on it. Records that can't arrive are lost after Defender's own retries." },
  ingestion: { title: "Logs Ingestion", next: "Look at the data collection rule and the app's role on it. Records wait as dead letters meanwhile." },
  routes: { title: "Routes", next: "Mend the file of routes, or what refuses rows at the place that is named. Rows for it wait as dead letters meanwhile; where the routes are not known, events wait at the hub." },
  tables: { title: "The tables of the workspace", next: "Deploy the resources of this release, and look at the app's role on the workspace." },
  stored: { title: "Stored data", next: "Put right or remove what is named." },
  lastRun: { title: "The last run", next: "Look at the runs below, and whether the timer fires." },
  timers: { title: "A timer has stopped", next: "See whether the app runs, and start it again: after a deployment all timers may stand still. What its work said last is old." },
};

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

const NUMBERS = new Intl.NumberFormat("en");
export const number = (value) => NUMBERS.format(Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 10) / 10);

export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (Number.isNaN(seconds)) return "never";
  if (seconds < 45) return "just now";
  if (seconds < 5400) return `${plural(Math.max(1, Math.round(seconds / 60)), "minute")} ago`;
  if (seconds < 129600) return `${plural(Math.round(seconds / 3600), "hour")} ago`;
  return `${plural(Math.round(seconds / 86400), "day")} ago`;
}

// Times are UTC unless this browser was told otherwise.
const TIMES = "defender-export-local-time";
export const local = () => localStorage.getItem(TIMES) === "true";
export const useLocal = (wanted) => localStorage.setItem(TIMES, String(wanted));
export function moment(time) {
  if (!time) return "never";
  const at = new Date(time);
  if (!local()) return `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const offset = -at.getTimezoneOffset();
  const shifted = new Date(at.getTime() + offset * 60_000).toISOString().slice(0, 16).replace("T", " ");
  const [hours, minutes] = [Math.abs(offset) / 60, Math.abs(offset) % 60].map((each) => String(Math.floor(each)).padStart(2, "0"));
  return `${shifted} UTC${offset < 0 ? "-" : "+"}${hours}:${minutes}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "unknown";
  if (seconds < 90) return `${number(seconds)} s`;
  return seconds < 5400 ? `${number(seconds / 60)} min` : `${number(seconds / 3600)} h`;
}

// A field's difference as a sentence; values that are themselves sentences (filters) are quoted as they are.
export function difference({ path, old, new: wanted }) {
  const name = path.replace(/^properties\./, "");
  if (name === "isEnabled") return wanted ? "It is disabled and should be enabled." : "It is enabled and should be disabled.";
  if (name.startsWith("sources.")) {
    const kind = name.slice("sources.".length).split(/[.[]/)[0];
    const title = kindName(kind.replace(/Snapshot$/, "")) + (kind.endsWith("Snapshot") ? " (weekly snapshot)" : "");
    if (old === null) return `${title}: not exported, and should be: ${said(wanted)}.`;
    if (wanted === null) return `${title}: exported, and should not be: ${said(old)}.`;
    return `${title}: exports ${said(old)}, and should export ${said(wanted)}.`;
  }
  if (name.startsWith("tags.")) return `The tag ${name.slice(5)} is ${said(old)}, and should be ${said(wanted)}.`;
  if (name === "actions") return `It sends to ${said(old)}, and should send to ${said(wanted)}.`;
  if (name === "scopes") return `It covers ${said(old)}, and should cover ${said(wanted)}.`;
  return `${name} is ${said(old)}, and should be ${said(wanted)}.`;
}

function said(value) {
  if (value === null || value === "" || (Array.isArray(value) && value.length === 0)) return "nothing";
  if (Array.isArray(value)) return value.map(said).join("; ");
  return typeof value === "object" ? JSON.stringify(value) : String(value).replace(/\.$/, "");
}

export const ACTIONS = {
  create: "missing, to create",
  update: "to update",
  delete: "no longer declared, to delete",
  adopt: "to take over",
  blocked: "blocked",
  foreign: "foreign, left alone",
  unchanged: "unchanged",
  skipped: "skipped: the subscription takes no writes",
  leaving: "out of scope, deleted after the grace",
};

export function counted(counts) {
  const words = {
    Created: "created", Updated: "updated", Deleted: "deleted", Adopted: "adopted", Failed: "failed",
    Blocked: "blocked", Unconfirmed: "unconfirmed", NotReached: "left for the next run",
    Leaving: "leaving",
  };
  const parts = Object.entries(words).filter(([name]) => counts?.[name]).map(([name, word]) => `${number(counts[name])} ${word}`);
  return parts.join(", ") || "no changes";
}

export function inForce(run) {
  const sum = (name) => (run.inForce ?? []).reduce((total, each) => total + each[name], 0);
  return sum("declared") ? `${number(sum("inForce"))} of ${number(sum("declared"))}${sum("skipped") ? `, ${number(sum("skipped"))} skipped` : ""}` : "";
}

export const planned = (run) =>
  run.mode === "plan"
    ? counted(run.counts).replace("created", "to create").replace("updated", "to update").replace("deleted", "to delete").replace("adopted", "to adopt")
    : counted(run.counts);

// By whom something is muted, until when and why.
export const mutedWords = ({ until, owner, reason }) => `Muted until ${moment(until)} by ${owner}: ${reason}`;
