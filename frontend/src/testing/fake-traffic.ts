/** Generated requests that look like a real installation's. Seeded: the same seed gives the same traffic. */
import type { Outcome, RequestRecord } from "../lib/api-types.ts";

export type Random = () => number;

/** mulberry32 */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface ModelProfile {
  model: string;
  provider: string;
  upstream: string;
  variant: string | null;
  weight: number;
  ttft: number;
  speed: number;
  errors: number;
}

const MODELS: readonly ModelProfile[] = [
  { model: "llama3.1:8b", provider: "ollama", upstream: "gpu-1", variant: "production", weight: 62, ttft: 190, speed: 88, errors: 0.002 },
  { model: "gpt-4o-mini", provider: "openai", upstream: "openai", variant: "production", weight: 19, ttft: 410, speed: 61, errors: 0.001 },
  { model: "qwen2.5:7b-instruct", provider: "vllm", upstream: "gpu-2", variant: "canary", weight: 9, ttft: 260, speed: 70, errors: 0.05 },
  { model: "mistral-small3.2:24b-instruct-2506-q4_K_M", provider: "ollama", upstream: "gpu-1", variant: null, weight: 6, ttft: 540, speed: 31, errors: 0.006 },
  { model: "demo", provider: "echo", upstream: "demo", variant: "production", weight: 4, ttft: 120, speed: 45, errors: 0 },
];
const USERS = ["u-17", "u-42", "ci", "support-bot", "eval-nightly", null];
const KEYS = ["dev-laptop", "ci", "support", null];

const normal = (random: Random) => Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
const around = (random: Random, median: number, spread: number) => median * Math.exp(normal(random) * spread);
const round = (value: number) => Math.round(value * 1000) / 1000;

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

function pickModel(random: Random): ModelProfile {
  let left = random() * MODELS.reduce((sum, profile) => sum + profile.weight, 0);
  for (const profile of MODELS) {
    left -= profile.weight;
    if (left <= 0) return profile;
  }
  return MODELS[0]!;
}

