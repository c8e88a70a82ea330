// The parts beside the matrix: tiles, what needs a person, runs, dead letters, jobs, and the stream.
import { sentence } from "./attention.js";
import { byId, el, fill, mark } from "./dom.js";
import { Plot } from "./plots.js";
import { JOB_STATES, KINDS, LETTERS, OUTCOMES, RECORD_KINDS, STATES, ago, duration, inForce, moment, number, planned, plural } from "./words.js";

const SHOWN_FINDINGS = 4;
const SHOWN_RUNS = 8;
let everything = false;

// `found` is what needs a person, `quiet` what is muted.
export function tiles({ coverage, metrics, letters, freshness, ready }, found, quiet = []) {
  tile("tile-exported", coverage, () => {
    const rows = coverage.rows;
    const bad = rows.filter((row) => row.bad).length;
    const quiet = rows.filter((row) => !row.bad && (row.quieted || row.subscriptionMuted)).length;
    const sound = rows.filter((row) => !row.bad && !row.quieted && KINDS.some(([kind]) => row.states[kind] === "exported" || row.states[kind] === "quiet")).length;
    if (!rows.length) return ["blocked", "nothing seen", "No subscription is visible: give the app's identity Reader on the management group."];
    return [bad ? "drifted" : sound ? "exported" : "none", `${number(sound)} of ${number(rows.length)}`, `subscriptions export as declared${bad ? `, ${number(bad)} to look at` : ""}${quiet ? `, ${number(quiet)} muted` : ""}${coverage.more ? " (still loading)" : ""}`];
  });
  tile("tile-flowing", metrics, () => {
    if (metrics.problem) return ["quiet", "not known", metrics.problem];
    const total = Object.values(metrics.recordsPerMinute).flat().reduce((sum, value) => sum + value, 0) * metrics.binMinutes;
    const lag = metrics.lagSeconds.filter((value) => value !== null).at(-1);
    const silences = freshness?.rows.filter((row) => row.verdict === "silent") ?? [];
    const silent = silences.filter((row) => !row.muted).length;
    const hushed = silences.length - silent;
    const unsure = !freshness?.checked ? "; who is silent is not known" : freshness.reasons?.length ? "; not everyone could be judged" : "";
    const told = `${silent ? `; ${number(silent)} silent` : ""}${hushed ? `; ${number(hushed)} silent and muted` : ""}${unsure}`;
    const late = lag !== undefined && lag > 900;
    const hours = Math.round((Date.parse(metrics.until) - Date.parse(metrics.since)) / 3_600_000);
    const span = hours === 168 ? "7 days" : hours === 1 ? "hour" : `${hours} hours`;
    const elsewhere = metrics.notCounted?.length ? `; ${metrics.notCounted.join("; ")}` : "";
    if (!total) return [silent ? "silent" : "quiet", "no records", `in the last ${span}${told}${elsewhere}`];
    return [silent ? "silent" : late ? "drifted" : unsure ? "quiet" : "exported", plural(Math.round(total), "record"), `in the last ${span}; lag ${lag === undefined ? "unknown" : duration(lag)}${told}${elsewhere}`];
  });
  tile("tile-changed", coverage, () => {
    const { run } = coverage;
    if (ready?.part) return ["none", "not shown", "Runs are of the whole tenant."];
    if (!run) return ["quiet", "no run yet", "The timer runs every 15 minutes unless RECONCILE_SCHEDULE says otherwise."];
    const changes = ["Created", "Updated", "Deleted", "Adopted"].reduce((sum, name) => sum + (run.counts?.[name] ?? 0), 0);
    const big = `${changes ? plural(changes, "change") : "no changes"}${run.mode === "plan" ? " planned" : ""}`;
    return [coverage.runMuted ? "quiet" : OUTCOMES[run.outcome] ?? "quiet", big, `${run.outcome.toLowerCase()}${coverage.runMuted ? ", muted" : ""} ${ago(run.ended)}: ${planned(run)}${inForce(run) ? `; in force ${inForce(run)}` : ""}`];
  });
  byId("tile-open-place").hidden = !metrics?.openRecords; // not there while nothing counts them
  tile("tile-open", metrics?.openRecords, () => openRecords(metrics.openRecords));
  tile("tile-needed", coverage && letters && freshness && ready, () =>
    found.length ? [found[0].state, plural(found.length, "matter"), "to look at, each with what to do next"]
      : ready.part ? ["quiet", "nothing seen", "Of the subscriptions that your role sees."]
      : quiet.length ? ["quiet", "nothing", "Nothing waits but what is muted."] : ["exported", "nothing", "All is as declared, and nothing waits."]);
}

