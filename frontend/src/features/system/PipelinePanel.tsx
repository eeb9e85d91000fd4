/** Where every accepted request is: the sums must agree, and nothing may be missing. */
import { useQuery } from "@tanstack/react-query";
import type { Pipeline, PipelineLife } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import { pipelineVerdict } from "../../lib/health.ts";
import { pipelineQuery } from "../../lib/queries.ts";
import { ErrorNotice } from "../../ui/ErrorNotice.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { PLACES, type Place, type Row } from "./places.ts";
import { PlaceCell } from "./PlaceCell.tsx";
import { Section } from "./Section.tsx";

const EVERY_MS = 2_000;
const WHO = "h-8 max-w-80 pointer-coarse:h-11 text-left font-medium";

function lifeWords(life: PipelineLife, now: number): string {
  const fate = life.alive ? "running" : `${life.closed ? "ended" : "silent"}, last heard of ${fmt.ago(life.reported_at, now)}`;
  return life.crashed > 0 ? `${fate}, ${fmt.exact(life.crashed)} crashed in flight` : fate;
}

function Numbers({ row }: { row: Row }) {
  return PLACES.map((place: Place) => <PlaceCell key={place.name} place={place} row={row} />);
}

function Lives({ pipeline: { total, unknown, proxies, now } }: { pipeline: Pipeline }) {
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
    <div className="mt-1 overflow-x-auto" tabIndex={0} role="region" aria-label="Requests by proxy and place, a table">
      <table className="w-full border-collapse">
        <thead>
          <tr>
            <th scope="col" className="py-1 text-left text-12 font-normal text-ink-3">
              proxy
            </th>
            {PLACES.map(({ title, meaning }) => (
              <th key={title} scope="col" title={meaning} className="py-1 pl-4 text-right text-12 font-normal whitespace-nowrap text-ink-3">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {proxies?.map((life) => (
            <tr key={life.boot_id} className="border-t border-line">
              <th scope="row" className={`${WHO} truncate`} title={`${life.proxy_id}, boot ${life.boot_id}`}>
                {life.proxy_id} <span className="text-12 font-normal text-ink-3">{lifeWords(life, now)}</span>
              </th>
              <Numbers row={life} />
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr className="border-t border-line-strong">
            <th scope="row" className={WHO}>
              all
            </th>
            <Numbers row={{ ...total, unknown }} />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

function lag({ lag_entries: entries, lag_seconds: seconds }: Pipeline): string | null {
  if (entries === null && seconds === null) return null;
  if (entries === 0) return "Storing is up to date.";
  const oldest = seconds === null ? "" : `, the oldest for ${fmt.duration(seconds * 1000)}`;
  return `${entries === null ? "Some" : fmt.exact(entries)} ${entries === 1 ? "record waits" : "records wait"} in the stream to be stored${oldest}.`;
}

/** What the table does not say. */
function remarks(pipeline: Pipeline): string[] {
  const { dead_letters: dead, not_listed: left } = pipeline;
  return [
    lag(pipeline),
    dead ? `${fmt.exact(dead)} dead ${dead === 1 ? "letter waits" : "letters wait"} to be replayed or dropped with \`weir dead-letters\`.` : null,
    left > 0 ? `${fmt.exact(left)} earlier ${left === 1 ? "life of a proxy" : "lives of proxies"} ended well and ${left === 1 ? "is" : "are"} in the sum only.` : null,
  ].filter((text) => text !== null);
}

export function PipelinePanel() {
  const { data: pipeline, error, refetch } = useQuery(pipelineQuery(EVERY_MS));
  return (
    <Section title="Where every request is" {...(pipeline ? { verdict: pipelineVerdict(pipeline) } : {})}>
      {error && <ErrorNotice what="The reconciliation" error={error} onRetry={() => void refetch()} />}
      {!pipeline && !error && <Skeleton className="mt-1 h-24" />}
      {pipeline && <Lives pipeline={pipeline} />}
      {pipeline && <p className="py-1 text-12 text-ink-2">{remarks(pipeline).join(" ")}</p>}
    </Section>
  );
}
