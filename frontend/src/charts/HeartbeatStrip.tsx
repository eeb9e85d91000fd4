/** Was it fine? One cell per slice of the range; errors differ in shape (taller) as well as in colour. */
import type { StripCell } from "../lib/api-types.ts";

const CELL = 4;
const GAP = 1;
const HEIGHT = 16;
const CALM = 10;

function sentence(cells: readonly StripCell[]): string {
  const bad = cells.filter((cell) => cell && cell.errors > 0).length;
  const none = cells.filter((cell) => !cell).length;
  const parts = [bad === 0 ? "no slice with errors" : `${bad} of ${cells.length} slices with errors`];
  if (none > 0) parts.push(`${none} without traffic`);
  return parts.join(", ");
}

export function HeartbeatStrip({ cells }: { cells: readonly StripCell[] }) {
  const width = cells.length * (CELL + GAP) - GAP;
  return (
    <svg width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label={sentence(cells)} className="block">
      <title>{sentence(cells)}</title>
      {cells.map((cell, at) => {
        const x = at * (CELL + GAP);
        if (!cell || cell.requests === 0) return <rect key={at} x={x} y={HEIGHT - 2} width={CELL} height={1} fill="var(--line-strong)" />; // oxlint-disable-line react/no-array-index-key -- a slice is its position
        const share = cell.errors / cell.requests;
        if (share === 0) return <rect key={at} x={x} y={HEIGHT - CALM} width={CELL} height={CALM} fill="var(--ok)" opacity="0.75" />; // oxlint-disable-line react/no-array-index-key -- a slice is its position
        const bad = Math.max(5, Math.round(share * HEIGHT));
        return (
          <g key={at} /* oxlint-disable-line react/no-array-index-key -- a slice is its position */>
            <rect x={x} y={0} width={CELL} height={bad} fill="var(--bad)" />
            {bad < HEIGHT - 1 && <rect x={x} y={bad + 1} width={CELL} height={HEIGHT - bad - 1} fill="var(--ok)" opacity="0.75" />}
          </g>
        );
      })}
    </svg>
  );
}
