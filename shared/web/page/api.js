// The app's HTTP API: the key travels as a header, and every failure has a sentence on what to do next.

const KEY = new URLSearchParams(location.search).get("code");
const PATIENCE_MS = 60_000;
export const MODE = document.documentElement.dataset.mode;
export const MAY_WRITE = document.documentElement.dataset.mayWrite === "true";

export const MAY_APPROVE = document.documentElement.dataset.mayApprove === "true";
export const MAY_READ_RECORDS = document.documentElement.dataset.mayReadRecords === "true";
export const { instance: INSTANCE, tenant: TENANT, reconcile: RECONCILE, version: VERSION, portal: PORTAL } = document.documentElement.dataset;
export const signIn = () => `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(`/api/operations${location.hash}`)}`;
// What Azure's portal shows of a resource.
export const inPortal = (id, tenant = TENANT) => `${PORTAL}/#@${tenant}/resource${id}`;

// An address of the API for a tab of its own; the key goes along as it came.
export const linked = (path) => `/api/${path}${KEY ? `?code=${encodeURIComponent(KEY)}` : ""}`;

export class Failure extends Error {
  constructor(status, title, next, signIn = false) {
    super(title);
    Object.assign(this, { status, title, next, signIn });
  }
}

export async function ask(path, { method = "GET", body, headers = {} } = {}) {
  let response;
  try {
    response = await fetch(`/api/${path}`, {
      method,
      headers: {
        Accept: "application/json",
        ...(KEY ? { "x-functions-key": KEY } : {}),
        ...(body ? { "Content-Type": "application/json" } : {}),
        ...headers,
      },
      body: body ? JSON.stringify(body) : undefined,
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new Failure(0, late ? "The app did not answer within a minute" : "The app can't be reached",
      "Check the connection, and whether the function app runs. This page asks again by itself.");
  }
  if (response.ok) return response.json();
  // A gateway before the app has a JSON of its own for what it refuses; `ready` answers 503 with what it found.
  const found = await response.json().catch(() => ({}));
  if (Array.isArray(found?.checks)) return found;
  throw refusal(response.status, found ?? {});
}

function refusal(status, problem) {
  if (status === 401) {
    return MODE === "key"
      ? new Failure(401, "The function key is missing or no longer valid", "Open this page again with ?code=<function key>.")
      : new Failure(401, "The sign-in has ended", "Sign in again; this view stays as it is.", true);
  }
  const title = problem.title ?? `The app answered ${status}`;
  return new Failure(status, title, problem.detail ?? "Look at the app's log; this page asks again by itself.");
}

// Every page of a list, one after the other; `progress` sees the rows so far with the first page's other members.
// Pages may be of different readings: the whole is complete where each is.
export async function all(path, progress = () => {}) {
  const rows = [];
  let about = {};
  let continuation = "";
  do {
    const separator = path.includes("?") ? "&" : "?";
    const page = await ask(continuation ? `${path}${separator}continuation=${encodeURIComponent(continuation)}` : path);
    const { value, continuation: next, ...rest } = page;
    for (const row of value) rows.push(row);
    const told = "complete" in rest ? { complete: rest.complete && about.complete !== false, reasons: [...new Set([...(about.reasons ?? []), ...(rest.reasons ?? [])])] } : {};
    about = { ...rest, ...about, ...told };
    continuation = next;
    progress({ ...about, rows, more: Boolean(continuation) });
  } while (continuation);
  return { ...about, rows, more: false };
}
