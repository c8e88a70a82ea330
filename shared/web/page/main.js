// The page: asks for everything, shows what has arrived, asks again.
import * as address from "./address.js";
import { Failure, INSTANCE, MAY_READ_RECORDS, MAY_WRITE, MODE, RECONCILE, TENANT, VERSION, all, ask, linked } from "./api.js";
import { findings, muted, unread } from "./attention.js";
import { showDestinations } from "./destinations.js";
import { byId, el, fill, mark } from "./dom.js";
import * as jobs from "./jobs.js";
import { Matrix, prepare } from "./matrix.js";
import * as panels from "./panels.js";
import { contents } from "./records.js";
import * as sections from "./sections.js";
import { KINDS, ORDER, local, moment, number, useLocal } from "./words.js";

const EVERY_MS = 60_000;
const MANY = 2_000;
const MANY_EVERY_MS = 300_000;
const TREND_EVERY_MS = 900_000;
const HOURS = ["1", "24", "168"];

const data = {};
const failures = {};
const asked = {};
const matrix = new Matrix(byId("matrix-place"), (row, kind) => address.write({ sub: row.subscriptionId, kind, run: "" }, { push: true }));

const hours = () => (HOURS.includes(address.read().get("hours")) ? address.read().get("hours") : "24");

// Each section asks for itself, so that one that fails leaves the others alone.
const SECTIONS = {
  coverage: {
    ask: () => all("status?limit=1000", (partly) => {
      if (!data.coverage || data.coverage.more) arrived("coverage", { ...partly, rows: prepare([...partly.rows]) });
    }).then((found) => ({ ...found, rows: prepare(found.rows) })),
    place: "matrix-failure",
  },
  runs: { ask: () => ask("runs?limit=20").then(({ value }) => ({ rows: value })), place: "runs" },
  letters: { ask: () => all("dead-letters"), place: "letters" },
  jobs: { ask: () => ask("jobs?limit=10"), place: "jobs" },
  freshness: { ask: () => all("freshness?verdict=silent") },
  exports: { ask: () => all("exports") },
  // Who sees a part of the tenant is not told how the whole of it is.
  ready: {
    ask: () => ask("ready").catch((failure) => {
      if (failure.status !== 403) throw failure;
      return { checks: [], part: true };
    }),
  },
  // By day, so that asking each minute would tell nothing new.
  trend: {
    ask: async () => (data.trend && Date.now() - data.trend.read < TREND_EVERY_MS ? data.trend : { ...(await ask("trend?months=3")), read: Date.now() }),
    place: "trend-failure",
  },
  metrics: { ask: () => ask(`metrics?hours=${hours()}`), place: "stream-failure" },
};

async function refresh(...names) {
  byId("refresh").setAttribute("aria-busy", "true");
  const wanted = names.length ? names : Object.keys(SECTIONS);
  if (wanted.includes("ready")) load("ready"); // it asks all that the app depends on, which may take its time
  await Promise.all(wanted.filter((name) => name !== "ready").map(load));
  byId("refresh").removeAttribute("aria-busy");
  told();
}

async function load(name) {
  const ticket = (asked[name] = (asked[name] ?? 0) + 1);
  try {
    const found = await SECTIONS[name].ask();
    if (ticket !== asked[name]) return;
    delete failures[name];
    arrived(name, { ...found, at: Date.now() });
  } catch (failure) {
    if (ticket !== asked[name]) return;
    failures[name] = failure.title ? failure : new Failure(0, "What the app answered can't be read", "Look at what is between this page and the app, such as a gateway or a sign-in; this page asks again by itself.");
    if (!failure.title) console.error(failure);
    draw(name);
  }
}

function arrived(name, found) {
  const before = data[name];
  data[name] = found;
  try {
    draw(name);
  } catch (failure) {
    data[name] = before; // what can't be shown is no answer, and must not stop the parts that use it
    throw failure;
  }
}

