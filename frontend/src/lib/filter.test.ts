import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyFilter } from "../testing/arbitraries.ts";
import { fakeRequest } from "../testing/fake-traffic.ts";
import type { RequestRecord } from "./api-types.ts";
import { filterParams, formatFilter, matches, parseFilter, toggled, without, type Filter } from "./filter.ts";

describe("the grammar", () => {
  it("reads back whatever it wrote", () => {
    fc.assert(
      fc.property(anyFilter, (filter) => {
        const read = parseFilter(formatFilter(filter));
        expect(read.problems).toEqual([]);
        expect(read.filter).toEqual(filter);
      }),
    );
  });
  it("never throws", () => {
    fc.assert(fc.property(fc.string(), (text) => {
        expect(parseFilter(text)).toHaveProperty("problems");
      }));
  });
  it.each<[string, Filter]>([
    ["", {}],
    ["model:llama3.1:8b", { model: ["llama3.1:8b"] }],
    ["outcome:(timeout OR truncated)  variant:canary", { outcome: ["timeout", "truncated"], variant: ["canary"] }],
    ['user:"J. \\"Q\\" Doe"', { user: ['J. "Q" Doe'] }],
    ["key:ci", { api_key_id: ["ci"] }],
    ["model:a model:b", { model: ["a", "b"] }],
    ["model:(a OR a)", { model: ["a"] }],
  ])("%s", (text, filter) => expect(parseFilter(text)).toEqual({ filter, problems: [] }));
  it.each<[string, number, string]>([
    ["foo:bar", 0, "unknown key foo"],
    ["model:x llama", 8, "write key:value"],
    ["model:", 6, "a value is missing"],
    ["model:(a b)", 9, "write OR"],
    ["model:(a OR", 11, "the bracket is not closed"],
    ['model:"a', 6, "the quote is not closed"],
    ["-model:x", 0, "not supported"],
  ])("%s is wrong at %d: %s", (text, at, words) => {
    const [problem] = parseFilter(text).problems;
    expect(problem?.at).toBe(at);
    expect(problem?.message).toContain(words);
  });
  it("applies the clauses that it did understand", () => expect(parseFilter("foo:bar model:x").filter).toEqual({ model: ["x"] }));
});

it("becomes API parameters, each a comma list", () =>
  expect(filterParams({ status: ["404", "5xx"], model: ["m"] })).toEqual({ model: "m", status: "404,5xx" }));

it("toggles values and drops a key with none", () => {
  expect(toggled({}, "model", "a")).toEqual({ model: ["a"] });
  expect(toggled({ model: ["a", "b"] }, "model", "a")).toEqual({ model: ["b"] });
  expect(toggled({ model: ["a"], user: ["u"] }, "model", "a")).toEqual({ user: ["u"] });
  expect(without({ model: ["a"] }, "model")).toEqual({});
});

/** The same table the server's filter obeys: which rows pass which filter. */
describe("which rows pass", () => {
  const row = fakeRequest({ model: "llama3", variant: null, user: "u-1", outcome: "timeout", status_code: 504, project: null });
  const silent: Partial<RequestRecord> = { status_code: null };
  it.each<[Filter, Partial<RequestRecord>, boolean]>([
    [{}, {}, true],
    [{ model: ["llama3"] }, {}, true],
    [{ model: ["llama"] }, {}, false],
    [{ model: ["x", "llama3"] }, {}, true],
    [{ model: ["llama3"], user: ["u-2"] }, {}, false],
    [{ variant: ["production"] }, {}, true],
    [{ variant: ["canary"] }, {}, false],
    [{ variant: ["all"] }, { variant: "canary" }, true],
    [{ outcome: ["timeout", "truncated"] }, {}, true],
    [{ status: ["504"] }, {}, true],
    [{ status: ["5xx"] }, {}, true],
    [{ status: ["4xx"] }, {}, false],
    [{ status: ["5xx"] }, silent, false],
    [{ project: ["p"] }, {}, false],
    [{ user: [] }, {}, true],
  ])("%o on %o: %s", (filter, over, passes) => expect(matches({ ...row, ...over }, filter)).toBe(passes));
});
