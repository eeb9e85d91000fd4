/** The one time range of the product: how it is written in the URL, typed by people and sent to the API. */

export type TimeRange =
  | { kind: "relative"; ms: number }
  | { kind: "named"; name: "today" | "yesterday" }
  | { kind: "absolute"; from: number; to: number };

export const PRESETS = ["15m", "1h", "6h", "24h", "7d", "30d"] as const;
export const DEFAULT_RANGE: TimeRange = { kind: "relative", ms: 3_600_000 };

const MINUTE = 60_000;
const UNIT_MS: Record<string, number> = { m: MINUTE, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };
const LONGEST = 90 * 86_400_000;

/** "25m", "1h": the largest unit that divides it, but 24h stays 24h as the presets say it. */
export function formatLength(ms: number): string {
  if (ms % 86_400_000 === 0 && ms !== 86_400_000) return `${ms / 86_400_000}d`;
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  return `${Math.round(ms / MINUTE)}m`;
}

export function parseLength(text: string): number | null {
  const match = /^(\d{1,6})\s*(m|min|h|d|w)$/i.exec(text.trim());
  if (!match) return null;
  const ms = Number(match[1]) * (UNIT_MS[match[2]!.toLowerCase().charAt(0)] ?? 0);
  return ms >= MINUTE && ms <= LONGEST ? ms : null;
}

function formatInstant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.000Z$/, "Z").replace(/:00Z$/, "Z");
}

/** The value of `t` in the URL. The second instant drops its day when it is the first one's. */
export function formatRange(range: TimeRange): string {
  if (range.kind === "relative") return formatLength(range.ms);
  if (range.kind === "named") return range.name;
  const from = formatInstant(range.from);
  const to = formatInstant(range.to);
  return `${from}..${from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to}`;
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z$/;
const CLOCK = /^\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z$/;

export function parseRange(text: string): TimeRange | null {
  if (text === "today" || text === "yesterday") return { kind: "named", name: text };
  const ms = parseLength(text);
  if (ms !== null) return { kind: "relative", ms };
  const [first, second, ...rest] = text.split("..");
  if (!first || !second || rest.length > 0 || !INSTANT.test(first)) return null;
  const end = CLOCK.test(second) ? `${first.slice(0, 11)}${second}` : second;
  if (!INSTANT.test(end)) return null;
  return absolute(Date.parse(first), Date.parse(end));
}

function absolute(from: number, to: number): TimeRange | null {
  return Number.isFinite(from) && Number.isFinite(to) && from < to ? { kind: "absolute", from, to } : null;
}

/** What a person types or pastes: also "2026-11-20 14:00 to 15:30" (local time) and a link with from= and to=. */
export function parseTyped(text: string): TimeRange | null {
  const typed = text.trim().replace(/^last\s+/i, "");
  const direct = parseRange(typed.replace(/\s+/g, "").toLowerCase()) ?? parseRange(typed);
  if (direct) return direct;
  const pasted = /from=(\d{10,13})\b.*?to=(\d{10,13})\b/.exec(typed);
  if (pasted) return absolute(unixMs(pasted[1]!), unixMs(pasted[2]!));
  const spoken =
    /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}(?::\d{2})?)\s*(?:to|–|-|\.\.)\s*(?:(\d{4}-\d{2}-\d{2})[ T])?(\d{2}:\d{2}(?::\d{2})?)$/.exec(
      typed,
    );
  if (!spoken) return null;
  const [, day, start, endDay, end] = spoken;
  return absolute(Date.parse(`${day}T${start}`), Date.parse(`${endDay ?? day}T${end}`));
}

const unixMs = (digits: string): number => Number(digits) * (digits.length <= 10 ? 1000 : 1);

function midnight(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0);
}

/** The instants a range means at `now`, Unix ms. */
export function bounds(range: TimeRange, now: number): { from: number; to: number } {
  if (range.kind === "absolute") return { from: range.from, to: range.to };
  if (range.kind === "relative") return { from: now - range.ms, to: now };
  const today = midnight(now);
  if (range.name === "today") return { from: today, to: Math.max(now, today + MINUTE) };
  return { from: new Date(today).setDate(new Date(today).getDate() - 1), to: today };
}

/** Does the end of the range move with the clock? Only then can it be live. */
export const isMoving = (range: TimeRange): boolean =>
  range.kind === "relative" || (range.kind === "named" && range.name === "today");

/** As API parameters: a relative range stays relative, so that the server's clock decides. */
export function rangeParams(range: TimeRange, now: number): Record<string, string> {
  if (range.kind === "relative") return { range: formatLength(range.ms) };
  const { from, to } = bounds(range, now);
  return { from: String(Math.floor(from)), to: String(Math.ceil(to)) };
}

/** Half as long or twice as long around the same middle (relative ranges keep their end). */
export function zoomed(range: TimeRange, factor: number, now: number): TimeRange {
  if (range.kind === "relative") {
    const ms = Math.round((range.ms * factor) / MINUTE) * MINUTE;
    return { kind: "relative", ms: Math.min(LONGEST, Math.max(MINUTE, ms)) };
  }
  const { from, to } = bounds(range, now);
  const half = Math.min(LONGEST / 2, Math.max(5_000, ((to - from) * factor) / 2));
  const middle = (from + to) / 2;
  return { kind: "absolute", from: Math.round(middle - half), to: Math.round(middle + half) };
}

/** The range moved by half its own length; −1 is back in time. */
export function panned(range: TimeRange, direction: -1 | 1, now: number): TimeRange {
  const { from, to } = bounds(range, now);
  const shift = ((to - from) / 2) * direction;
  return { kind: "absolute", from: Math.round(from + shift), to: Math.round(to + shift) };
}
