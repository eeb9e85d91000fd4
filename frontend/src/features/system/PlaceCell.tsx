import * as fmt from "../../lib/fmt.ts";
import { Unknown } from "../../ui/Unknown.tsx";
import type { Place, Row } from "./places.ts";

const ALARM = { warn: { color: "text-warn", mark: "▲ " }, bad: { color: "text-bad", mark: "✕ " } } as const;

/** A number of requests in one place. Unknown is not zero, and says why. */
export function PlaceCell({ place: { name, alarm }, row }: { place: Place; row: Row }) {
  const value = row[name];
  const look = alarm && value ? ALARM[alarm] : null;
  const bytes = name === "in_journal" && value ? row.in_journal_bytes : null;
  return (
    <td className={`h-8 pl-4 text-right whitespace-nowrap ${look?.color ?? ""}`} title={bytes ? fmt.bytes(bytes) : undefined}>
      {look && <span aria-hidden>{look.mark}</span>}
      {value === null ? <Unknown why={row.unknown[name] ?? "not told"} /> : fmt.exact(value)}
    </td>
  );
}