// What is not known of CVEs is said as that, never as "none".
function openRecords(found) {
  if (found.problem) return ["quiet", "not known", sentence(found.problem)];
  const oldest = found.oldest ? `, the oldest since ${moment(found.oldest)}` : "";
  const exploitable = found.cves && !found.exploitableAndExposed ? "exploitable and exposed: not known" : `${number(found.exploitableAndExposed)} exploitable and exposed`;
  const perhaps = found.exposedAndNotKnown ? `, ${number(found.exposedAndNotKnown)} exposed of which it is not known` : "";
  return [found.exploitableAndExposed ? "silent" : found.open ? "drifted" : "exported", `${number(found.open)} open`,
    `${number(found.fixedInSevenDays)} fixed in seven days, ${number(found.reopened)} reopened${oldest}; ${exploitable}${perhaps}. ${found.cves ? `${sentence(found.cves)} ` : ""}Counted ${ago(found.counted)}.`];
}

function tile(id, ready, say) {
  if (!ready) return;
  const [state, big, small] = say();
  fill(byId(id), el("p", { class: "tile-big" }, el("i", { class: `mark mark-${state}`, "aria-hidden": "true" }), el("span", {}, big)), el("p", { class: "tile-small" }, small));
}

// What leads on from a finding: rows of the matrix, a run, a part of the page, or the portal.
export function attention(found, { filter, openRun, go }) {
  const kept = everything ? found.length : SHOWN_FINDINGS; // the others are there on paper
  fill(byId("attention-list"), found.length ? [] : el("li", { class: "empty" }, "Nothing of what has arrived."), found.map((each, at) => el("li", { class: at < kept ? "" : "on-paper" },
    mark(each.state, each.word),
    el("div", { class: "finding" }, el("p", {}, each.what), el("p", { class: "next" }, each.next)),
    each.show ? el("button", { type: "button", onclick: () => filter(each.show), "aria-label": `Show ${each.word} subscriptions` }, "Show")
      : each.run ? el("button", { type: "button", onclick: () => openRun(each.run), "aria-label": "Open the run" }, "Open")
          : each.go ? el("button", { type: "button", onclick: () => go(each.go), "aria-label": `Go to where it says ${each.word}` }, "Go")
            : each.portal ? el("a", { class: "button", href: each.portal, target: "_blank", rel: "noreferrer", "aria-label": `Open ${each.name} in the portal` }, "Portal") : null)));
  const more = byId("attention-more");
  more.hidden = found.length <= SHOWN_FINDINGS;
  fill(more, everything ? "Show fewer" : `Show all ${found.length}`);
  more.onclick = () => {
    everything = !everything;
    attention(found, { filter, openRun, go });
  };
}

export function runs({ rows }, open) {
  fill(byId("runs"), rows.length ? el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Runs" }, el("table", { class: "list" },
    el("thead", {}, el("tr", {}, ["Ended", "Outcome", "Changes", "Mode", "By", "Took"].map((title, at) => el("th", { scope: "col", class: at > 2 ? "wide" : "" }, title)))),
    el("tbody", {}, rows.slice(0, SHOWN_RUNS).map((run) => el("tr", {},
      el("td", {}, el("button", { type: "button", class: "link", title: moment(run.ended), onclick: () => open(run.runId) }, ago(run.ended))),
      el("td", { title: run.reason }, mark(OUTCOMES[run.outcome] ?? "quiet", run.outcome.toLowerCase())),
      el("td", { class: "wrap" }, planned(run)),
      el("td", { class: "wide" }, run.mode),
      el("td", { class: "clip wide", title: run.actor }, run.trigger),
      el("td", { class: "wide" }, duration(run.seconds))))))) : el("p", { class: "empty" }, "No run yet. The timer starts one by itself; a plan shows what it would do."));
}

