/** What the requests of this range are made of; a click filters by it. */
import { useQuery } from "@tanstack/react-query";
import type { SummaryGroup } from "../../lib/api-types.ts";
import { toggled, without, type FilterKey } from "../../lib/filter.ts";
import * as fmt from "../../lib/fmt.ts";
import { lookOf } from "../../lib/outcome.ts";
import { summaryQuery } from "../../lib/queries.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { StatusMark } from "../../ui/StatusMark.tsx";

const FACETS: readonly { key: FilterKey; title: string }[] = [
  { key: "outcome", title: "Outcome" },
  { key: "model", title: "Model" },
  { key: "variant", title: "Variant" },
];
const MOST = 10;

interface Choice {
  value: string;
  requests: number;
}

/** The groups as choices; what is chosen stays in sight even when nothing matches it. */
function choices(groups: readonly SummaryGroup[], key: FilterKey, chosen: readonly string[]): Choice[] {
  const found = groups.flatMap((group) => {
    const value = group.key[key];
    return typeof value === "string" ? [{ value, requests: group.requests }] : [];
  });
  const missing = chosen.filter((value) => !found.some((choice) => choice.value === value));
  return [...found.slice(0, MOST), ...found.slice(MOST).filter(({ value }) => chosen.includes(value)), ...missing.map((value) => ({ value, requests: 0 }))];
}

function Facet({ facet }: { facet: (typeof FACETS)[number] }) {
  const { state, change } = useUrlState();
  const chosen = state.filter[facet.key] ?? [];
  // Counted without this facet's own filter, so that a second value can be added.
  const { data } = useQuery(summaryQuery({ range: state.range, filter: without(state.filter, facet.key) }, facet.key));
  return (
    <fieldset className="min-w-0 border-b border-line px-3 py-2">
      <legend className="float-left mb-1 w-full text-12 text-ink-3">{facet.title}</legend>
      <ul className="clear-both min-w-0">
        {data
          ? choices(data.groups ?? [], facet.key, chosen).map(({ value, requests }) => (
              <li key={value}>
                <label className="flex h-7 cursor-pointer pointer-coarse:h-11 items-center gap-2 rounded-control hover:text-ink" title={facet.key === "outcome" ? lookOf(value).meaning : value}>
                  <input type="checkbox" className="size-3.5 shrink-0 accent-accent" checked={chosen.includes(value)} onChange={() => change({ filter: toggled(state.filter, facet.key, value) })} />
                  <span className="min-w-0 flex-1 truncate text-ink-2">{facet.key === "outcome" ? <StatusMark outcome={value} /> : value}</span>
                  <span className="shrink-0 text-12 text-ink-3">{fmt.count(requests)}</span>
                </label>
              </li>
            ))
          : [0, 1, 2].map((row) => (
              <li key={row} className="flex h-7 items-center pointer-coarse:h-11">
                <Skeleton className="h-3.5 w-full" />
              </li>
            ))}
        {data && (data.groups ?? []).length === 0 && chosen.length === 0 && <li className="text-12 text-ink-3">nothing in this range</li>}
      </ul>
    </fieldset>
  );
}

export function Facets() {
  return (
    <aside aria-label="Facets" className="hidden w-56 shrink-0 overflow-y-auto border-r border-line tablet:block">
      {FACETS.map((facet) => (
        <Facet key={facet.key} facet={facet} />
      ))}
    </aside>
  );
}
