import { Skeleton } from "../../ui/Skeleton.tsx";

const ROWS = Array.from({ length: 16 }, (_, at) => at);

/** The grid's own layout without its values. */
export function GridSkeleton() {
  return (
    <div className="min-w-0 flex-1" aria-busy="true">
      <p className="h-8 border-b border-line px-3 py-1.5 text-12 text-ink-3">Reading requests…</p>
      {ROWS.map((row) => (
        <div key={row} className="flex h-8 items-center border-b pointer-coarse:h-11 border-line px-3">
          <Skeleton className="h-3.5 w-full" />
        </div>
      ))}
    </div>
  );
}
