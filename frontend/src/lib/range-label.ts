import * as fmt from "./fmt.ts";
import { formatLength, type TimeRange } from "./time-range.ts";

/** A range as people say it: "Last 1 h", "20 Nov, 14:05 – 14:10". */
export function rangeLabel(range: TimeRange): string {
  if (range.kind === "relative") return `Last ${formatLength(range.ms).replace(/(\d+)/, `$1${fmt.THIN}`)}`;
  if (range.kind === "named") return range.name === "today" ? "Today" : "Yesterday";
  const sameDay = new Date(range.from).toDateString() === new Date(range.to).toDateString();
  const precise = range.to - range.from < 600_000;
  const clock = (ms: number) => fmt.timeOfDay(ms, precise ? "second" : "minute");
  return sameDay
    ? `${fmt.day(range.from)}, ${clock(range.from)} – ${clock(range.to)}`
    : `${fmt.dayAndTime(range.from)} – ${fmt.dayAndTime(range.to)}`;
}
