import { expect, it } from "vitest";
import { fakeRequest } from "../testing/fake-traffic.ts";
import { ROW_HEIGHT, rowWindow, scrollToRow } from "./row-window.ts";
import { merged } from "./rows.ts";

const row = (request_id: string, started_at: number) => fakeRequest({ request_id, started_at });

it("merges lists newest first, without doubles, ties by id", () => {
  const list = merged([row("b", 2), row("d", 4)], [row("a", 2), row("b", 2), row("c", 3)]);
  expect(list.map(({ request_id }) => request_id)).toEqual(["d", "c", "b", "a"]);
  expect(merged(list, [], 2)).toHaveLength(2);
});

it("renders only what is in view", () => {
  const view = rowWindow(1_000, 3_200, 640);
  expect(view).toEqual({ first: 92, end: 128, offset: 92 * ROW_HEIGHT, height: 32_000 });
  expect(rowWindow(3, 0, 640)).toMatchObject({ first: 0, end: 3, height: 96 });
  expect(rowWindow(0, 0, 640)).toMatchObject({ first: 0, end: 0, height: 0 });
});

it("reaches the millionth row although no element can be that tall", () => {
  const bottom = rowWindow(1_000_000, Number.MAX_SAFE_INTEGER, 640);
  expect(bottom.end).toBe(1_000_000);
  expect(bottom.height).toBeLessThan(16_000_000);
  const last = (1_000_000 - bottom.first) * ROW_HEIGHT + bottom.offset;
  expect(last).toBeCloseTo(bottom.height, 3);
});

it("scrolls to a row only when it is out of view", () => {
  expect(scrollToRow(5, 100, 0, 640)).toBeNull();
  expect(scrollToRow(50, 100, 0, 640)).toBe(51 * ROW_HEIGHT - 640);
  expect(scrollToRow(2, 100, 640, 640)).toBe(64);
});
