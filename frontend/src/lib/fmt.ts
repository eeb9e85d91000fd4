/** Numbers, durations, money and times as text. Intl only; unknown is a dash, never a zero. */

export const THIN = "\u2009";
export const UNKNOWN = "–";
type Maybe = number | null | undefined;

const isKnown = (value: Maybe): value is number => typeof value === "number" && Number.isFinite(value);

const fixedCache = new Map<number, Intl.NumberFormat>();
function fixed(value: number, digits: number): string {
  let format = fixedCache.get(digits);
  if (!format) {
    format = new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    fixedCache.set(digits, format);
  }
  return format.format(value === 0 ? 0 : value).replace("-", "−");
}

/** Three significant digits: 1.24, 12.4, 124. The digits are chosen after rounding, so 9.996 is 10.0. */
function three(value: number): string {
  const size = Math.abs(value);
  if (size < 9.995) return fixed(value, 2);
  if (size < 99.95) return fixed(value, 1);
  return fixed(value, 0);
}

const STEPS: readonly (readonly [number, string])[] = [
  [1e3, "k"],
  [1e6, "M"],
  [1e9, "B"],
  [1e12, "T"],
];

function compact(value: number): string {
  const size = Math.abs(value);
  let [unit, suffix] = STEPS[0]!;
  for (const [next, name] of STEPS) {
    if (size >= next * 0.9995) [unit, suffix] = [next, name];
  }
  return `${three(value / unit)}${THIN}${suffix}`;
}

/** A count of things: exact below ten thousand, then three digits and a unit. */
export function count(value: Maybe): string {
  if (!isKnown(value)) return UNKNOWN;
  return Math.abs(value) < 9999.5 ? fixed(value, 0) : compact(value);
}

/** A count in full, for hovers and tables. */
export function exact(value: Maybe): string {
  return isKnown(value) ? fixed(value, Number.isInteger(value) ? 0 : 2) : UNKNOWN;
}

/** Something per second. */
export function rate(value: Maybe): string {
  if (!isKnown(value)) return UNKNOWN;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.005) return `<${THIN}0.01`;
  if (size < 999.5) return three(value);
  return compact(value);
}

/** [number, unit] of a duration in milliseconds, so that tiles can set the unit smaller. */
export function durationParts(value: Maybe): [string, string] {
  if (!isKnown(value)) return [UNKNOWN, ""];
  if (value === 0) return ["0", "ms"];
  if (value < 0.05) return [`<${THIN}0.1`, "ms"];
  if (value < 9.95) return [fixed(value, 1), "ms"];
  if (value < 999.5) return [fixed(value, 0), "ms"];
  const seconds = value / 1000;
  if (seconds < 9.995) return [fixed(seconds, 2), "s"];
  if (seconds < 59.95) return [fixed(seconds, 1), "s"];
  const whole = Math.round(seconds);
  if (whole < 3600 && whole % 60 === 0) return [String(whole / 60), "min"];
  if (whole < 3600) return [`${Math.floor(whole / 60)}${THIN}min ${whole % 60}`, "s"];
  const minutes = Math.round(seconds / 60);
  if (minutes % 60 === 0) return [String(minutes / 60), "h"];
  return [`${Math.floor(minutes / 60)}${THIN}h ${minutes % 60}`, "min"];
}

export function duration(value: Maybe): string {
  const [number, unit] = durationParts(value);
  return unit ? `${number}${THIN}${unit}` : number;
}

export function percent(value: Maybe): string {
  if (!isKnown(value)) return UNKNOWN;
  if (value === 0) return `0${THIN}%`;
  if (value > 0 && value < 0.1) return `<${THIN}0.1${THIN}%`;
  if (value > 99.9 && value < 100) return `>${THIN}99.9${THIN}%`;
  return `${fixed(value, value === 100 ? 0 : 1)}${THIN}%`;
}

