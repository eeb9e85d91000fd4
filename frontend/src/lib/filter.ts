/**
 * The filter language: `key:value` and `key:(a OR b)`, joined by spaces (AND).
 * The URL, the filter bar, the API parameters and the live rows all use this one reading of it.
 */
import type { RequestRecord } from "./api-types.ts";

export const FILTER_KEYS = [
  "model",
  "variant",
  "user",
  "outcome",
  "status",
  "project",
  "api_key_id",
  "upstream",
  "provider",
  "endpoint",
] as const;
export type FilterKey = (typeof FILTER_KEYS)[number];
export type Filter = Partial<Record<FilterKey, string[]>>;

export interface FilterProblem {
  /** Where in the text, for the caret. */
  at: number;
  /** The clause that was not understood and is not applied. */
  clause: string;
  message: string;
}

const ALIASES: Record<string, FilterKey> = { key: "api_key_id" };
const BARE = /^[^\s"()]+$/;

function quoted(value: string): string {
  return BARE.test(value) && value !== "OR" ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

export function formatClause(key: FilterKey, values: readonly string[]): string {
  return values.length === 1 ? `${key}:${quoted(values[0]!)}` : `${key}:(${values.map(quoted).join(" OR ")})`;
}

/** The canonical text: keys in their fixed order, so that equal filters have equal URLs. */
export function formatFilter(filter: Filter): string {
  return FILTER_KEYS.flatMap((key) => {
    const values = filter[key];
    return values && values.length > 0 ? [formatClause(key, values)] : [];
  }).join(" ");
}

export function isEmpty(filter: Filter): boolean {
  return FILTER_KEYS.every((key) => !filter[key]?.length);
}

/** Splits at spaces outside quotes and brackets. */
function clauses(text: string): { at: number; text: string }[] {
  const found: { at: number; text: string }[] = [];
  let start = -1;
  let depth = 0;
  let inQuotes = false;
  for (let at = 0; at <= text.length; at += 1) {
    const char = text[at];
    const ends = char === undefined || (/\s/.test(char) && depth === 0 && !inQuotes);
    if (ends) {
      if (start >= 0) found.push({ at: start, text: text.slice(start, at) });
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if (inQuotes && char === "\\") at += 1;
    else if (char === '"') inQuotes = !inQuotes;
    else if (char === "(" && !inQuotes) depth += 1;
    else if (char === ")" && !inQuotes) depth = Math.max(0, depth - 1);
  }
  return found;
}

const TOKEN = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"()]+))\s*/y;

/** The values of one clause, or what is wrong with them and where. */
function readValues(text: string): { values: string[] } | { wrong: string; at: number } {
  const group = text.startsWith("(");
  if (group && !text.endsWith(")")) return { wrong: "the bracket is not closed", at: text.length };
  const inner = group ? text.slice(1, -1) : text;
  const offset = group ? 1 : 0;
  const values: string[] = [];
  let expectValue = true;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < inner.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(inner);
    if (!match) return { wrong: inner[at] === '"' ? "the quote is not closed" : `unexpected ${inner[at]}`, at: at + offset };
    const [, inQuotes, bare] = match;
    if (!expectValue) {
      if (bare !== "OR") return { wrong: "write OR between two values", at: at + offset };
      expectValue = true;
      continue;
    }
    values.push(inQuotes === undefined ? bare! : inQuotes.replace(/\\(.)/g, "$1"));
    expectValue = false;
  }
  if (expectValue || values.includes("")) return { wrong: "a value is missing", at: text.length };
  return { values };
}

export function parseFilter(text: string): { filter: Filter; problems: FilterProblem[] } {
  const filter: Filter = {};
  const problems: FilterProblem[] = [];
  for (const clause of clauses(text)) {
    const colon = clause.text.indexOf(":");
    const name = clause.text.slice(0, Math.max(0, colon));
    const key = ALIASES[name] ?? FILTER_KEYS.find((known) => known === name);
    const fail = (message: string, offset = 0) =>
      problems.push({ at: clause.at + offset, clause: clause.text, message });
    if (colon < 0) fail(`write key:value, such as model:${clause.text}`);
    else if (name.startsWith("-")) fail("excluding with - is not supported yet");
    else if (!key) fail(`unknown key ${name || "(none)"}; known keys are ${FILTER_KEYS.join(", ")}`);
    else {
      const read = readValues(clause.text.slice(colon + 1));
      if ("wrong" in read) fail(read.wrong, colon + 1 + read.at);
      else filter[key] = [...new Set([...(filter[key] ?? []), ...read.values])];
    }
  }
  return { filter, problems };
}

/** As API parameters; each is a comma list. */
export function filterParams(filter: Filter): Record<string, string> {
  return Object.fromEntries(
    FILTER_KEYS.flatMap((key) => {
      const values = filter[key];
      return values?.length ? [[key, values.join(",")]] : [];
    }),
  );
}

/** The filter with one value switched on or off. */
export function toggled(filter: Filter, key: FilterKey, value: string): Filter {
  const values = filter[key] ?? [];
  const next = values.includes(value) ? values.filter((other) => other !== value) : [...values, value];
  return without({ ...filter, [key]: next }, next.length === 0 ? key : null);
}

export function without(filter: Filter, key: FilterKey | null): Filter {
  if (key === null) return filter;
  return Object.fromEntries(Object.entries(filter).filter(([other]) => other !== key));
}

function statusMatches(code: number | null, wanted: string): boolean {
  if (code === null) return false;
  return /^[1-5]xx$/i.test(wanted) ? Math.floor(code / 100) === Number(wanted[0]) : String(code) === wanted;
}

/** A record without a variant went to production. */
export const variantOf = (row: Pick<RequestRecord, "variant">): string => row.variant ?? "production";

/** Does a row pass? The same reading as the server's, so that live and history obey the same filter. */
export function matches(row: RequestRecord, filter: Filter): boolean {
  return FILTER_KEYS.every((key) => {
    const wanted = filter[key];
    if (!wanted?.length) return true;
    if (key === "status") return wanted.some((value) => statusMatches(row.status_code, value));
    if (key === "variant") return wanted.includes("all") || wanted.includes(variantOf(row));
    const value = row[key];
    return value !== null && wanted.includes(value);
  });
}