export function letters({ rows }, look) {
  const groups = new Map();
  for (const letter of rows) {
    const key = `${letter.reason}/${letter.parked}`;
    const group = groups.get(key) ?? groups.set(key, { ...letter, records: 0 }).get(key);
    group.records += letter.records;
    group.due = letter.due < group.due ? letter.due : group.due;
  }
  fill(byId("letters"), groups.size ? el("ul", { class: "letters" }, [...groups.values()].map((group) => el("li", {},
    el("p", {}, mark(group.parked ? "blocked" : "silent", group.parked ? "parked" : "waiting"), ` ${plural(group.records, "record")}, ${group.reason}${group.parked ? "" : `; next try ${moment(group.due)}`}`),
    el("p", { class: "next" }, LETTERS[group.reason] ?? "Look at one of them for its reason; replay once the cause is mended."),
    look ? el("button", { type: "button", class: "link", onclick: () => look(group.name) }, "Look at one") : null)))
    : el("p", { class: "empty" }, "None: everything that arrived was delivered."));
}

// `cancel` is there for those who may.
export function jobs({ value }, cancel) {
  const open = (job) => !job.trouble && (job.state === "queued" || job.state === "running");
  fill(byId("jobs"), value.length ? el("ul", { class: "jobs" }, value.slice(0, 6).map((job) => el("li", {},
    mark(JOB_STATES[job.state] ?? "quiet", job.state), ` ${job.kind}`, el("span", { class: "aside", title: job.actor }, ` ${ago(job.created)} by ${job.actor.length > 18 ? `${job.actor.slice(0, 16)}…` : job.actor}`),
    open(job) && job.progress ? el("p", { class: "aside" }, job.progress) : null,
    open(job) && job.cancelledBy ? el("p", { class: "aside" }, `To be cancelled, asked by ${job.cancelledBy}.`)
      : open(job) && cancel ? [" ", el("button", { type: "button", class: "link", onclick: () => cancel(job), "aria-label": `Cancel the ${job.kind} of ${moment(job.created)}` }, "Cancel")] : null,
    job.error ? el("p", { class: job.state === "cancelled" ? "aside" : "next" }, job.error) : null))) : el("p", { class: "empty" }, "None yet. Runbooks and people with Exports.Write start them."));
}

const plots = {};

export function stream({ metrics, letters: kept }) {
  if (!plots.records) {
    plots.records = new Plot(byId("plot-records"), "Records a minute", { unit: "", stacked: true, height: 148 });
    plots.lag = new Plot(byId("plot-lag"), "Lag", { unit: "s", height: 96 });
    plots.letters = new Plot(byId("plot-letters"), "Dead letters kept", { unit: "", bars: true, height: 96 });
    plots.score = new Plot(byId("plot-score"), "Secure score", { unit: "%", percent: true, height: 112 });
  }
  if (metrics) {
    const times = metrics.times.map((time) => Date.parse(time) / 1000);
    const series = Object.entries(metrics.recordsPerMinute).map(([kind, values]) => ({ name: RECORD_KINDS[kind] ?? kind, colour: (Object.keys(RECORD_KINDS).indexOf(kind) + 8) % 8, values, total: Math.round(values.reduce((sum, value) => sum + value, 0) * metrics.binMinutes) })).sort((one, other) => one.total - other.total);
    const total = Object.values(metrics.recordsPerMinute).flat().reduce((sum, value) => sum + value, 0) * metrics.binMinutes;
    const nothing = metrics.problem || "No records in this time. Streaming sends nothing while nothing changes; a longer time may show some.";
    plots.records.show({ times, series, sentence: series.length ? `${plural(Math.round(total), "record")}, ${number(total / (times.length * metrics.binMinutes))} a minute on average` : "", empty: nothing });
    const lags = metrics.lagSeconds.filter((value) => value !== null);
    plots.lag.show({ times, series: lags.length ? [{ name: "Slowest kind, 95th percentile", values: metrics.lagSeconds }] : [], sentence: lags.length ? `hub to table, 95th percentile: now ${duration(lags.at(-1))}, at most ${duration(Math.max(...lags))}` : "", empty: metrics.problem || "Nothing arrived in this time." });
    const score = metrics.secureScore;
    plots.score.show({
      times: score.map((each) => Date.parse(`${each.day}T00:00:00Z`) / 1000),
      series: score.length ? [{ name: "Secure score", values: score.map((each) => each.percentage) }] : [],
      sentence: score.length ? `${number(score.at(-1).percentage)} % over ${plural(score.at(-1).subscriptions, "subscription")}${change(score)}` : "",
      empty: metrics.problem || "No secure score has arrived in 90 days. Declare an export with secureScore to see it here.",
      range: score.length ? [Date.parse(`${score[0].day}T00:00:00Z`) / 1000 - 43_200, Math.max(Date.parse(`${score.at(-1).day}T00:00:00Z`) / 1000, Date.parse(`${score[0].day}T00:00:00Z`) / 1000 + 6 * 86_400) + 43_200] : null,
    });
    if (kept) showLetters(metrics, kept.rows);
  }
}

