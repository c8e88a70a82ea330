// Plots on uPlot, in the page's own colours; beside each the same in words and as a table.
import uPlot from "uplot";

import { el, fill } from "./dom.js";

// A canvas knows no custom properties, so an element tells what colour one comes to.
const probe = document.body.appendChild(el("i", { hidden: true }));

function token(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

export class Plot {
  constructor(place, title, { unit, stacked = false, bars = false, percent = false, height = 132 }) {
    this.options = { unit, stacked, bars, percent, height };
    this.canvas = el("div", { class: "plot-canvas", role: "img", "aria-label": `${title}: not known yet` });
    this.said = el("span", { class: "plot-said" });
    this.legend = el("ul", { class: "plot-legend" });
    this.numbers = el("details", { class: "plot-numbers" });
    this.title = title;
    place.append(el("figure", { class: "plot" }, el("figcaption", {}, el("h3", {}, title), this.said), this.canvas, this.legend, this.numbers));
    this.width = 0;
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  // times: seconds; series: [{name, values, colour, total}], the last at the bottom of a stack; sentence: the plot in words; empty: why there is nothing.
  show({ times, series, sentence, empty, range }) {
    this.data = series.length && times.length ? { times, series, range } : null;
    this.said.textContent = sentence;
    this.canvas.setAttribute("aria-label", `${this.title}: ${this.data ? sentence : empty}`);
    if (!this.data) {
      this.plot?.destroy();
      this.plot = null;
      fill(this.canvas, el("p", { class: "empty" }, empty));
      fill(this.legend);
      fill(this.numbers);
      return;
    }
    this.#draw();
    this.#table();
  }

  #draw() {
    if (!this.data || !this.canvas.clientWidth) return;
    this.plot?.destroy();
    const { times, series, range } = this.data;
    const { unit, stacked, bars, percent, height } = this.options;
    const axis = { stroke: token("--muted"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const paths = bars ? uPlot.paths.bars({ size: [0.8, 24] }) : stacked ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const lines = stacked ? stack(series) : series.map((one) => one.values);
    const options = {
      width: this.canvas.clientWidth,
      height,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: true, ...(range ? { range: () => range } : {}) }, y: { range: (_, low, high) => bounds(low, high, percent) } },
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "UTC"),
      axes: [{ ...axis, space: 64, size: 26, values: clock }, { ...axis, space: 22, size: 46, values: (_, ticks) => ticks.map((tick) => short(tick, unit)) }],
      series: [
        {},
        ...series.map((one) => ({
          label: one.name,
          stroke: token(stacked ? "--card" : `--plot-${one.colour ?? 0}`),
          width: stacked ? 0.5 : 1.75,
          fill: token(stacked ? `--plot-${one.colour ?? 0}` : "--plot-fill"),
          points: { show: !stacked && !bars && !one.values.some((value, at) => value !== null && at && one.values[at - 1] !== null), size: 5 },
          spanGaps: false,
          paths,
        })),
      ],
      hooks: { setCursor: [(plot) => this.#readings(plot.cursor.idx)] },
    };
    fill(this.canvas);
    this.plot = new uPlot(options, [times, ...lines], this.canvas);
    this.plot.root.setAttribute("aria-hidden", "true");
    this.#readings(null);
  }

  #readings(index) {
    const { series } = this.data;
    if (series.length === 1) return;
    const entries = series.map((one) =>
      el("li", {}, el("span", { class: `key key-${one.colour ?? 0}`, "aria-hidden": "true" }), `${one.name} `,
        el("b", {}, short(index === null || index === undefined ? one.total : one.values[index] ?? 0, this.options.unit))));
    fill(this.legend, entries);
  }

  #table() {
    const { times, series } = this.data;
    const rows = times.map((time, at) => [time, series.map((one) => one.values[at])]).filter(([, values]) => values.some((value) => value));
    const open = this.numbers.open;
    const build = () => {
      const head = el("tr", {}, el("th", { scope: "col" }, "Time (UTC)"), series.map((one) => el("th", { scope: "col" }, one.name)));
      const body = rows.slice(-200).map(([time, values]) =>
        el("tr", {}, el("th", { scope: "row" }, new Date(time * 1000).toISOString().slice(0, 16).replace("T", " ")),
          values.map((value) => el("td", {}, value === null ? "" : short(value, this.options.unit)))));
      fill(this.numbers, el("summary", {}, "Numbers"), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${this.title}, numbers` }, el("table", { class: "numbers" }, el("thead", {}, head), el("tbody", {}, body))));
    };
    if (open) build();
    else {
      fill(this.numbers, el("summary", {}, "Numbers"));
      this.numbers.ontoggle = () => this.numbers.open && this.numbers.childElementCount === 1 && build();
    }
  }

  #resize() {
    const width = this.canvas.clientWidth;
    if (!this.data || !width || width === this.width) return;
    this.width = width;
    if (this.plot) this.plot.setSize({ width, height: this.options.height });
    else this.#draw();
  }
}

// Each line is its own values on top of all that come after it, so that the first is drawn first and is the highest.
function stack(series) {
  const above = series.map((one) => [...one.values]);
  for (let at = above.length - 2; at >= 0; at -= 1) above[at] = above[at].map((value, time) => value + above[at + 1][time]);
  return above;
}

// One line under each tick, in UTC: the time of day within two days, else the day.
function clock(plot, ticks) {
  const days = (plot.scales.x.max - plot.scales.x.min) / 86_400;
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    if (days <= 2) return date.toISOString().slice(11, 16);
    return tick % 86_400 ? "" : date.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  });
}

function bounds(low, high, percent) {
  if (low === null || low === undefined) return [0, 1];
  if (!percent) return [0, high > 0 ? high * 1.1 : 1];
  const room = Math.max(2, (high - low) * 0.3);
  return [Math.max(0, Math.floor(low - room)), Math.min(100, Math.ceil(high + room))];
}

function short(value, unit) {
  if (value === null || value === undefined) return "";
  if (unit === "s") return value >= 5400 ? `${trim(value / 3600)} h` : value >= 120 ? `${trim(value / 60)} min` : `${trim(value)} s`;
  const text = value >= 10_000 ? `${trim(value / 1000)} k` : trim(value);
  return unit === "%" ? `${text} %` : text;
}

const trim = (value) => String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(2)));
