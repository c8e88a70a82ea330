// Subscriptions by kind, thousands of them: only the rows in view are in the document.
import { shortName } from "./destinations.js";
import { el, fill, mark } from "./dom.js";
import { KINDS, ORDER, STATES, mutedWords, number, plural } from "./words.js";

const SPARE = 6;
const NARROW = matchMedia("(max-width: 760px)");
const CIS = "cis-8.1.5.2";
// What comes first, by what rows are sorted by; else the state of a kind decides.
const RANKS = { "": (row) => (row.bad ? 0 : 1), name: () => 0, cis: (row) => (row.unmet ? 0 : 1) };

export class Matrix {
  constructor(place, open) {
    this.open = open;
    this.rows = [];
    this.shown = [];
    this.folded = new Set();
    this.active = { row: 0, column: 0 };
    this.head = el("div", { class: "matrix-head", role: "row", "aria-rowindex": 1 });
    this.pinned = el("div", { class: "matrix-pinned", "aria-hidden": "true" });
    this.body = el("div", { class: "matrix-body", role: "rowgroup" });
    this.grid = el("div", { class: "matrix", role: "grid", tabindex: 0, id: "matrix", "aria-label": "Subscriptions by kind of record. Arrow keys move, Enter opens or folds." },
      el("div", { role: "rowgroup", class: "matrix-top" }, this.head, this.pinned), this.body);
    place.append(this.grid);
    this.grid.addEventListener("scroll", () => this.#soon(), { passive: true });
    this.grid.addEventListener("keydown", (event) => this.#key(event));
    this.grid.addEventListener("focus", () => this.#activate());
    this.grid.addEventListener("blur", () => this.#activate());
    this.body.addEventListener("click", (event) => this.#click(event));
    NARROW.addEventListener("change", () => this.#layout());
    new ResizeObserver(() => this.#soon()).observe(this.grid);
    this.#layout();
  }

  // rows: the API's, as `prepare` leaves them.
  show(rows, { tenants }) {
    this.rows = rows;
    this.severalTenants = tenants > 1;
    this.#sort();
    this.#arrange();
  }

  // by: the name of what groups them, `owner` or nothing for the management group; sort: `name`, a kind, `cis`, or nothing.
  order({ by, sort }) {
    if (by === this.by && sort === this.sorted) return;
    this.by = by;
    this.sorted = sort;
    this.#sort();
    this.#arrange();
  }

  #sort() {
    const rank = RANKS[this.sorted ?? ""] ?? ((row) => ORDER.indexOf(row.states[this.sorted]));
    const ranks = new Map(this.rows.map((row) => [row, rank(row)]));
    this.rows = [...this.rows].sort((one, other) => ranks.get(one) - ranks.get(other) || compare(one.subscription, other.subscription));
  }

  // The rows that the search and the state let through.
  chosen() {
    return this.matches ? this.rows.filter(this.matches) : this.rows;
  }

  // On paper every row is there.
  print(whole) {
    this.whole = whole;
    this.grid.classList.toggle("whole", whole);
    this.#arrange();
  }

  // What takes no writes is folded away unless something was asked for.
  filter(matches, { narrowed }) {
    this.matches = matches;
    this.narrowed = narrowed;
    this.#arrange();
  }

  #layout() {
    this.narrow = NARROW.matches;
    this.height = this.narrow ? 56 : 32;
    const titles = this.narrow ? ["Subscription"] : ["Subscription", ...KINDS.map(([, title]) => title), "CIS 8.1.5.2"];
    fill(this.head, titles.map((title, at) => el("div", { role: "columnheader", "aria-colindex": at + 1 }, title)));
    this.grid.setAttribute("aria-colcount", titles.length);
    this.columns = titles.length;
    this.#render();
  }

  #arrange() {
    const keep = this.shown[this.active.row]?.key;
    const groups = new Map();
    for (const row of this.rows) {
      if (this.matches && !this.matches(row)) continue;
      const name = row.dormant ? "dormant" : this.by === "owner" ? `owner ${(row.owner ?? "").toLowerCase()}` : row.group;
      const group = groups.get(name) ?? groups.set(name, { key: `group ${name}`, row, bad: 0, members: [] }).get(name);
      group.members.push({ key: row.subscriptionId, row, group });
      if (row.bad) group.bad += 1;
    }
    this.shown = [];
    // Those that need a person first.
    const last = (name) => (name === "dormant" ? 1 : 0);
    for (const name of [...groups.keys()].sort().sort((one, other) => last(one) - last(other) || groups.get(other).bad - groups.get(one).bad)) {
      const group = groups.get(name);
      this.shown.push(group);
      if (!this.#isFolded(group)) this.shown.push(...group.members);
    }
    const again = keep ? this.shown.findIndex((line) => line.key === keep) : -1;
    this.active.row = Math.max(0, again);
    this.body.style.height = `${this.shown.length * this.height}px`;
    this.grid.setAttribute("aria-rowcount", this.shown.length + 1);
    this.#render();
  }

  #isFolded(group) {
    return this.folded.has(group.key) !== Boolean(group.row.dormant && !this.narrowed && !this.whole);
  }

  #soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#render();
    });
  }

  #render() {
    const top = this.head.offsetHeight;
    const from = this.whole ? 0 : Math.max(0, Math.floor(this.grid.scrollTop / this.height) - SPARE);
    const to = this.whole ? this.shown.length : Math.min(this.shown.length, Math.ceil((this.grid.scrollTop + this.grid.clientHeight) / this.height) + SPARE);
    const lines = [];
    for (let at = from; at < to; at += 1) lines.push(this.#line(this.shown[at], at));
    this.body.style.height = `${this.shown.length * this.height}px`;
    fill(this.body, lines);
    this.#pin(top);
    this.#activate();
  }

  // The focus stays on the grid; it names the active cell, which may be out of the document while it is out of view.
  #activate() {
    this.body.querySelector(".active")?.classList.remove("active");
    const id = this.#cellId(this.active.row, this.#column());
    const cell = document.activeElement === this.grid ? this.body.querySelector(`#${id}`) : null;
    cell?.classList.add("active");
    if (cell) this.grid.setAttribute("aria-activedescendant", id);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  #pin() {
    const first = this.shown[Math.floor(this.grid.scrollTop / this.height)];
    const group = first?.members ? first : first?.group;
    const wanted = group && this.grid.scrollTop > 4 ? group : null;
    this.pinned.hidden = !wanted;
    if (wanted) fill(this.pinned, this.#groupName(wanted));
  }

  #line(line, at) {
    const group = Boolean(line.members);
    const node = el("div", {
      role: "row", class: group ? "line line-group" : "line", "aria-rowindex": at + 2, "data-at": at,
    }, group ? this.#group(line, at) : this.#cells(line.row, at));
    node.style.transform = `translateY(${at * this.height}px)`;
    return node;
  }

  #cell(at, column, attributes, ...children) {
    return el("div", { role: "gridcell", id: this.#cellId(at, column), "data-column": column, "aria-colindex": column + 1, ...attributes,
      class: `cell ${attributes.class ?? ""}` }, ...children);
  }

