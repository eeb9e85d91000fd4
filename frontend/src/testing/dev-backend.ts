/**
 * A stand-in for the metrics API inside the Vite server (`npm run dev:mock`): generated history, live traffic
 * over SSE, and scenes to look at every state. `/__scene?name=away` switches: normal, empty, quiet, away, error, slow.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import type { RequestRecord } from "../lib/api-types.ts";
import { answer, totals } from "./fake-api.ts";
import { fakeHistory, fakeRequestAt, seeded, trafficAt } from "./fake-traffic.ts";

type Scene = "normal" | "empty" | "quiet" | "away" | "error" | "slow";

class FakeServer {
  scene: Scene = "normal";
  #rows: RequestRecord[] = fakeHistory(Date.now());
  readonly #random = seeded(Date.now());
  readonly #listeners = new Set<ServerResponse>();
  #next = Date.now();
  #lastId = 0;

  start(): () => void {
    const traffic = setInterval(() => this.#produce(), 100);
    const buckets = setInterval(() => this.#publishBucket(), 5_000);
    return () => {
      clearInterval(traffic);
      clearInterval(buckets);
      for (const listener of this.#listeners) listener.end();
    };
  }

  #produce(): void {
    const now = Date.now();
    const fresh: RequestRecord[] = [];
    while (this.#next < now) {
      const row = fakeRequestAt(this.#random, this.#next - 1500);
      fresh.push({ ...row, started_at: Math.round((this.#next - Math.min(row.duration_ms ?? 0, 20_000)) * 1000) });
      this.#next += (-Math.log(this.#random() + 1e-9) / trafficAt(now)) * 1000;
    }
    if (fresh.length === 0 || this.scene === "empty" || this.scene === "quiet") return;
    this.#rows.push(...fresh);
    this.#rows.sort((a, b) => a.started_at - b.started_at);
    this.#publish({ type: "requests", data: fresh });
  }

  #publishBucket(): void {
    const end = Math.floor(Date.now() / 5000) * 5000;
    const rows = this.#rows.filter((row) => row.started_at >= (end - 5000) * 1000);
    const data = { timestamp: end - 5000, variant: "production", req_rate: totals(rows, 5).req_rate };
    this.#publish({ type: "metrics", data });
  }

  #publish(message: unknown): void {
    this.#lastId += 1;
    for (const listener of this.#listeners) listener.write(`id: ${this.#lastId}-0\ndata: ${JSON.stringify(message)}\n\n`);
  }

  listen(response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform" });
    const hello = { type: "connected", scrape_interval: 5, variants: ["production", "canary"] };
    response.write(`retry: 2000\nid: ${this.#lastId}-0\ndata: ${JSON.stringify(hello)}\n\n`);
    this.#listeners.add(response);
    response.on("close", () => this.#listeners.delete(response));
  }

  setScene(scene: Scene): void {
    this.scene = scene;
    if (scene === "away") for (const listener of this.#listeners) listener.destroy();
  }

  rows(): RequestRecord[] {
    if (this.scene === "empty") return [];
    const until = (Date.now() - 3 * 3_600_000) * 1000;
    return this.scene === "quiet" ? this.#rows.filter((row) => row.started_at < until) : this.#rows;
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const type = status < 400 || status === 502 ? "application/json" : "application/problem+json";
  response.writeHead(status, { "Content-Type": type }).end(JSON.stringify(body));
}

function handle(server: FakeServer, request: IncomingMessage, response: ServerResponse): boolean {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (url.pathname === "/__scene") {
    server.setScene((url.searchParams.get("name") ?? "normal") as Scene);
    send(response, 200, { scene: server.scene });
    return true;
  }
  if (url.pathname === "/graphql") {
    const upstream = (name: string, provider: string, requests: number, errors: number) => ({
      name, provider, requests, errors, error_rate_pct: (errors / requests) * 100, latency_ms: { p50: 820, p95: 2_310, n: requests - errors },
    });
    send(response, 200, { data: { upstreams: server.scene === "empty" ? [] : [upstream("gpu-1", "vllm", 2_310, 12), upstream("shared", "openai", 410, 0)] } });
    return true;
  }
  if (!url.pathname.startsWith("/api/")) return false;
  if (server.scene === "away") {
    const hint = "Start it with `weir metrics-api`, or set WEIR_BACKEND_URL.";
    send(response, 502, { error: "Backend server not available", backend_url: "http://127.0.0.1:8002", hint });
    return true;
  }
  if (url.pathname === "/api/events") {
    server.listen(response);
    return true;
  }
  if (server.scene === "error" && url.pathname !== "/api/config") {
    const detail = "The database is locked by another process. Stop the other metrics API, or give it its own file.";
    send(response, 503, { type: "about:blank", title: "Unavailable", status: 503, detail, code: "unavailable" });
    return true;
  }
  const reply = () => {
    const result = answer(server.rows(), url, Date.now());
    if (result) send(response, result.status, result.body);
    else send(response, 404, { title: "Not found", status: 404, detail: `No such endpoint: ${url.pathname}`, code: "not_found" });
  };
  if (server.scene === "slow") setTimeout(reply, 4_000);
  else reply();
  return true;
}

export function fakeBackend(): Plugin {
  const install = (middlewares: Connect.Server, onClose: (stop: () => void) => void) => {
    const server = new FakeServer();
    onClose(server.start());
    middlewares.use((request, response, next) => {
      if (!handle(server, request, response)) next();
    });
  };
  return {
    name: "weir-fake-backend",
    configureServer: (vite) => install(vite.middlewares, (stop) => vite.httpServer?.on("close", stop)),
    configurePreviewServer: (vite) => install(vite.middlewares, (stop) => vite.httpServer.on("close", stop)),
  };
}
