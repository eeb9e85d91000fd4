/** How a request ended: icon, word and colour, never colour alone. */
import { Check, Minus, TriangleAlert, X } from "lucide-react";
import { lookOf, type Tone } from "../lib/outcome.ts";

const TONE: Record<Tone, { icon: typeof Check; color: string }> = {
  ok: { icon: Check, color: "text-ok" },
  warn: { icon: TriangleAlert, color: "text-warn" },
  bad: { icon: X, color: "text-bad" },
  muted: { icon: Minus, color: "text-ink-3" },
};

interface StatusMarkProps {
  outcome: string;
  code?: number | null;
  /** Leaves the word to screen readers where the place is narrow. */
  short?: boolean;
}

export function StatusMark({ outcome, code, short = false }: StatusMarkProps) {
  const look = lookOf(outcome);
  const { icon: Icon, color } = TONE[look.tone];
  return (
    <span className="flex min-w-0 items-center gap-1.5 whitespace-nowrap" title={look.meaning}>
      <Icon size={14} strokeWidth={2} className={`shrink-0 ${color}`} aria-hidden />
      {code !== undefined && code !== null && <span>{code}</span>}
      <span className={short ? "sr-only" : `truncate ${look.tone === "ok" ? "text-ink-2" : "text-ink"}`}>{look.word}</span>
    </span>
  );
}
