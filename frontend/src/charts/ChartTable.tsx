/** The table twin of a chart: the same buckets as text, newest first. */
import * as fmt from "../lib/fmt.ts";
import { bucketCount, bucketStart, isComplete, type ChartModel } from "./model.ts";

interface ChartTableProps {
  model: ChartModel;
  height: number;
  onDrill: (bucket: number, line: null) => void;
}

export default function ChartTable({ model, height, onDrill }: ChartTableProps) {
  const buckets = Array.from({ length: bucketCount(model) }, (_, at) => bucketCount(model) - 1 - at);
  return (
    <div className="overflow-auto" style={{ height }}>
      <table className="w-full border-collapse text-12">
        <caption className="sr-only">
          {model.title}, {model.unit}, {fmt.span(model.step)} buckets
        </caption>
        <thead className="sticky top-0 bg-surface text-ink-3">
          <tr>
            <th scope="col" className="py-1 text-left font-normal">
              bucket
            </th>
            {model.lines.map((line) => (
              <th key={line.key} scope="col" className="py-1 pl-3 text-right font-normal">
                {line.label}
              </th>
            ))}
            {model.n && (
              <th scope="col" className="py-1 pl-3 text-right font-normal">
                n
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {buckets.map((at) => (
            <tr key={at} className="border-t border-line">
              <th scope="row" className="text-left font-normal whitespace-nowrap">
                <button type="button" className="min-h-6 pr-2 hover:text-accent pointer-coarse:min-h-11" onClick={() => onDrill(at, null)}>
                  {model.step >= 3_600_000 ? fmt.dayAndTime(bucketStart(model, at)) : fmt.timeOfDay(bucketStart(model, at))}
                </button>
                {!isComplete(model, at) && <span className="text-ink-3"> filling</span>}
              </th>
              {model.lines.map((line) => (
                <td key={line.key} className="py-0.5 pl-3 text-right">
                  {model.format(line.values[at] ?? null)}
                </td>
              ))}
              {model.n && <td className="py-0.5 pl-3 text-right text-ink-2">{fmt.count(model.n.buckets[at] ?? 0)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
