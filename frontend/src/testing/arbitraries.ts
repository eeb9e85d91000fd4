/** Arbitrary states for property tests. */
import fc from "fast-check";
import { FILTER_KEYS, type Filter } from "../lib/filter.ts";
import type { TimeRange } from "../lib/time-range.ts";

export const anyRange: fc.Arbitrary<TimeRange> = fc.oneof(
  fc.integer({ min: 1, max: 90 * 24 * 60 }).map((minutes): TimeRange => ({ kind: "relative", ms: minutes * 60_000 })),
  fc.constantFrom<TimeRange>({ kind: "named", name: "today" }, { kind: "named", name: "yesterday" }),
  fc
    .tuple(fc.integer({ min: 0, max: 4_000_000_000_000 }), fc.integer({ min: 1, max: 90 * 86_400_000 }))
    .map(([from, length]): TimeRange => ({ kind: "absolute", from, to: from + length })),
);

const anyValue = fc.string({ minLength: 1, maxLength: 20, unit: "binary" }).filter((text) => text.trim() === text && text !== "");
export const anyFilter: fc.Arbitrary<Filter> = fc
  .dictionary(fc.constantFrom(...FILTER_KEYS), fc.uniqueArray(anyValue, { minLength: 1, maxLength: 3 }))
  .map((filter) => ({ ...filter }));

