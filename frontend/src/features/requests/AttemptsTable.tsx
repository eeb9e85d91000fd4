import type { Attempt, RequestRecord } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import { Unknown } from "../../ui/Unknown.tsx";

/** Records keep the list only when there was more than one; a single one follows from the record itself. */
function attemptsOf(row: RequestRecord): Attempt[] {
  if (row.attempts?.length) return row.attempts;
  return row.upstream ? [{ upstream: row.upstream, status: row.status_code, ms: row.duration_ms, error: row.error_type }] : [];
}

export function AttemptsTable({ row }: { row: RequestRecord }) {
  const attempts = attemptsOf(row);
  if (attempts.length === 0) return <p className="text-ink-2">None: it never reached an upstream.</p>;
  return (
    <table className="w-full border-collapse text-13">
      <thead className="sr-only">
        <tr>
          <th scope="col">number</th>
          <th scope="col">upstream</th>
          <th scope="col">status</th>
          <th scope="col">error</th>
          <th scope="col">time</th>
        </tr>
      </thead>
      <tbody>
        {attempts.map((attempt, at) => (
          // oxlint-disable-next-line react/no-array-index-key -- an attempt is its number
          <tr key={at} className={at > 0 ? "border-t border-line" : ""}>
            <td className="w-6 py-1 text-ink-3">{at + 1}</td>
            <td className="py-1 pr-4">{attempt.upstream}</td>
            <td className="py-1 pr-4">{attempt.status ?? <Unknown why="no response head came" />}</td>
            <td className="py-1 pr-4 text-ink-2">{attempt.error ?? ""}</td>
            <td className="py-1 text-right">{fmt.duration(attempt.ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
