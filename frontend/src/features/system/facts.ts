/** The numbers of the system page, each with what it means. */
import type { SystemState } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import type { Fact } from "./Section.tsx";

export function streamFacts({ stream }: SystemState): Fact[] {
  if (!stream) return [];
  return [
    { name: "Lag", meaning: "Age of the oldest record that is not stored yet, by the clock of Redis", value: fmt.duration(stream.lag_seconds * 1000) },
    { name: "Unread", meaning: "Records that no metrics API has fetched yet", value: fmt.exact(stream.unread) },
    { name: "Pending", meaning: "Records fetched by a metrics API and not acknowledged yet", value: fmt.exact(stream.pending) },
    { name: "Dead letters", meaning: "Entries that could not be read or stored, kept with the reason in weir:requests:dead", value: fmt.exact(stream.dead_letters) },
    { name: "Consumers", meaning: "Metrics APIs that have ever read from the stream", value: fmt.exact(stream.consumers) },
    { name: "Entries in Redis", meaning: "Stored ones are trimmed every 10 s", value: fmt.exact(stream.entries) },
  ];
}

function kept(seconds: number | null | undefined): string {
  return seconds === null || seconds === undefined ? "forever" : fmt.span(seconds * 1000);
}

export function storageFacts({ storage, now }: SystemState): Fact[] {
  if (!storage) return [];
  const oldest = storage.oldest_request_at;
  return [
    { name: "Database", meaning: "The kind of database", value: storage.kind },
    { name: "Size", meaning: "On disk, indexes included", value: fmt.bytes(storage.bytes) },
    { name: "Requests", meaning: "Since first use, those included that are no longer kept", value: fmt.exact(storage.requests) },
    { name: "Oldest request", meaning: fmt.fullTime(oldest), value: oldest === null ? fmt.UNKNOWN : fmt.ago(oldest, now) },
    { name: "Requests are kept", meaning: "WEIR_RETENTION_REQUESTS", value: kept(storage.retention["requests"]) },
    { name: "5 s data is kept", meaning: "WEIR_RETENTION_5S", value: kept(storage.retention["5s"]) },
    { name: "1 min data is kept", meaning: "WEIR_RETENTION_1M; hours and days are kept forever", value: kept(storage.retention["1m"]) },
  ];
}

export function serviceFacts({ metrics_api, proxies, now }: SystemState): Fact[] {
  const versions = [...new Set((proxies ?? []).map((proxy) => proxy.version))].toSorted();
  return [
    { name: "Metrics API", meaning: fmt.fullTime(metrics_api.started_at), value: metrics_api.version, detail: `started ${fmt.ago(metrics_api.started_at, now)}` },
    { name: "Proxies", meaning: "Versions of the proxies that report", value: versions.join(", ") || fmt.UNKNOWN },
    { name: "Dashboard", meaning: "The build that you are looking at", value: WEIR_VERSION ?? fmt.UNKNOWN },
    {
      name: "Live listeners",
      meaning: "Browsers and scripts on /api/events of this metrics API",
      value: fmt.exact(metrics_api.listeners),
      detail: `of ${fmt.exact(metrics_api.max_listeners)}`,
    },
  ];
}
