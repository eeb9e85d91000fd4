import { describe, expect, it } from "vitest";
import * as fmt from "../lib/fmt.ts";
import { lonePoints } from "./draw.ts";
import { describe as sentence, isComplete, largest, linearTicks, logTicks, stackTotals, timeTicks, type ChartModel } from "./model.ts";
import { sparkPath } from "./Sparkline.tsx";
import { timeLabel, timeStep, timeTicksBetween } from "./time-axis.ts";

const T0 = Date.UTC(2026, 10, 20, 14, 0);
const model = (over: Partial<ChartModel>): ChartModel => ({
  kind: "lines",
  title: "TTFT",
  unit: "ms",
  format: fmt.duration,
  t0: T0,
  step: 60_000,
  completeUntil: T0 + 150_000,
  lines: [{ key: "p95", label: "p95", color: "--s1", values: [420, null, 1900] }],
  resting: {},
  isTime: true,
  ...over,
});

describe("ticks", () => {
  it.each([
    [0, false, [0, 0.25, 0.5, 0.75, 1]],
    [7.2, false, [0, 2, 4, 6, 8]],
    [1000, false, [0, 250, 500, 750, 1000]],
    [3, true, [0, 1, 2, 3]],
    [1, true, [0, 1]],
    [62, true, [0, 20, 40, 60, 80]],
  ])("up to %d (whole %s)", (top, whole, ticks) => expect(linearTicks(top, whole)).toEqual(ticks));
  it("counts long times in minutes", () => expect(timeTicks(70_000)).toEqual([0, 30_000, 60_000, 90_000]));
  it.each([
    [120, 900, [100, 200, 500, 1000]],
    [3, 60_000, [1, 10, 100, 1000, 10_000, 100_000]],
  ])("log from %d to %d", (low, top, ticks) => expect(logTicks(low, top)).toEqual(ticks));
  it("always encloses the values", () => {
    for (const top of [0.3, 1, 9.99, 10, 1234, 5e9]) {
      expect(linearTicks(top, false).at(-1)).toBeGreaterThanOrEqual(top);
      expect(logTicks(top / 50, top).at(-1)).toBeGreaterThanOrEqual(top);
      expect(logTicks(top / 50, top)[0]).toBeLessThanOrEqual(top / 50);
    }
  });
});

describe("the time axis", () => {
  it("stands on round moments", () => {
    expect(timeStep(3_600_000, 330, 64)).toBe(900_000);
    expect(timeTicksBetween(T0 + 1, T0 + 1_900_000, 900_000)).toEqual([T0 + 900_000, T0 + 1_800_000]);
  });
  it("names the day at midnight", () => {
    const midnight = Date.UTC(2026, 10, 21);
    expect(timeLabel(midnight, 3_600_000)).toBe("21 Nov");
    expect(timeLabel(midnight + 3_600_000, 3_600_000)).toBe("01:00");
    expect(timeLabel(T0 + 5_000, 5_000)).toBe("14:00:05");
  });
});

describe("buckets", () => {
  it("knows the one that is still filling", () => {
    expect([0, 1, 2].map((at) => isComplete(model({}), at))).toEqual([true, true, false]);
  });
  it("stacks bars", () => {
    const lines = [
      { key: "a", label: "a", color: "--s1", values: [1, 2, null] },
      { key: "b", label: "b", color: "--s2", values: [3, 0, 4] },
    ];
    expect(stackTotals(lines)).toEqual([4, 2, 4]);
    expect(largest(model({ kind: "bars", lines }), lines)).toBe(4);
  });
  it("finds values without neighbours, which a line cannot show", () => {
    expect(lonePoints([1, null, 2, 3, null, 4])).toEqual([0, 5]);
  });
  it("leaves a gap in a sparkline where nothing is known", () => {
    expect(sparkPath([1, 2, null, 2], 2).match(/M/g)).toHaveLength(2);
    expect(sparkPath([], 0)).toBe("");
  });
});

describe("in words", () => {
  it("tells range and peak of lines", () => {
    expect(sentence(model({})).replaceAll(fmt.THIN, " ")).toBe("TTFT: p95 420 ms to 1.90 s, peak 14:02:00.");
  });
  it("tells sums and peak of bars", () => {
    const bars = model({ kind: "bars", title: "Traffic", lines: [{ key: "ok", label: "ok", color: "--s1", values: [1, 5, 0] }] });
    expect(sentence(bars).replaceAll(fmt.THIN, " ")).toBe("Traffic: 6 ok. Most at 14:01:00 with 5 in 1 min.");
  });
  it("says when there is nothing", () => {
    expect(sentence(model({ lines: [{ key: "p", label: "p", color: "--s1", values: [null] }] }))).toBe("TTFT: no traffic in this range.");
  });
});