function draw(name) {
  const failure = failures[name];
  const { place } = SECTIONS[name];
  if (place && failure) fill(byId(place), panels.failed(failure, () => refresh(name)), data[name] ? el("p", { class: "aside" }, "Below is what was known before.") : null);
  else if (place === "matrix-failure" || place === "stream-failure" || place === "trend-failure") fill(byId(place));
  if (name === "coverage" && data.coverage) showMatrix();
  if (name === "runs" && data.runs && !failure) sections.runs(data.runs, openRun);
  if (name === "letters" && data.letters && !failure) sections.letters(data.letters, MAY_READ_RECORDS ? (name) => panels.show("Dead letter", () => contents(name)) : null);
  if (name === "jobs" && data.jobs && !failure) sections.jobs(data.jobs, MAY_WRITE ? jobs.cancel : null);
  if (name === "metrics" || name === "letters") sections.stream(data);
  if (name === "trend" && data.trend && !failure) sections.trend(data.trend);
  if (name === "trend" && failure && !data.trend) fill(byId("trend-months"));
  byId("part").hidden = !data.ready?.part;
  const found = [...unread(data, failures), ...findings(data)];
  const quiet = muted(data.coverage);
  sections.tiles(data, found, quiet);
  sections.attention([...found, ...quiet], { filter: narrow, openRun, go: (id) => { byId(id).scrollIntoView({ block: "nearest" }); byId(id).focus(); } });
  for (const [tile, section] of [["tile-exported", "coverage"], ["tile-flowing", "metrics"], ["tile-changed", "coverage"], ...["ready", "freshness", "letters", "coverage"].map((part) => ["tile-needed", part])]) {
    if (failures[section] && !data[section]) fill(byId(tile), el("p", { class: "tile-big" }, mark("blocked", "not known")), el("p", { class: "tile-small" }, failures[section].title));
  }
  if (name === "coverage" && failure && !data.coverage) fill(byId("destinations"), el("p", { class: "empty" }, `Not known: ${failure.title}.`));
  if (name === "coverage") follow();
}

function narrow(change) {
  address.write(change);
  byId("matrix").focus();
}

function showMatrix() {
  const { rows } = data.coverage;
  byId("matrix-empty").hidden = rows.length > 0;
  byId("matrix-place").hidden = rows.length === 0;
  matrix.show(rows, { tenants: new Set(rows.map((row) => row.tenantId)).size });
  const counts = Object.fromEntries(ORDER.map((state) => [state, 0]));
  for (const row of rows) for (const state of new Set(KINDS.map(([kind]) => row.states[kind]))) counts[state] += 1;
  counts.muted = rows.filter((row) => row.quieted || row.subscriptionMuted).length;
  counts.cis = rows.filter((row) => row.unmet).length;
  for (const option of byId("state").options) {
    if (option.value) option.textContent = `${option.dataset.word} (${number(counts[option.value])})`;
  }
  filter();
  showDestinations(data.coverage, (q) => narrow({ q, state: "" }));
}

function filter() {
  const query = (address.read().get("q") ?? "").toLowerCase().trim();
  const words = query.split(/\s+/).filter(Boolean);
  const state = address.read().get("state") ?? "";
  if (byId("search").value.toLowerCase().trim() !== query) byId("search").value = address.read().get("q") ?? "";
  byId("state").value = state;
  for (const name of ["by", "sort"]) byId(name).value = address.read().get(name) ?? "";
  matrix.order({ by: byId("by").value, sort: byId("sort").value });
  matrix.filter((row) =>
    words.every((word) => row.text.includes(word)) &&
    (!state || (state === "cis" ? row.unmet : state === "muted" ? row.quieted || row.subscriptionMuted : KINDS.some(([kind]) => row.states[kind] === state))), { narrowed: Boolean(state || words.length) });
  const shown = matrix.chosen().length;
  const total = data.coverage?.rows.length ?? 0;
  byId("matrix-count").textContent = !data.coverage ? "" : shown === total ? `${number(total)} subscriptions${data.coverage.more ? " so far" : ""}` : `${number(shown)} of ${number(total)} subscriptions`;
  byId("matrix-none").hidden = !data.coverage || shown > 0 || total === 0;
}

// What the address says is open, is open.
let opened = "";
function addressed() {
  const parameters = address.read();
  const sub = (parameters.get("sub") ?? "").toLowerCase();
  const run = parameters.get("run") ?? "";
  return { parameters, sub, run, wanted: sub ? `sub ${sub} ${parameters.get("kind") ?? ""}` : run ? `run ${run}` : "" };
}
function follow() {
  const { parameters, sub, run, wanted } = addressed();
  if (wanted === opened) return;
  if (!wanted) {
    opened = "";
    panels.close();
  } else if (run) {
    opened = wanted;
    panels.run(run, nameOf, (scope) => {
      panels.close();
      jobs.confirm("lift", null, scope);
    });
  } else {
    const row = data.coverage?.rows.find((each) => each.subscriptionId.toLowerCase() === sub);
    if (!row) return;
    opened = wanted;
    panels.subscription(row, parameters.get("kind"), MAY_WRITE ? jobs.buttons : null);
  }
}
const nameOf = (id) => data.coverage?.rows.find((row) => row.subscriptionId.toLowerCase() === id)?.subscription || id;
const openRun = (id) => address.write({ run: id, sub: "", kind: "" }, { push: true });
panels.onClose(() => {
  const gone = opened;
  opened = "";
  if (addressed().wanted === gone) address.write({ sub: "", kind: "", run: "" }); // else it leads elsewhere by now
});

