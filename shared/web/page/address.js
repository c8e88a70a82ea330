// What is shown lives in the address behind `#`, so a link leads others to the same place.

const listeners = [];

export const read = () => new URLSearchParams(location.hash.slice(1));

export function write(changes, { push = false } = {}) {
  const parameters = read();
  for (const [name, value] of Object.entries(changes)) {
    if (value) parameters.set(name, value);
    else parameters.delete(name);
  }
  const hash = parameters.toString();
  if (hash === read().toString()) return;
  const target = hash ? `#${hash}` : location.pathname + location.search;
  if (push) history.pushState(null, "", target);
  else history.replaceState(null, "", target);
  listeners.forEach((listener) => listener());
}

export function onChange(listener) {
  listeners.push(listener);
}
["popstate", "hashchange"].forEach((event) => addEventListener(event, () => listeners.forEach((listener) => listener())));

// The function key stays out of what people pass on.
export function shareable() {
  const url = new URL(location.href);
  url.searchParams.delete("code");
  return url.href;
}