  #groupName(group) {
    const { managementGroups, tenantId, owner, dormant } = group.row;
    const said = dormant ? ["Disabled", "nothing can be written there"] : this.by === "owner" ? [owner || "no owner named", owner ? "owner, by tag" : "no tag names one"] : null;
    if (said) return [el("span", { class: "group-name" }, said[0]), el("span", { class: "group-path" }, said[1])];
    // The root group has the tenant's id and says nothing more.
    const names = managementGroups.filter((name) => name !== tenantId);
    const leaf = names.pop() ?? (managementGroups.length ? "tenant root group" : "no management group visible");
    const above = [names.join(" › "), this.severalTenants ? `tenant ${tenantId.slice(0, 8)}` : ""].filter(Boolean).join(", ");
    return [el("span", { class: "group-name" }, leaf), el("span", { class: "group-path" }, above ? `in ${above}` : "")];
  }

  #group(group, at) {
    const folded = this.#isFolded(group);
    const count = plural(group.members.length, "subscription") + (group.bad ? `, ${number(group.bad)} to look at` : "");
    return this.#cell(at, 0, { "aria-colspan": this.columns, "aria-expanded": String(!folded), class: "cell-group", title: this.by === "owner" || group.row.dormant ? "" : `Tenant ${group.row.tenantId}` },
      el("i", { class: folded ? "fold folded" : "fold", "aria-hidden": "true" }), this.#groupName(group), el("span", { class: "group-count" }, count));
  }

  #cells(row, at) {
    const name = [el("span", { class: "subscription-name", title: `${row.subscription}\n${row.subscriptionId}` }, row.subscription || row.subscriptionId)];
    if (this.narrow) {
      const counts = ORDER.map((state) => [state, KINDS.filter(([kind]) => row.states[kind] === state && !row.muted[kind]).length]).filter(([, count]) => count);
      if (row.quieted) counts.push(["quiet", "muted"]);
      return this.#cell(at, 0, { class: "cell-name" }, name, el("span", { class: "summary" }, counts.map(([state, count]) => mark(state, count === "muted" ? count : `${count} ${state}`))));
    }
    const met = row.verdicts?.[CIS];
    return [
      this.#cell(at, 0, { class: "cell-name", role: "rowheader" }, name),
      ...KINDS.map(([kind], index) => {
        const state = row.states[kind] ?? "none";
        const muted = row.muted[kind];
        return this.#cell(at, index + 1, { class: STATES[state]?.bad && !muted ? "cell-bad" : "", title: [muted ? mutedWords(muted) : "", row.notes?.[kind]].filter(Boolean).join("\n"), "data-kind": kind },
          muted ? mark("quiet", "muted") : mark(state));
      }),
      this.#cell(at, KINDS.length + 1, {}, met === undefined ? "" : met ? mark("exported", "met") : row.subscriptionMuted ? mark("quiet", "muted") : mark("drifted", "not met")),
    ];
  }

  #cellId(row, column) {
    return `cell-${row}-${column}`;
  }

  // A group has one cell only.
  #column() {
    return this.shown[this.active.row]?.members ? 0 : Math.min(this.active.column, this.columns - 1);
  }

  #click(event) {
    const line = event.target.closest("[data-at]");
    if (!line) return;
    this.active = { row: Number(line.dataset.at), column: Number(event.target.closest("[data-column]")?.dataset.column ?? 0) };
    this.#enter();
  }

  #enter() {
    const line = this.shown[this.active.row];
    if (!line) return;
    if (line.members) {
      if (!this.folded.delete(line.key)) this.folded.add(line.key);
      this.#arrange();
    } else this.open(line.row, this.active.column ? KINDS[this.active.column - 1]?.[0] : undefined);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / this.height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.shown.length, End: this.shown.length };
    if (event.key in steps) this.active.row = Math.max(0, Math.min(this.shown.length - 1, this.active.row + steps[event.key]));
    else if (event.key === "ArrowRight") this.active.column = Math.min(this.columns - 1, this.active.column + 1);
    else if (event.key === "ArrowLeft") this.active.column = Math.max(0, this.active.column - 1);
    else if (event.key === "Enter" || event.key === " ") this.#enter();
    else return;
    event.preventDefault();
    this.#reveal();
  }

  #reveal() {
    const top = this.active.row * this.height;
    const room = this.grid.clientHeight - this.head.offsetHeight - this.height * 2;
    if (top < this.grid.scrollTop + this.height) this.grid.scrollTop = top - this.height;
    else if (top > this.grid.scrollTop + room) this.grid.scrollTop = top - room;
    this.#render();
  }
}

// What the matrix needs of each row, worked out once.
export function prepare(rows) {
  for (const row of rows) {
    if (row.text) continue;
    row.muted ??= {};
    row.bad = Object.entries(row.states).some(([kind, state]) => STATES[state]?.bad && !row.muted[kind]);
    row.quieted = Object.keys(row.muted).length > 0;
    row.dormant = row.takesWrites === false;
    row.unmet = !row.dormant && row.verdicts?.[CIS] === false && !row.subscriptionMuted;
    row.group = `${row.tenantId} ${row.managementGroups.join(" / ")}`;
    row.text = [row.subscription, row.subscriptionId, row.tenantId, ...row.managementGroups, row.subscriptionState, row.owner, ...(row.exports ?? []),
      ...(row.destinations ?? []).map(shortName), ...Object.values(row.notes ?? {})].join("\n").toLowerCase();
  }
  return rows;
}

const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
