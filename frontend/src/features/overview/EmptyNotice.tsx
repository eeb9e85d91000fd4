import type { Summary } from "../../lib/api-types.ts";
import { FILTER_KEYS, formatClause, without } from "../../lib/filter.ts";
import * as fmt from "../../lib/fmt.ts";
import { rangeLabel } from "../../lib/range-label.ts";
import { useTimeNavigation } from "../../lib/time-navigation.tsx";
import { useNow } from "../../lib/use-now.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { Button } from "../../ui/Button.tsx";
import { Notice } from "../../ui/Notice.tsx";

/** There is data, but not in this range or not with this filter. */
export default function EmptyNotice({ summary }: { summary: Summary }) {
  const { state, change } = useUrlState();
  const { choose } = useTimeNavigation();
  const now = useNow(10_000);
  const last = summary.last_request_at;
  const filters = FILTER_KEYS.filter((key) => state.filter[key]?.length);
  const range = rangeLabel(state.range).toLowerCase();
  if (last === null) {
    return (
      <Notice
        title="No request matches this filter"
        actions={filters.map((key) => (
          <Button key={key} onClick={() => change({ filter: without(state.filter, key) })}>
            Remove {formatClause(key, state.filter[key]!)}
          </Button>
        ))}
      >
        Neither in the {range} nor before.
      </Notice>
    );
  }
  const jump = () => choose({ kind: "absolute", from: Math.floor(last) - 3_540_000, to: Math.ceil(last) + 60_000 });
  return (
    <Notice
      title={`No requests in the ${range}`}
      actions={
        <>
          <Button primary onClick={jump}>
            Go to the last one
          </Button>
          {filters.length > 0 && <Button onClick={() => change({ filter: {} })}>Remove the filter</Button>}
        </>
      }
    >
      The last one{filters.length > 0 ? " that matches the filter" : ""} was {fmt.ago(last, now)}, at {fmt.fullTime(last)}.
    </Notice>
  );
}

