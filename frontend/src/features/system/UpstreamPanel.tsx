import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import * as fmt from "../../lib/fmt.ts";
import { upstreamsQuery } from "../../lib/queries.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { DemoBadge } from "../../ui/Badge.tsx";
import { ErrorNotice } from "../../ui/ErrorNotice.tsx";
import { Section } from "./Section.tsx";

const HEAD = "py-1 pl-4 text-right text-12 font-normal whitespace-nowrap text-ink-3";
const CELL = "h-8 pl-4 text-right whitespace-nowrap pointer-coarse:h-11";

/** Where requests went in the last hour, and how that went. */
export function UpstreamPanel() {
  const { data: upstreams, error, refetch } = useQuery(upstreamsQuery);
  const { to } = useUrlState();
  return (
    <Section title="Upstreams, last hour">
      {error && <ErrorNotice what="The upstreams" error={error} onRetry={() => void refetch()} />}
      {upstreams?.length === 0 && <p className="border-t border-line py-2 text-12 text-ink-2">No request went to an upstream in the last hour.</p>}
      {upstreams && upstreams.length > 0 && (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
        <div className="mt-1 overflow-x-auto" tabIndex={0} role="region" aria-label="Upstreams, a table">
          <table className="w-full border-collapse">
            <thead>
              <tr>
                <th scope="col" className="py-1 text-left text-12 font-normal text-ink-3">
                  upstream
                </th>
                <th scope="col" className={HEAD}>
                  provider
                </th>
                <th scope="col" className={HEAD}>
                  requests
                </th>
                <th scope="col" className={HEAD}>
                  errors
                </th>
                <th scope="col" className={HEAD}>
                  latency p50 / p95
                </th>
              </tr>
            </thead>
            <tbody>
              {upstreams.map((upstream) => (
                <tr key={upstream.name} className="border-t border-line">
                  <th scope="row" className="h-8 max-w-60 text-left font-medium pointer-coarse:h-11">
                    <span className="flex items-center gap-2">
                      {upstream.name === null ? (
                        <span className="text-ink-2">none chosen</span>
                      ) : (
                        <Link href={to("/requests", { filter: { upstream: [upstream.name] } })} className="min-w-0 truncate hover:text-accent" title={upstream.name}>
                          {upstream.name}
                        </Link>
                      )}
                      <DemoBadge provider={upstream.provider} />
                    </span>
                  </th>
                  <td className={`${CELL} text-ink-2`}>{upstream.provider ?? fmt.UNKNOWN}</td>
                  <td className={CELL}>{fmt.exact(upstream.requests)}</td>
                  <td className={`${CELL} ${upstream.errors > 0 ? "text-bad" : ""}`} title={`${fmt.exact(upstream.errors)} of ${fmt.exact(upstream.requests)}`}>
                    {upstream.errors > 0 && <span aria-hidden>✕ </span>}
                    {fmt.percent(upstream.error_rate_pct)}
                  </td>
                  <td className={CELL} title={`n ${fmt.exact(upstream.latency_ms.n)}`}>
                    {fmt.duration(upstream.latency_ms.p50)} <span className="text-ink-3">/</span> {fmt.duration(upstream.latency_ms.p95)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}
