/** A panel of the system page: what it is, how it is, and its numbers. */
import { Check, TriangleAlert, X } from "lucide-react";
import { useId, type ReactNode } from "react";
import type { Grade, Verdict } from "../../lib/health.ts";

const LOOK: Record<Grade, { icon: typeof Check; color: string }> = {
  ok: { icon: Check, color: "text-ok" },
  warn: { icon: TriangleAlert, color: "text-warn" },
  bad: { icon: X, color: "text-bad" },
};

interface SectionProps {
  title: string;
  verdict?: Verdict;
  children: ReactNode;
}

export function Section({ title, verdict, children }: SectionProps) {
  const id = useId();
  const Icon = verdict ? LOOK[verdict.grade].icon : null;
  return (
    <section aria-labelledby={id} className="min-w-0 rounded-panel border border-line bg-surface px-3 py-2">
      <header className="flex h-6 items-center gap-3">
        <h2 id={id} className="text-13 font-semibold">
          {title}
        </h2>
        {verdict && Icon && (
          <span className="flex items-center gap-1.5 text-12 text-ink-2">
            <Icon size={14} strokeWidth={2} aria-hidden className={LOOK[verdict.grade].color} />
            {verdict.word}
          </span>
        )}
      </header>
      {verdict?.why && <p className="py-1 text-12 break-words text-ink-2">{verdict.why}</p>}
      {children}
    </section>
  );
}

export interface Fact {
  name: string;
  meaning: string;
  value: string;
  /** Said in a lighter voice behind the value. */
  detail?: string;
}

export function Facts({ facts }: { facts: readonly Fact[] }) {
  if (facts.length === 0) return null;
  return (
    <dl className="mt-1">
      {facts.map(({ name, meaning, value, detail }) => (
        <div key={name} className="flex min-h-8 items-center gap-3 border-t border-line" title={meaning}>
          <dt className="text-ink-2">{name}</dt>
          <dd className="ml-auto min-w-0 text-right">
            {value}
            {detail && <span className="pl-2 text-12 text-ink-3">{detail}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
