import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeBrowser } from "../testing/fake-live.ts";
import type { LiveMessage, MetricSnapshot } from "./api-types.ts";
import { LiveStream } from "./live-stream.ts";

/** The stream passes a snapshot on without looking into it. */
const snapshot = { timestamp: 5_000, variant: "production", req_rate: 1 } as MetricSnapshot;
const bucket: LiveMessage = { type: "metrics", data: snapshot };

function tab(browser: FakeBrowser, shared = true) {
  const stream = new LiveStream(browser.tab(shared));
  const heard: LiveMessage[] = [];
  stream.subscribe((message) => heard.push(message));
  stream.start();
  return { stream, heard };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("one connection for all tabs", () => {
  it("is read by the first tab and heard by every one", async () => {
    const browser = new FakeBrowser();
    const tabs = [tab(browser), tab(browser), tab(browser)];
    await settle();
    expect(browser.sources).toHaveLength(1);
    browser.sources[0]!.say(bucket, "1-0");
    for (const { heard, stream } of tabs) {
      expect(heard).toEqual([bucket]);
      expect(stream.status().phase).toBe("open");
    }
  });

  it("tells a tab that joins later how things stand", async () => {
    const browser = new FakeBrowser();
    tab(browser);
    await settle();
    browser.sources[0]!.say(bucket);
    const late = tab(browser);
    await settle();
    expect(late.stream.status().phase).toBe("open");
  });

  it("is taken over from the last id when the reading tab lets go", async () => {
    const browser = new FakeBrowser();
    const first = tab(browser);
    const second = tab(browser);
    await settle();
    browser.sources[0]!.say(bucket, "7-0");
    first.stream.stop();
    await settle();
    expect(browser.open).toHaveLength(1);
    expect(browser.open[0]!.url).toContain("last_event_id=7-0");
    browser.open[0]!.say(bucket, "8-0");
    expect(second.heard).toHaveLength(2);
    expect(first.heard).toHaveLength(1);
    expect(first.stream.status().phase).toBe("off");
  });
});

describe("without Web Locks", () => {
  it("each tab reads its own", () => {
    const browser = new FakeBrowser();
    tab(browser, false);
    tab(browser, false);
    expect(browser.open).toHaveLength(2);
  });
});

describe("a lost connection", () => {
  it("is opened again from the last id, each time a little later, and says since when", async () => {
    const browser = new FakeBrowser();
    const { stream } = tab(browser, false);
    browser.sources[0]!.say(bucket, "3-0");
    const until = stream.status().lastMessageAt;
    browser.sources[0]!.break();
    expect(stream.status()).toEqual({ phase: "reconnecting", lastMessageAt: until });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(browser.sources).toHaveLength(2);
    expect(browser.sources[1]!.url).toContain("last_event_id=3-0");
    browser.sources[1]!.break();
    await vi.advanceTimersByTimeAsync(1_900);
    expect(browser.sources).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(100);
    expect(browser.sources).toHaveLength(3);
    browser.sources[2]!.say(bucket);
    expect(stream.status().phase).toBe("open");
  });

  it("is noticed by its silence", async () => {
    const browser = new FakeBrowser();
    const { stream } = tab(browser, false);
    browser.sources[0]!.say(bucket);
    await vi.advanceTimersByTimeAsync(45_000);
    expect(stream.status().phase).toBe("reconnecting");
    expect(browser.sources[0]!.closed).toBe(true);
  });

  it("stays away once it was stopped", async () => {
    const browser = new FakeBrowser();
    const { stream } = tab(browser, false);
    browser.sources[0]!.break();
    stream.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(browser.open).toHaveLength(0);
  });
});
