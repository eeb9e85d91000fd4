/** Phases one below the other on one time axis. */
import * as fmt from "../lib/fmt.ts";
import { timeTicks } from "./model.ts";

export interface WaterfallBar {
  key: string;
  label: string;
  meaning: string;
  start: number;
  end: number;
  note: string | null;
}

const LOOK: Record<string, string> = {
  queue: "border border-warn text-warn hatch",
  connect: "bg-ink-3",
  wait: "bg-ink-2/35",
  first_token: "bg-s1/60",
  generation: "bg-s1 text-on-accent",
  answer: "bg-s1 text-on-accent",
  finish: "bg-ink-3",
};

type Place = "after" | "before" | "inside";

/** Where there is room for the words of a bar: behind it, in it, else before it. */
function placeOf(left: number, right: number, hasNote: boolean): Place {
  const needs = hasNote ? 55 : 28;
  if (100 - right > needs) return "after";
  if (right - left > needs) return "inside";
  return left > needs || left > 100 - right ? "before" : "after";
}

function Axis({ total }: { total: number }) {
  const ticks = timeTicks(total).filter((tick) => tick <= total * 0.94);
  return (
    <div className="relative ml-24 h-4 font-mono text-11 text-ink-3" aria-hidden>
      {ticks.map((tick) => (
        <span key={tick} className="absolute border-l border-line-strong pl-1 leading-4" style={{ left: `${(tick / total) * 100}%` }}>
          {tick === 0 ? "0" : fmt.axis(fmt.duration(tick))}
        </span>
      ))}
    </div>
  );
}

function Bar({ bar, total }: { bar: WaterfallBar; total: number }) {
  const left = (bar.start / total) * 100;
  const right = (bar.end / total) * 100;
  const place = placeOf(left, right, bar.note !== null);
  const words = (
    <>
      {fmt.duration(bar.end - bar.start)}
      {bar.note && <span className={place === "inside" ? "" : "text-ink-3"}> · {bar.note}</span>}
    </>
  );
  return (
    <li className="flex h-6 items-center" title={`${bar.meaning}: ${fmt.duration(bar.start)} to ${fmt.duration(bar.end)}`}>
      <span className="w-24 shrink-0 text-12 text-ink-2">{bar.label}</span>
      <span className="relative h-4 min-w-0 flex-1 text-11 whitespace-nowrap">
        <span className={`absolute inset-y-0 min-w-px overflow-hidden rounded-[1px] ${LOOK[bar.key] ?? "bg-ink-3"}`} style={{ left: `${left}%`, width: `${right - left}%` }}>
          {place === "inside" && <span className="pl-1.5">{words}</span>}
        </span>
        {place !== "inside" && (
          <span className="absolute" style={place === "after" ? { left: `calc(${right}% + 6px)` } : { right: `calc(${100 - left}% + 6px)` }}>
            {words}
          </span>
        )}
      </span>
    </li>
  );
}

export function Waterfall({ bars, total }: { bars: readonly WaterfallBar[]; total: number }) {
  return (
    <div>
      <Axis total={total} />
      <ol className="mt-1">
        {bars.map((bar) => (
          <Bar key={bar.key} bar={bar} total={total} />
        ))}
      </ol>
    </div>
  );
}
