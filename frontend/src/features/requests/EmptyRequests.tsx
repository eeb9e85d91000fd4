import type { Summary } from "../../lib/api-types.ts";
import { FILTER_KEYS, formatClause, isEmpty, without } from "../../lib/filter.ts";
import * as fmt from "../../lib/fmt.ts";
import { rangeLabel } from "../../lib/range-label.ts";
import { useTimeNavigation } from "../../lib/time-navigation.tsx";
import { useNow } from "../../lib/use-now.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { Button } from "../../ui/Button.tsx";

/** Why the list is empty, and the way out. */
export function EmptyRequests({ summary }: { summary: Summary | undefined }) {
  const { state, change, go } = useUrlState();
  const { choose } = useTimeNavigation();
  const now = useNow(10_000);
  const last = summary?.last_request_at ?? null;
  const keys = FILTER_KEYS.filter((key) => state.filter[key]?.length);
  const title = isEmpty(state.filter) && last === null ? "No requests yet" : `No requests in the ${rangeLabel(state.range).toLowerCase()}`;
  return (
    <div role="status" className="reveal flex flex-1 flex-col items-center gap-3 px-4 py-16 text-center">
      <h2 className="text-14 font-semibold">{title}</h2>
      <p className="max-w-md text-ink-2">
        {last !== null
          ? `The last one${keys.length > 0 ? " that matches" : ""} was ${fmt.ago(last, now)}, at ${fmt.fullTime(last)}.`
          : keys.length > 0
            ? "None matches this filter, at any time."
            : "Point a client at the proxy; requests appear here as they finish."}
      </p>
      <div className="flex flex-wrap justify-center gap-2">
        {last === null && keys.length === 0 && (
          <Button primary onClick={() => go("/setup")}>
            Connect your app
          </Button>
        )}
        {last !== null && (
          <Button primary onClick={() => choose({ kind: "absolute", from: Math.floor(last) - 3_540_000, to: Math.ceil(last) + 60_000 })}>
            Go to the last one
          </Button>
        )}
        {keys.map((key) => (
          <Button key={key} onClick={() => change({ filter: without(state.filter, key) })}>
            Remove {formatClause(key, state.filter[key]!)}
          </Button>
        ))}
      </div>
    </div>
  );
}