function change(score) {
  if (score.length < 2) return "";
  const by = score.at(-1).percentage - score[0].percentage;
  return Math.abs(by) < 0.05 ? `, unchanged since ${score[0].day}` : `, ${by > 0 ? "up" : "down"} ${number(Math.abs(by))} since ${score[0].day}`;
}

function showLetters(metrics, rows) {
  const since = Date.parse(metrics.since);
  const step = Math.max(metrics.binMinutes, (Date.parse(metrics.until) - since) / 60_000 / 24) * 60_000;
  const bins = Array.from({ length: Math.ceil((Date.parse(metrics.until) - since) / step) }, (_, at) => since + at * step);
  const values = bins.map(() => 0);
  let earlier = 0;
  for (const row of rows) {
    const at = Math.floor((Date.parse(row.written) - since) / step);
    if (at >= 0 && at < values.length) values[at] += row.records;
    else earlier += row.records;
  }
  const inside = values.reduce((sum, value) => sum + value, 0);
  plots.letters.show({
    times: bins.map((time) => (time + step / 2) / 1000),
    series: inside ? [{ name: "Records", values: values.map((value) => value || null) }] : [],
    sentence: `${plural(inside + earlier, "record")} kept now${earlier ? `, ${number(earlier)} from before` : ""}`,
    empty: earlier ? `None from this time; ${plural(earlier, "record")} from before.` : "None: everything that arrived was delivered.",
    range: [since / 1000, Date.parse(metrics.until) / 1000],
  });
}

// A day or month without a value is not known, which is a gap and never zero.
export function trend(found) {
  if (!plots.coverage) {
    plots.coverage = new Plot(byId("plot-coverage"), "Coverage", { unit: "%", percent: true, height: 96 });
    plots.silent = new Plot(byId("plot-silent"), "Silent share of the hours watched", { unit: "%", height: 96 });
  }
  showDays(plots.coverage, found, "coverage");
  showDays(plots.silent, found, "silent share");
  fill(byId("trend-months"), ...(found.notCounted ?? []).map((each) => el("p", { class: "empty" }, sentence(each))), found.problem ? el("p", { class: "empty" }, found.problem) : el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Figures by month" }, el("table", { class: "list" },
    el("thead", {}, el("tr", {}, ["Month", "Figure", "Value", "Stands on"].map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, found.months.map((each) => el("tr", {},
      el("td", {}, each.period),
      el("td", { class: "wrap" }, each.name ? `${each.measure}, ${each.name}` : each.measure),
      el("td", {}, each.value !== null ? `${each.value.toFixed(2)} ${each.unit}` : each.days ? "none repaired" : "not known"),
      el("td", { class: "wrap" }, each.days ? `${number(each.over)} ${each.standsOn}, ${plural(each.days, "day")} known` : "")))))));
}

function showDays(plot, { days, problem }, measure) {
  const mine = days.filter((each) => each.measure === measure);
  const names = [...new Set(mine.map((each) => each.name))];
  const periods = [...new Set(mine.map((each) => each.period))];
  const known = mine.filter((each) => each.value !== null);
  const series = names.map((name, colour) => ({ name: name || measure, colour, values: mine.filter((each) => each.name === name).map((each) => each.value) }))
    .filter((one) => one.values.some((value) => value !== null)).map((one) => ({ ...one, total: one.values.findLast((value) => value !== null) }));
  plot.show({
    times: periods.map((day) => Date.parse(`${day}T00:00:00Z`) / 1000),
    series,
    sentence: known.length ? `${known.at(-1).value.toFixed(2)} % on ${known.at(-1).period}, of ${number(known.at(-1).over)} ${known.at(-1).standsOn}` : "",
    empty: problem || "Not known: no check has told of it in these months.",
  });
}

export const legend = () =>
  fill(byId("legend"), Object.entries(STATES).map(([state, { means }]) => el("li", {}, mark(state), el("span", {}, ` ${means}`))));
