import { describe, expect, it } from "vitest";
import { fakePipeline, fakeSystem } from "../testing/fake-api.ts";
import type { SystemState } from "./api-types.ts";
import { pipelineVerdict, proxiesVerdict, storageVerdict, streamVerdict, worst } from "./health.ts";

const well = () => fakeSystem([], 1_700_000_000_000);
const stream = (over: Partial<NonNullable<SystemState["stream"]>>): SystemState => ({ ...well(), stream: { ...well().stream!, ...over } });

describe("the verdicts", () => {
  it("are ok when all is well", () => {
    expect(worst(well())).toEqual({ grade: "ok", word: "ok" });
  });

  it.each([
    [stream({ lag_seconds: 31 }), "warn", "behind"],
    [stream({ dead_letters: 2 }), "warn", "dead letters"],
    [stream({ consumers: 0 }), "warn", "nobody reads"],
    [{ ...well(), stream: null, stream_error: "refused" }, "bad", "Redis away"],
  ] as const)("name trouble of the stream %#", (state, grade, word) => {
    expect(streamVerdict(state)).toMatchObject({ grade, word });
    expect(worst(state).grade).toBe(grade);
  });

  it("name trouble of proxies and store", () => {
    const [first, second] = well().proxies!;
    expect(proxiesVerdict({ ...well(), proxies: [] }).word).toBe("none reports");
    expect(proxiesVerdict({ ...well(), proxies: [first!, { ...second!, dropped: 3 }] })).toMatchObject({ grade: "bad", word: "records dropped" });
    expect(proxiesVerdict({ ...well(), proxies: [{ ...first!, age_ms: 9_000 }] }).why).toContain("gpu-box-1");
    expect(storageVerdict({ ...well(), storage: null, storage_error: "locked" }).why).toContain("locked");
  });
});

describe("the reconciliation", () => {
  const missing = (unaccounted: number | null, unknown = {}) => {
    const report = fakePipeline([], 1_700_000_000_000);
    return pipelineVerdict({ ...report, total: { ...report.total, unaccounted }, unknown });
  };

  it("is calm at 0, alarms at 1 and does not take unknown for either", () => {
    expect(missing(0)).toEqual({ grade: "ok", word: "all accounted for" });
    expect(missing(1)).toMatchObject({ grade: "bad", word: "1 unaccounted for" });
    expect(missing(12_000).word).toBe("12,000 unaccounted for");
    expect(missing(null, { unaccounted: "Redis does not answer: refused" })).toMatchObject({ grade: "warn", why: "Redis does not answer: refused" });
  });
});
