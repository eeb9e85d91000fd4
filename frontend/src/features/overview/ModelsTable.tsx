import { useMemo } from "react";
import { Link } from "wouter";
import { HeartbeatStrip } from "../../charts/HeartbeatStrip.tsx";
import type { Summary, SummaryGroup } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import { rangeLabel } from "../../lib/range-label.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { DemoBadge } from "../../ui/Badge.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { Unknown } from "../../ui/Unknown.tsx";

const HEAD = "py-1 pl-4 text-right text-12 font-normal text-ink-3 whitespace-nowrap";
const CELL = "h-8 pointer-coarse:h-11 pl-4 text-right whitespace-nowrap";

function ModelName({ group }: { group: SummaryGroup }) {
  const { state, to } = useUrlState();
  const model = group.key["model"];
  if (group.key["other"]) return <span className="text-ink-2">other models</span>;
  if (typeof model !== "string") return <Unknown why="the request named no model" />;
  return (
    <Link href={to("/requests", { filter: { ...state.filter, model: [model] } })} title={model} className="min-w-0 truncate font-medium hover:text-accent">
      {model}
    </Link>
  );
}

function Cost({ group }: { group: SummaryGroup }) {
  if (group.cost_usd !== null) return fmt.money(group.cost_usd);
  return <span className="text-ink-3">{group.cost_status}</span>;
}

function Share({ percent }: { percent: number | null }) {
  return (
    <span className="inline-flex w-32 items-center justify-end gap-2">
      <svg width="72" height="8" aria-hidden preserveAspectRatio="none">
        <rect width="72" height="8" fill="var(--raised)" rx="1" />
        <rect width={Math.max(1, ((percent ?? 0) / 100) * 72)} height="8" fill="var(--s1)" rx="1" />
      </svg>
      <span className="w-12">{fmt.percent(percent)}</span>
    </span>
  );
}

function ModelRow({ group }: { group: SummaryGroup }) {
  const { ttft_ms: ttft, tokens_per_second: speed } = group;
  return (
    <tr className="border-t border-line hover:bg-raised">
      <th scope="row" className="h-8 max-w-52 pr-2 text-left font-normal">
        <span className="flex items-center gap-2">
          <ModelName group={group} />
          <DemoBadge provider={group.provider} />
        </span>
      </th>
      <td className="h-8 pl-4">
        <HeartbeatStrip cells={group.strip} />
      </td>
      <td className={CELL}>{fmt.rate(group.req_rate)}</td>
      <td className={`${CELL} ${group.errors > 0 ? "text-bad" : ""}`} title={`${fmt.exact(group.errors)} of ${fmt.exact(group.requests)} requests`}>
        {group.errors > 0 && <span aria-hidden>✕ </span>}
        {fmt.percent(group.error_rate_pct)}
      </td>
      <td className={CELL} title={`n ${fmt.exact(ttft.n)}`}>
        {ttft.n === 0 ? (
          <Unknown why="no streamed answer in this range" />
        ) : (
          <>
            {fmt.duration(ttft.p50)} <span className="text-ink-3">/</span> {fmt.duration(ttft.p95)}
          </>
        )}
      </td>
      <td className={`${CELL} text-ink-3`}>{fmt.count(ttft.n)}</td>
      <td className={CELL} title={`Median decode speed of one request, n ${fmt.exact(speed.n)}`}>
        {speed.p50 === null ? <Unknown why="no token counts were reported" /> : fmt.rate(speed.p50)}
      </td>
      <td className={CELL}>
        <Cost group={group} />
      </td>
      <td className={CELL}>
        <Share percent={group.share_pct} />
      </td>
    </tr>
  );
}

export default function ModelsTable({ summary }: { summary: Summary | undefined }) {
  const { state } = useUrlState();
  const groups = useMemo(() => summary?.groups ?? [], [summary]);
  return (
    <section className="min-w-0 rounded-panel border border-line bg-surface px-3 py-2" aria-labelledby="models-title">
      <h2 id="models-title" className="h-6 text-13 font-semibold">
        Models
      </h2>
      <div className="relative overflow-x-auto">
        <table className="w-full border-collapse text-13">
          <thead>
            <tr>
              <th scope="col" className="py-1 text-left text-12 font-normal text-ink-3">
                model
              </th>
              <th scope="col" className="py-1 pl-4 text-left text-12 font-normal whitespace-nowrap text-ink-3">
                {rangeLabel(state.range).toLowerCase()}
              </th>
              {["req/s", "errors", "TTFT p50 / p95", "n", "tok/s p50", "cost", "share of requests"].map((title) => (
                <th key={title} scope="col" className={HEAD}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {groups.map((group) => (
              <ModelRow key={`${String(group.key["model"])}|${String(group.key["other"] ?? "")}`} group={group} />
            ))}
            {!summary &&
              [0, 1, 2].map((row) => (
                <tr key={row} className="border-t border-line">
                  <td colSpan={9} className="h-8">
                    <Skeleton className="h-4" />
                  </td>
                </tr>
              ))}
            {summary && groups.length === 0 && (
              <tr className="border-t border-line">
                <td colSpan={9} className="h-8 text-12 text-ink-3">
                  No traffic in this range
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}
