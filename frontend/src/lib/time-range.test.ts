import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyRange } from "../testing/arbitraries.ts";
import { bounds, formatRange, parseRange, parseTyped, rangeParams, zoomed, type TimeRange } from "./time-range.ts";

const NOW = Date.UTC(2026, 10, 20, 14, 30);
const relative = (ms: number): TimeRange => ({ kind: "relative", ms });
const between = (from: string, to: string): TimeRange => ({ kind: "absolute", from: Date.parse(from), to: Date.parse(to) });

describe("the written form", () => {
  it("reads back as the same range", () => {
    fc.assert(
      fc.property(anyRange, (range) => {
        expect(parseRange(formatRange(range))).toEqual(range);
      }),
    );
  });
  it.each([
    [relative(25 * 60_000), "25m"],
    [relative(86_400_000), "24h"],
    [relative(7 * 86_400_000), "7d"],
    [between("2026-11-20T10:00Z", "2026-11-20T11:30Z"), "2026-11-20T10:00Z..11:30Z"],
    [between("2026-11-20T10:00:05Z", "2026-11-21T11:30:00.250Z"), "2026-11-20T10:00:05Z..2026-11-21T11:30:00.250Z"],
  ])("%o is %s", (range, text) => expect(formatRange(range)).toBe(text));
  it.each(["", "0m", "91d", "1y", "abc", "2026-11-20T10:00Z", "2026-11-20T11:00Z..10:00Z", "..", "a..b"])("refuses %s", (text) =>
    expect(parseRange(text)).toBeNull(),
  );
});

describe("what people type", () => {
  it.each([
    ["25m", relative(25 * 60_000)],
    [" Last 2 h ", relative(7_200_000)],
    ["yesterday", { kind: "named", name: "yesterday" } as TimeRange],
    ["2026-11-20 14:00 to 15:30", between("2026-11-20T14:00Z", "2026-11-20T15:30Z")],
    ["2026-11-20 23:00 – 2026-11-21 01:00", between("2026-11-20T23:00Z", "2026-11-21T01:00Z")],
    ["https://grafana/d/x?from=1700000000000&to=1700003600000", { kind: "absolute", from: 1_700_000_000_000, to: 1_700_003_600_000 } as TimeRange],
  ])("%s", (text, range) => expect(parseTyped(text)).toEqual(range));
  it("says no to nonsense", () => expect(parseTyped("soon")).toBeNull());
});

describe("as API parameters", () => {
  it("leaves a relative range to the server's clock", () => expect(rangeParams(relative(3_600_000), NOW)).toEqual({ range: "1h" }));
  it("writes instants for the rest", () =>
    expect(rangeParams({ kind: "named", name: "yesterday" }, NOW)).toEqual({
      from: String(Date.UTC(2026, 10, 19)),
      to: String(Date.UTC(2026, 10, 20)),
    }));
});

it("zooming keeps the middle of a fixed range and the end of a moving one", () => {
  const fixed = zoomed(between("2026-11-20T10:00Z", "2026-11-20T12:00Z"), 0.5, NOW);
  expect(fixed).toEqual(between("2026-11-20T10:30Z", "2026-11-20T11:30Z"));
  expect(bounds(zoomed(relative(3_600_000), 2, NOW), NOW)).toEqual({ from: NOW - 7_200_000, to: NOW });
});
