/** Fetching JSON from the metrics API, and what can go wrong in words. */

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly requestUrl: string;

  constructor(status: number, code: string, detail: string, requestUrl: string) {
    super(detail);
    this.status = status;
    this.code = code;
    this.requestUrl = requestUrl;
  }
}

/** The gateway answers but the metrics API behind it does not, or the gateway itself is gone. */
export class AwayError extends Error {
  override readonly name = "AwayError";
  readonly backendUrl: string | null;
  readonly hint: string | null;

  constructor(message: string, backendUrl: string | null, hint: string | null) {
    super(message);
    this.backendUrl = backendUrl;
    this.hint = hint;
  }
}

type Body = Record<string, unknown>;
const text = (value: unknown): string | null => (typeof value === "string" && value ? value : null);

async function readBody(response: Response): Promise<Body | null> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? (body as Body) : null;
  } catch {
    return null; // not JSON: the status alone speaks
  }
}

function toError(response: Response, body: Body | null, url: string): Error {
  if (response.status === 502 && body && "backend_url" in body) {
    return new AwayError(text(body["error"]) ?? "Backend server not available", text(body["backend_url"]), text(body["hint"]));
  }
  const detail =
    text(body?.["detail"]) ?? text(body?.["title"]) ?? `The server answered ${response.status} without a reason.`;
  return new ApiError(response.status, text(body?.["code"]) ?? `http_${response.status}`, detail, url);
}

export function getJson<T>(path: string, params: Record<string, string>, signal?: AbortSignal): Promise<T> {
  const search = new URLSearchParams(params).toString();
  return send<T>(search ? `${path}?${search}` : path, { signal: signal ?? null, headers: { Accept: "application/json" } });
}

export function postJson<T>(url: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  return send<T>(url, { method: "POST", signal: signal ?? null, headers, body: JSON.stringify(body) });
}

async function send<T>(url: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new AwayError("The dashboard gateway does not answer", null, "Is `weir dashboard` still running?");
  }
  const body = await readBody(response);
  if (!response.ok) throw toError(response, body, url);
  if (body === null) throw new ApiError(response.status, "not_json", "The answer was not JSON.", url);
  return body as T;
}
