/** A line without axes. A gap in the data is a gap in the line. */

/** SVG path of the values over a 100 × 100 box; a lone value becomes a short dash. */
export function sparkPath(values: readonly (number | null)[], top: number): string {
  const x = (at: number) => (values.length > 1 ? (at / (values.length - 1)) * 100 : 50).toFixed(2);
  const y = (value: number) => (100 - (top > 0 ? value / top : 0) * 96 - 2).toFixed(2);
  let path = "";
  let open = false;
  for (const [at, value] of values.entries()) {
    if (value === null) {
      open = false;
      continue;
    }
    path += `${open ? "L" : "M"}${x(at)} ${y(value)}`;
    if (!open && values[at + 1] === null) path += "h0.4";
    open = true;
  }
  return path;
}

interface SparklineProps {
  values: readonly (number | null)[];
  color?: string;
  height?: number;
}

export function Sparkline({ values, color = "--s1", height = 28 }: SparklineProps) {
  const top = values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  return (
    <svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height={height} aria-hidden className="block">
      <path d="M0 99H100" stroke="var(--line)" strokeWidth="1" vectorEffect="non-scaling-stroke" />
      <path d={sparkPath(values, top)} fill="none" stroke={`var(${color})`} strokeWidth="1.25" strokeLinejoin="round" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
