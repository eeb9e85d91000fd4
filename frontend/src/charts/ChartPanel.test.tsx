import { fireEvent, render, screen } from "@testing-library/preact";
import { expect, it, vi } from "vitest";
import * as fmt from "../lib/fmt.ts";
import { ChartPanel } from "./ChartPanel.tsx";
import type { ChartModel } from "./model.ts";

const T0 = Date.UTC(2026, 10, 20, 14, 0);
const MINUTE = 60_000;

function model(t0: number, values: (number | null)[]): ChartModel {
  const lines = [{ key: "ok", label: "ok", color: "--s1", values }];
  return { kind: "bars", title: "Traffic", unit: "requests", format: fmt.count, t0, step: MINUTE, completeUntil: t0 + 9 * MINUTE, lines, resting: {}, isTime: false };
}

function panel(shown: ChartModel, onDrill: (from: number, to: number) => void) {
  return <ChartPanel id="traffic" model={shown} logSwitch={false} onDrill={onDrill} onZoom={() => undefined} onZoomBack={() => undefined} />;
}

it("keeps the keyboard's cursor on its time while the range moves on", () => {
  const onDrill = vi.fn<(from: number, to: number) => void>();
  const { rerender } = render(panel(model(T0, [0, 5, 0]), onDrill));
  const figure = screen.getByRole("figure");
  figure.focus();
  fireEvent.keyDown(figure, { key: "End" });
  fireEvent.keyDown(figure, { key: "ArrowLeft" });
  expect(figure.textContent).toContain("ok 5");

  rerender(panel(model(T0 + MINUTE, [5, 0, 7]), onDrill));
  expect(figure.textContent).toContain("ok 5");
  fireEvent.keyDown(figure, { key: "Enter" });
  expect(onDrill).toHaveBeenLastCalledWith(T0 + MINUTE, T0 + 2 * MINUTE, null);

  rerender(panel(model(T0 + 2 * MINUTE, [0, 7, 0]), onDrill));
  expect(figure.textContent).not.toContain("ok");
  fireEvent.keyDown(figure, { key: "Enter" });
  expect(onDrill).toHaveBeenCalledTimes(1);
});