let lastHours = hours();
address.onChange(() => {
  filter();
  follow();
  for (const button of byId("hours").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.hours === hours()));
  if (hours() !== lastHours) {
    lastHours = hours();
    refresh("metrics");
  }
});

function told() {
  const at = Math.min(...["coverage", "runs"].map((name) => data[name]?.at ?? Infinity));
  const stale = Object.keys(failures).length;
  byId("updated").title = "The page asks again every minute while it is in view.";
  byId("updated").textContent = Number.isFinite(at) ? `${stale ? "Partly updated" : "Updated"} ${moment(new Date().toISOString()).slice(11)}` : "Not updated";
}

let waiting;
byId("search").addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => address.write({ q: event.target.value }), 120);
});
for (const [kind, title] of [...KINDS, ["cis", "CIS 8.1.5.2"]]) byId("sort").append(el("option", { value: kind }, title.replaceAll("\u00ad", "")));
for (const name of ["state", "by", "sort"]) byId(name).addEventListener("change", (event) => address.write({ [name]: event.target.value }));
byId("clear").addEventListener("click", () => {
  address.write({ q: "", state: "" });
  byId("search").focus();
});
byId("refresh").addEventListener("click", () => refresh());
byId("copy").addEventListener("click", async () => {
  const text = address.shareable();
  try {
    await navigator.clipboard.writeText(text);
    byId("copied").textContent = MODE === "key" ? "Link copied, without the key" : "Link copied";
  } catch {
    byId("copied").textContent = text;
  }
});
for (const button of byId("hours").querySelectorAll("button")) {
  button.setAttribute("aria-pressed", String(button.dataset.hours === hours()));
  button.addEventListener("click", () => address.write({ hours: button.dataset.hours === "24" ? "" : button.dataset.hours }));
}
addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.target.closest("input, textarea, select, dialog")) {
    event.preventDefault();
    byId("search").focus();
  }
});

byId("about").textContent = [INSTANCE, `mode ${RECONCILE}`, TENANT ? `tenant ${TENANT}` : "", `release ${VERSION}`].filter(Boolean).join(" · ");
byId("times").setAttribute("aria-pressed", String(local()));
byId("times").addEventListener("click", () => {
  useLocal(!local());
  byId("times").setAttribute("aria-pressed", String(local()));
  Object.keys(SECTIONS).forEach(draw);
  told();
});
byId("evidence").href = linked("evidence");
byId("csv").addEventListener("click", () => {
  const head = ["subscriptionId", "subscription", "tenantId", "managementGroups", "subscriptionState", "owner", "exports", "destinations", ...KINDS.map(([kind]) => kind), "cis-8.1.5.2", "notes"];
  const lines = matrix.chosen().map((row) => [row.subscriptionId, row.subscription, row.tenantId, row.managementGroups.join("/"),
    row.subscriptionState ?? "", row.owner ?? "", (row.exports ?? []).join("; "), (row.destinations ?? []).join("; "), ...KINDS.map(([kind]) => row.states[kind] ?? "none"), String(row.verdicts?.["cis-8.1.5.2"] ?? ""), Object.values(row.notes ?? {}).join("; ")]);
  const text = [head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n");
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: `${INSTANCE}-subscriptions.csv` });
  link.click();
  URL.revokeObjectURL(link.href);
});
// As RFC 4180; what a spreadsheet would take for a formula is made text (owasp.org/www-community/attacks/CSV_Injection).
function cell(text) {
  const plain = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
addEventListener("beforeprint", () => matrix.print(true));
addEventListener("afterprint", () => matrix.print(false));

byId("access").textContent = MODE === "key" ? "Read-only: opened with a function key" : MAY_WRITE ? "" : "Read-only: Exports.Write is needed to act";
if (MAY_WRITE) {
  for (const kind of Object.keys(jobs.KINDS).filter((each) => !jobs.KINDS[each].hidden)) {
    byId("actions").append(el("button", { type: "button", onclick: () => jobs.confirm(kind) }, kind === "replay" ? "Replay dead letters" : jobs.KINDS[kind].title));
  }
}
jobs.onFinished(() => refresh());
sections.legend();

setInterval(() => {
  if (document.hidden) return;
  const many = (data.coverage?.rows.length ?? 0) > MANY && Date.now() - (data.coverage.at ?? 0) < MANY_EVERY_MS;
  refresh(...Object.keys(SECTIONS).filter((name) => !(many && name === "coverage")));
}, EVERY_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && Date.now() - (data.runs?.at ?? Date.now()) > EVERY_MS) refresh();
});
refresh();