/** US dollars with as many digits as it takes not to round a real cost to nothing. */
export function money(value: Maybe): string {
  if (!isKnown(value)) return UNKNOWN;
  if (value === 0) return "$0";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size < 0.0001) return `${sign}<${THIN}$0.0001`;
  if (size < 0.00995) return `${sign}$${fixed(size, 4)}`;
  if (size < 0.0995) return `${sign}$${fixed(size, 3)}`;
  if (size < 999.5) return `${sign}$${fixed(size, 2)}`;
  return `${sign}$${compact(size)}`;
}

export function bytes(value: Maybe): string {
  if (!isKnown(value)) return UNKNOWN;
  if (value < 999.5) return `${fixed(value, 0)}${THIN}B`;
  const units = ["kB", "MB", "GB", "TB"];
  let scaled = value / 1000;
  let step = 0;
  while (scaled >= 999.5 && step < units.length - 1) {
    scaled /= 1000;
    step += 1;
  }
  return `${three(scaled)}${THIN}${units[step]}`;
}

/** A label of an axis: the same text without zeros that say nothing, "6 s" for "6.00 s". */
export function axis(text: string): string {
  return text.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
}

/** Relative change in percent, signed: "+12 %". Null when there is nothing to compare with. */
export function change(now: Maybe, before: Maybe): string | null {
  if (!isKnown(now) || !isKnown(before) || before === 0) return null;
  const pct = ((now - before) / Math.abs(before)) * 100;
  if (Math.abs(pct) < 0.5) return `±0${THIN}%`;
  if (pct > 999) return `×${THIN}${three(now / before)}`;
  return `${pct > 0 ? "+" : ""}${fixed(pct, 0)}${THIN}%`;
}

/** Difference of two percentages in percentage points: "+0.3 pp". */
export function points(now: Maybe, before: Maybe): string | null {
  if (!isKnown(now) || !isKnown(before)) return null;
  const difference = now - before;
  if (Math.abs(difference) < 0.05) return `±0${THIN}pp`;
  return `${difference > 0 ? "+" : ""}${fixed(difference, 1)}${THIN}pp`;
}

const clockFormats = new Map<string, Intl.DateTimeFormat>();
function clock(key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  let format = clockFormats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options });
    clockFormats.set(key, format);
  }
  return format;
}

export function timeOfDay(ms: Maybe, precision: "minute" | "second" | "milli" = "second"): string {
  if (!isKnown(ms)) return UNKNOWN;
  const base: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
  if (precision === "minute") return clock("minute", base).format(ms);
  if (precision === "second") return clock("second", { ...base, second: "2-digit" }).format(ms);
  return clock("milli", { ...base, second: "2-digit", fractionalSecondDigits: 3 }).format(ms);
}

export function dayAndTime(ms: Maybe): string {
  if (!isKnown(ms)) return UNKNOWN;
  return clock("day", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(ms);
}

export function day(ms: Maybe): string {
  return isKnown(ms) ? clock("date", { day: "numeric", month: "short" }).format(ms) : UNKNOWN;
}

/** In full and with its zone, for hovers. */
export function fullTime(ms: Maybe): string {
  if (!isKnown(ms)) return UNKNOWN;
  return clock("full", {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    timeZoneName: "short",
  }).format(ms);
}

export function zoneName(): string {
  const parts = clock("zone", { timeZoneName: "short" }).formatToParts(Date.now());
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "UTC";
}

/** How long ago, in one unit: "3 h ago". */
export function ago(ms: Maybe, now: number): string {
  if (!isKnown(ms)) return UNKNOWN;
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 60) return `${seconds}${THIN}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${THIN}min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}${THIN}h ago`;
  return `${Math.floor(seconds / 86_400)}${THIN}d ago`;
}

/** A length of time in its largest whole unit: 10000 → "10 s", 300000 → "5 min". */
export function span(ms: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ];
  for (const [unit, name] of units) {
    if (ms >= unit && ms % unit === 0) return `${ms / unit}${THIN}${name}`;
  }
  return duration(ms);
}
