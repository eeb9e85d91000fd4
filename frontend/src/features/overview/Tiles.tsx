import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { Sparkline } from "../../charts/Sparkline.tsx";
import type { Series, Summary } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import { seriesQuery } from "../../lib/queries.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { Unknown } from "../../ui/Unknown.tsx";
import { TILES, UNGROUPED_METRICS, type Tile } from "./panels.ts";

const COST_WORD: Partial<Record<string, string>> = { unpriced: "unpriced", free: "free" };

function TileValue({ tile, summary }: { tile: Tile; summary: Summary }) {
  const value = tile.value(summary.total);
  if (tile.id === "cost" && value === null && summary.total.requests > 0) {
    return (
      <span className="text-20 leading-8 font-medium text-ink-2" title={tile.unknown}>
        {COST_WORD[summary.total.cost_status] ?? summary.total.cost_status}
      </span>
    );
  }
  if (value === null) return <Unknown why={tile.unknown} />;
  const [number, unit] = tile.parts(value);
  return (
    <>
      {number}
      {unit && <span className="text-14 font-normal text-ink-2">{fmt.THIN + unit}</span>}
    </>
  );
}

function TileFoot({ tile, summary }: { tile: Tile; summary: Summary }) {
  const before = tile.value(summary.previous);
  const delta = tile.change(tile.value(summary.total), before);
  const length = fmt.span(Math.round((summary.to - summary.from) / 60_000) * 60_000);
  return (
    <p className="flex h-4 justify-between gap-2 text-11 whitespace-nowrap text-ink-3">
      {tile.metric === null ? (
        <span>no price is set</span>
      ) : delta === null ? (
        <span title={`Nothing to compare with in the ${length} before`}>{fmt.UNKNOWN}</span>
      ) : (
        <span className="text-ink-2" title={`Compared with the ${length} before`}>
          {delta}
        </span>
      )}
      {tile.n && (
        <span className="truncate" title={`Requests behind this percentile: ${fmt.exact(tile.n(summary.total))}`}>
          n {fmt.count(tile.n(summary.total))}
        </span>
      )}
    </p>
  );
}

function TileCard({ tile, summary, series }: { tile: Tile; summary: Summary | undefined; series: Series | undefined }) {
  const { state, to } = useUrlState();
  const values = tile.metric ? (series?.series[tile.metric]?.["all"] ?? []) : [];
  const complete = series ? values.filter((_, at) => series.t0 + (at + 1) * series.step <= series.complete_until) : [];
  return (
    <Link
      href={to("/requests", { filter: { ...state.filter, ...tile.filter } })}
      title={tile.meaning}
      className="block min-w-0 rounded-panel border border-line bg-surface px-3 pt-2 pb-1.5 hover:border-line-strong"
    >
      <h2 className="text-12 text-ink-2">{tile.title}</h2>
      <p className="h-8 overflow-hidden text-28 font-[550] tracking-[-0.01em] whitespace-nowrap">
        {summary ? <TileValue tile={tile} summary={summary} /> : <Skeleton className="mt-1 h-6 w-20" />}
      </p>
      <div className="mt-1 h-7">{tile.metric && complete.length > 0 && <Sparkline values={complete} color={tile.color} />}</div>
      <div className="mt-1 h-4">{summary && <TileFoot tile={tile} summary={summary} />}</div>
    </Link>
  );
}

export function Tiles({ summary }: { summary: Summary | undefined }) {
  const { state } = useUrlState();
  const { data: series } = useQuery(seriesQuery(state, UNGROUPED_METRICS));
  return (
    <div className="grid grid-cols-2 gap-3 phone:grid-cols-3 wide:grid-cols-6">
      {TILES.map((tile) => (
        <TileCard key={tile.id} tile={tile} summary={summary} series={series} />
      ))}
    </div>
  );
}
