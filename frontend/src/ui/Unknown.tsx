import { UNKNOWN } from "../lib/fmt.ts";

/** Something that is not known: a dash, and why on hover. */
export function Unknown({ why }: { why: string }) {
  return (
    <span className="text-ink-3" title={why}>
      <span aria-hidden>{UNKNOWN}</span>
      <span className="sr-only">{`unknown: ${why}`}</span>
    </span>
  );
}
