/** The legend and the read-out in one fixed place: values of the bucket under the crosshair, else of the range. */
import * as fmt from "../lib/fmt.ts";
import { bucketStart, isComplete, type ChartLine, type ChartModel } from "./model.ts";

interface ChartReadoutProps {
  model: ChartModel;
  at: number | null;
  hidden: ReadonlySet<string>;
  onToggle: (key: string, add: boolean) => void;
}

function Swatch({ line, kind }: { line: ChartLine; kind: ChartModel["kind"] }) {
  const stroke = `var(${line.color})`;
  return kind === "bars" ? (
    <svg width="8" height="8" aria-hidden className="shrink-0">
      <rect width="8" height="8" rx="1" fill={stroke} />
    </svg>
  ) : (
    <svg width="14" height="8" aria-hidden className="shrink-0">
      <path d="M0 4H14" stroke={stroke} strokeWidth="2" strokeDasharray={line.dash?.join(" ")} />
    </svg>
  );
}

export function when(model: ChartModel, at: number): string {
  const from = bucketStart(model, at);
  const long = model.step >= 3_600_000 ? fmt.dayAndTime(from) : fmt.timeOfDay(from);
  return isComplete(model, at) ? long : `${long} (filling)`;
}

export function ChartReadout({ model, at, hidden, onToggle }: ChartReadoutProps) {
  const behind = model.n && (at === null ? model.n.range : (model.n.buckets[at] ?? 0));
  // Layers that never occur need no place in the legend.
  const lines = model.kind === "bars" ? model.lines.filter((line, index) => index === 0 || line.values.some((value) => (value ?? 0) > 0)) : model.lines;
  return (
    <div className="flex h-5 items-center gap-x-2 overflow-x-auto [scrollbar-width:none] text-11 whitespace-nowrap text-ink-2">
      {lines.map((line) => {
        const value = at === null ? (model.resting[line.key] ?? null) : (line.values[at] ?? null);
        const off = hidden.has(line.key);
        return (
          <button
            key={line.key}
            type="button"
            aria-pressed={!off}
            title="Click to show only this, shift-click to add or remove it"
            onClick={(event) => onToggle(line.key, event.shiftKey)}
            className={`flex items-center gap-1 rounded-control hover:text-ink ${off ? "opacity-40" : ""}`}
          >
            <Swatch line={line} kind={model.kind} />
            <span>{line.label}</span>
            <span className="font-medium text-ink">{model.format(value)}</span>
          </button>
        );
      })}
      {behind !== undefined && (
        <span className="text-ink-3" title="Requests behind these percentiles">
          n {fmt.count(behind)}
        </span>
      )}
      {at === null && model.note && (
        <span className="ml-auto truncate text-ink-3" title={model.note}>
          {model.note}
        </span>
      )}
    </div>
  );
}