/** Ids in the form of a UUIDv7, so that they sort by time. */
function requestId(random: Random, ms: number): string {
  const time = Math.floor(ms).toString(16).padStart(12, "0");
  const tail = Array.from({ length: 18 }, () => Math.floor(random() * 16).toString(16)).join("");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(0, 3)}-9${tail.slice(3, 6)}-${tail.slice(6)}`;
}

function pickOutcome(random: Random, profile: ModelProfile): Outcome {
  const dice = random();
  if (dice < profile.errors) return pick(random, ["upstream_error", "upstream_error", "timeout", "truncated"] as const);
  if (dice < profile.errors + 0.006) return "client_error";
  if (dice < profile.errors + 0.009) return "rejected";
  if (dice < profile.errors + 0.018) return "cancelled";
  return "completed";
}

const FAILURES: Partial<Record<Outcome, { status: number | null; type: string; message: string }>> = {
  upstream_error: { status: 502, type: "upstream_unreachable", message: "Connecting to gpu-2 was refused." },
  timeout: { status: 504, type: "first_byte_timeout", message: "No response head within 60 s." },
  truncated: { status: 200, type: "stream_cut", message: "The upstream closed the stream before its end." },
  client_error: { status: 429, type: "rate_limit_exceeded", message: "Rate limit reached for requests." },
  rejected: { status: 404, type: "model_not_found", message: "No upstream serves the model gpt-5-nano." },
  cancelled: { status: 200, type: "client_disconnect", message: "The client left." },
};

/** A record with every field; `over` sets what a test is about. */
export function fakeRequest(over: Partial<RequestRecord> = {}): RequestRecord {
  return { ...fakeRequestAt(seeded(7), Date.UTC(2026, 10, 20, 14, 41, 7)), ...over };
}

export function fakeRequestAt(random: Random, ms: number): RequestRecord {
  const profile = pickModel(random);
  const outcome = pickOutcome(random, profile);
  const failure = FAILURES[outcome];
  const answered = outcome === "completed" || outcome === "truncated" || outcome === "cancelled";
  const stream = random() < 0.8;
  const slow = random() < 0.03 ? 6 : 1;
  const queue = random() < 0.15 ? around(random, 80, 1) : round(random() * 0.3);
  const connect = random() < 0.08 ? around(random, 9, 0.4) : 0;
  const headers = around(random, profile.ttft * 0.7 * slow, 0.35);
  const firstToken = queue + connect + headers + around(random, profile.ttft * 0.3, 0.3);
  const input = Math.round(around(random, 420, 0.8));
  const output = Math.max(2, Math.round(around(random, outcome === "completed" ? 130 : 40, 0.7)));
  const speed = around(random, profile.speed, 0.15);
  const lastToken = firstToken + ((output - 1) / speed) * 1000;
  const cached = random() < 0.3 ? Math.round(input * 0.4) : 0;
  const reported = answered && outcome === "completed" && random() > 0.02;
  const rejected = outcome === "rejected";
  const short = rejected ? around(random, 0.8, 0.3) : outcome === "timeout" ? 60_012 : around(random, 34, 0.5);
  return {
    request_id: requestId(random, ms),
    proxy_id: "proxy-1",
    started_at: Math.round(ms * 1000),
    endpoint: "chat.completions",
    outcome,
    schema_version: 1,
    client_request_id: null,
    upstream_request_id: answered ? `chatcmpl-${Math.floor(random() * 1e9).toString(36)}` : null,
    trace_id: null,
    span_id: null,
    tenant: "default",
    project: random() < 0.6 ? pick(random, ["support", "search"]) : null,
    api_key_id: pick(random, KEYS),
    user: pick(random, USERS),
    provider: rejected ? null : profile.provider,
    upstream: rejected ? null : profile.upstream,
    variant: profile.variant,
    model_requested: rejected ? "gpt-5-nano" : profile.model,
    model: rejected ? "gpt-5-nano" : profile.model,
    stream,
    metadata: random() < 0.1 ? { run: "eval-2026-11-20" } : null,
    status_code: failure ? failure.status : 200,
    error_type: failure?.type ?? null,
    error_message: failure?.message ?? null,
    finish_reason: outcome === "completed" ? (random() < 0.9 ? "stop" : "length") : null,
    retries: outcome === "upstream_error" && random() < 0.5 ? 1 : 0,
    attempts:
      outcome === "upstream_error"
        ? [{ upstream: profile.upstream, status: null, ms: round(short), error: "connection refused" }]
        : null,
    queue_ms: rejected ? null : round(queue),
    connect_ms: rejected ? null : round(connect),
    upstream_headers_ms: answered ? round(headers) : null,
    time_to_first_token_ms: answered && stream ? round(firstToken) : null,
    time_to_first_answer_ms: null,
    time_to_last_token_ms: answered && stream ? round(lastToken) : null,
    duration_ms: round(answered ? lastToken + 1.2 : short),
    proxy_overhead_ms: round(0.2 + random() * 0.3),
    max_token_gap_ms: answered && stream ? round(1000 / speed + random() * 60) : null,
    prompt_tokens: reported ? input : null,
    completion_tokens: reported ? output : null,
    total_tokens: reported ? input + output : null,
    cache_read_tokens: reported ? cached : null,
    cache_write_tokens: null,
    reasoning_tokens: null,
    usage_source: reported ? "reported" : "missing",
    usage_raw: null,
    request_bytes: input * 4 + 210,
    response_bytes: answered ? output * (stream ? 260 : 5) + 300 : 180,
    content_chunks: answered && stream ? output : null,
    tokens_per_second: reported && stream ? round((output - 1) / ((lastToken - firstToken) / 1000)) : null,
    cost_usd: null,
    price_version: null,
    cost_status: profile.provider === "echo" ? "free" : "unpriced",
  };
}

/** Requests per second at a moment: waves of a day and of minutes. */
export function trafficAt(ms: number): number {
  const hour = Math.sin((ms / 86_400_000) * 2 * Math.PI) * 0.35 + 0.65;
  const wave = Math.sin(ms / 420_000) * 0.25 + Math.sin(ms / 97_000) * 0.2 + 1;
  return 1.6 * hour * wave;
}

/** Traffic from a week ago until `now`, oldest first: dense in the last hours, thin before. */
export function fakeHistory(now: number, seed = 11): RequestRecord[] {
  const random = seeded(seed);
  const rows: RequestRecord[] = [];
  let at = now - 7 * 86_400_000;
  while (at < now) {
    const density = now - at > 86_400_000 ? 0.02 : now - at > 3 * 3_600_000 ? 0.25 : 1;
    at += (-Math.log(random() + 1e-9) / (trafficAt(at) * density)) * 1000;
    const outage = now - at > 21 * 60_000 && now - at < 23 * 60_000;
    if (at < now && !outage) rows.push(fakeRequestAt(random, at));
  }
  return rows;
}
