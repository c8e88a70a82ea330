// The records of a dead letter.  They are shown while the panel is open and are in no address.
import { ask } from "./api.js";
import { el } from "./dom.js";
import { moment, plural } from "./words.js";

export async function contents(name) {
  const { value, trouble, continuation } = await ask(`dead-letters/contents?name=${encodeURIComponent(name)}`);
  if (trouble) return [el("p", {}, `It is left as it is: ${trouble}.`)];
  return [
    el("p", { class: "aside" }, `${plural(value.length, "record")}${continuation ? ", the first of more" : ""}. That you looked is noted.`),
    value.map((letter) => el("details", { class: "kind", open: value.length === 1 },
      el("summary", {}, el("span", { class: "kind-name" }, letter.record || letter.table || letter.place), ` ${letter.reason}${letter.code ? `, ${letter.code}` : ""}`),
      el("p", {}, letter.message || "The service gave no reason."),
      el("p", { class: "aside" }, `Arrived ${moment(letter.enqueued)}, failed ${moment(letter.failed)}; sent ${plural(letter.tries ?? 0, "time")}.`),
      el("pre", { class: "record", tabindex: 0 }, letter.row ? JSON.stringify(letter.row, null, 1) : bytes(letter.event)))),
  ];
}

function bytes(event) {
  const decoded = Uint8Array.from(atob(event ?? ""), (each) => each.charCodeAt(0));
  return new TextDecoder().decode(decoded) || "(empty)";
}
