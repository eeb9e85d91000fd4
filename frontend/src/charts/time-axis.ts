/** Round moments of the viewer's own clock for the time axis. */
import * as fmt from "../lib/fmt.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [5, 10, 15, 30].map((n) => n * SECOND).concat(
  [1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  [1, 2, 3, 6, 12].map((n) => n * HOUR),
  [1, 2, 5, 10].map((n) => n * DAY),
);

/** The step that leaves at least `space` pixels between two labels. */
export function timeStep(length: number, width: number, space: number): number {
  const most = Math.max(1, Math.floor(width / space));
  return STEPS.find((step) => length / step <= most) ?? 30 * DAY;
}

export function timeTicksBetween(from: number, to: number, step: number): number[] {
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  const ticks: number[] = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) ticks.push(at);
  return ticks;
}

export function timeLabel(at: number, step: number): string {
  const moment = new Date(at);
  if (step < MINUTE) return fmt.timeOfDay(at);
  const midnight = moment.getHours() === 0 && moment.getMinutes() === 0;
  return step >= DAY || midnight ? fmt.day(at) : fmt.timeOfDay(at, "minute");
}
