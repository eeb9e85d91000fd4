import { describe, expect, it } from "vitest";
import { fakeRequest } from "../../testing/fake-traffic.ts";
import { phasesOf } from "./phases.ts";

const streamed = fakeRequest({
  outcome: "completed",
  stream: true,
  queue_ms: 10,
  connect_ms: 5,
  upstream_headers_ms: 85,
  time_to_first_token_ms: 140,
  time_to_last_token_ms: 900,
  duration_ms: 905,
});
const shape = (row: typeof streamed) => phasesOf(row).map(({ key, start, end }) => [key, start, end]);

describe("where the time went", () => {
  it("of a streamed request", () => {
    expect(shape(streamed)).toEqual([
      ["queue", 0, 10],
      ["connect", 10, 15],
      ["wait", 15, 100],
      ["first_token", 100, 140],
      ["generation", 140, 900],
      ["finish", 900, 905],
    ]);
  });
  it("of one that was not streamed", () => {
    const row = { ...streamed, stream: false, time_to_first_token_ms: null, time_to_last_token_ms: null };
    expect(shape(row).slice(-2)).toEqual([["wait", 15, 100], ["answer", 100, 905]]);
  });
  it("of one that never got an answer", () => {
    const row = { ...streamed, outcome: "timeout" as const, upstream_headers_ms: null, time_to_first_token_ms: null, time_to_last_token_ms: null };
    expect(shape(row).at(-1)).toEqual(["wait", 15, 905]);
  });
  it("says when the connection was reused", () => expect(phasesOf({ ...streamed, connect_ms: 0 })[1]?.note).toBe("reused"));
  it("never runs backwards or past the end", () => {
    const row = { ...streamed, queue_ms: 200, upstream_headers_ms: 100, time_to_last_token_ms: 2_000 };
    for (const { start, end } of phasesOf(row)) {
      expect(end).toBeGreaterThanOrEqual(start);
      expect(end).toBeLessThanOrEqual(905);
    }
  });
  it("always adds up to the whole", () => {
    expect(phasesOf(streamed).reduce((sum, { start, end }) => sum + end - start, 0)).toBe(905);
  });
  it("is nothing without a duration", () => expect(phasesOf({ ...streamed, duration_ms: null })).toEqual([]));
});
