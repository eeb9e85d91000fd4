/** The metrics API as msw handlers over given rows. */
import { http, HttpResponse, type HttpHandler } from "msw";
import { setupServer } from "msw/node";
import type { Pipeline, RequestRecord } from "../lib/api-types.ts";
import { answer } from "./fake-api.ts";

export function apiOver(rows: () => RequestRecord[]): HttpHandler {
  return http.get("*/api/*", ({ request }) => {
    const result = answer(rows(), new URL(request.url), Date.now());
    return result
      ? HttpResponse.json(result.body as object, { status: result.status })
      : HttpResponse.json({ detail: "no such endpoint", code: "not_found" }, { status: 404 });
  });
}

/** The reconciliation as it is told; all else is left to the others. */
export function apiPipeline(report: () => Pipeline): HttpHandler {
  return http.get("*/api/pipeline", () => HttpResponse.json(report()));
}

/** The one question that the pages ask of GraphQL. */
const graphql = http.post("*/graphql", () =>
  HttpResponse.json({
    data: {
      upstreams: [{ name: "gpu-1", provider: "vllm", requests: 120, errors: 3, error_rate_pct: 2.5, latency_ms: { p50: 800, p95: 2_100, n: 117 } }],
    },
  }),
);

export function apiAway(): HttpHandler {
  return http.get("*/api/*", () =>
    HttpResponse.json(
      {
        error: "Backend server not available",
        backend_url: "http://127.0.0.1:8002",
        hint: "Start it with `weir metrics-api`.",
      },
      { status: 502 },
    ),
  );
}

export function apiFailing(detail: string): HttpHandler {
  return http.get("*/api/*", ({ request }) =>
    new URL(request.url).pathname === "/api/config"
      ? HttpResponse.json({ scrape_interval: 5, targets: [] })
      : HttpResponse.json({ title: "Bad request", status: 400, detail, code: "invalid_range" }, { status: 400 }),
  );
}

export const backend = setupServer(apiOver(() => []), graphql);
