import { describe, expect, it } from "vitest";
import * as fmt from "./fmt.ts";

const plain = (text: string | null) => text?.replaceAll(fmt.THIN, " ") ?? null;

function table<T>(name: string, write: (value: T) => string | null, rows: readonly (readonly [T, string | null])[]): void {
  describe(name, () => {
    it.each(rows)("%s is written %s", (value, text) => expect(plain(write(value))).toBe(text));
  });
}

type Maybe = number | null | undefined;

table<Maybe>("count", fmt.count, [
  [0, "0"], [7, "7"], [9412, "9,412"], [9999, "9,999"], [10_000, "10.0 k"], [12_400, "12.4 k"], [999_499, "999 k"],
  [999_500, "1.00 M"], [1_240_000, "1.24 M"], [1e9, "1.00 B"], [3.2e12, "3.20 T"], [-3, "−3"],
  [null, "–"], [undefined, "–"], [Number.NaN, "–"], [Infinity, "–"],
]);
table<Maybe>("rate", fmt.rate, [
  [0, "0"], [0.001, "< 0.01"], [0.02, "0.02"], [1.345, "1.35"], [9.996, "10.0"], [42.13, "42.1"], [211.4, "211"], [3240, "3.24 k"], [null, "–"],
]);
table<Maybe>("duration", fmt.duration, [
  [0, "0 ms"], [0.01, "< 0.1 ms"], [0.42, "0.4 ms"], [9.94, "9.9 ms"], [9.96, "10 ms"], [612.4, "612 ms"], [999.4, "999 ms"],
  [999.6, "1.00 s"], [2060, "2.06 s"], [9996, "10.0 s"], [12_400, "12.4 s"], [59_960, "1 min"], [200_000, "3 min 20 s"],
  [3_600_000, "1 h"], [3_900_000, "1 h 5 min"], [null, "–"],
]);
table<Maybe>("percent", fmt.percent, [
  [0, "0 %"], [0.04, "< 0.1 %"], [0.5, "0.5 %"], [6.1, "6.1 %"], [99.96, "> 99.9 %"], [100, "100 %"], [null, "–"],
]);
table<Maybe>("money", fmt.money, [
  [0, "$0"], [0.00002, "< $0.0001"], [0.0003, "$0.0003"], [0.0421, "$0.042"], [1.836, "$1.84"], [12.4, "$12.40"], [1234, "$1.23 k"], [null, "–"],
]);
table<Maybe>("bytes", fmt.bytes, [[0, "0 B"], [999, "999 B"], [1530, "1.53 kB"], [3_100_000_000, "3.10 GB"], [null, "–"]]);
table<number>("span", fmt.span, [[5000, "5 s"], [60_000, "1 min"], [300_000, "5 min"], [3_600_000, "1 h"], [86_400_000, "1 d"]]);
table<string>("axis", fmt.axis, [["6.00 s", "6 s"], ["2.50 s", "2.5 s"], ["0.05 s", "0.05 s"], ["500 ms", "500 ms"], ["100 k", "100 k"], ["1.00 k", "1 k"]]);
table<[Maybe, Maybe]>("change", ([now, before]) => fmt.change(now, before), [
  [[112, 100], "+12 %"], [[88, 100], "−12 %"], [[100.2, 100], "±0 %"], [[50, 1], "× 50.0"], [[1, 0], null], [[null, 1], null], [[1, null], null],
]);
table<[Maybe, Maybe]>("points", ([now, before]) => fmt.points(now, before), [
  [[0.8, 0.5], "+0.3 pp"], [[0.5, 0.8], "−0.3 pp"], [[0.5, 0.51], "±0 pp"], [[null, 0.5], null],
]);

describe("times", () => {
  const at = Date.UTC(2026, 10, 20, 14, 5, 10, 42);
  it("shows the clock in three precisions", () => {
    expect(fmt.timeOfDay(at, "minute")).toBe("14:05");
    expect(fmt.timeOfDay(at)).toBe("14:05:10");
    expect(fmt.timeOfDay(at, "milli")).toBe("14:05:10.042");
  });
  it("names the zone in full times", () => expect(fmt.fullTime(at)).toMatch(/20 Nov 2026.*14:05:10\.042 UTC/));
  it.each([[3_000, "3 s ago"], [180_000, "3 min ago"], [10_800_000, "3 h ago"], [172_800_000, "2 d ago"], [-500, "0 s ago"]])(
    "%d ms before now is %s",
    (before, text) => expect(plain(fmt.ago(at - before, at))).toBe(text),
  );
});
