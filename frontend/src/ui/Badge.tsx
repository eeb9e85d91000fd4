import type { ReactNode } from "react";

export function Badge({ title, children }: { title: string; children: ReactNode }) {
  return (
    <span title={title} className="inline-block shrink-0 rounded-control border border-line-strong px-1 text-11 leading-4 text-ink-2">
      {children}
    </span>
  );
}

/** Numbers of the built-in demo upstream are never mistaken for real ones. */
export function DemoBadge({ provider }: { provider: string | null }) {
  return provider === "echo" ? <Badge title="Answered by the built-in demo upstream, not by a model">demo</Badge> : null;
}

/** Canary is marked with a diamond wherever it shows; production is the unmarked case. */
export function VariantMark({ variant, short = false }: { variant: string | null; short?: boolean }) {
  const name = variant ?? "production";
  const title = variant === null ? "No variant was given: counts as production" : short ? name : undefined;
  return (
    <span className="whitespace-nowrap" title={title}>
      <span className={short ? "sr-only" : ""}>{name}</span>
      {name === "canary" && <span className="text-s2"> ◇</span>}
    </span>
  );
}
