import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyFilter, anyRange } from "../testing/arbitraries.ts";
import { decode, DEFAULT_STATE, encode, href, type UrlState } from "./url-state.ts";

const someText = fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" });
const anyState: fc.Arbitrary<UrlState> = fc.record({
  range: anyRange,
  live: fc.boolean(),
  filter: anyFilter,
  problems: fc.constant([]),
  sort: fc.option(someText),
  id: fc.option(someText),
  rest: fc.array(fc.tuple(someText.filter((key) => !["t", "live", "q", "s", "id"].includes(key)), fc.string()), { maxLength: 3 }),
  badRange: fc.constant(null),
});

describe("the URL", () => {
  it("holds any state", () => {
    fc.assert(
      fc.property(anyState, (state) => {
        expect(decode(encode(state))).toEqual(state);
      }),
      { numRuns: 1_000 },
    );
  });
  it("does not write defaults", () => {
    expect(encode(DEFAULT_STATE)).toBe("");
    expect(href("/requests", DEFAULT_STATE)).toBe("/requests");
    expect(decode("")).toEqual(DEFAULT_STATE);
  });
  it("stays readable", () => {
    const state = { ...DEFAULT_STATE, filter: { model: ["llama3.1:8b"], outcome: ["completed"] }, live: false };
    expect(encode(state)).toBe("live=0&q=model:llama3.1:8b+outcome:completed");
  });
  it("keeps parameters that are not its own", () => expect(encode(decode("?utm=x&t=6h"))).toBe("t=6h&utm=x"));
  it("accepts live=1, which is the default", () => expect(decode("?live=1")).toEqual(DEFAULT_STATE));
  it("keeps and names what it cannot read", () => {
    const state = decode("?t=soon&q=model:x+foo:bar");
    expect(state.badRange).toBe("soon");
    expect(state.range).toEqual(DEFAULT_STATE.range);
    expect(state.filter).toEqual({ model: ["x"] });
    expect(state.problems.map((problem) => problem.clause)).toEqual(["foo:bar"]);
    expect(encode(state)).toBe("q=model:x+foo:bar");
  });
});
