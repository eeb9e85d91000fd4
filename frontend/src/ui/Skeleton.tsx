/** Stands where a value will be, in its size, so that nothing moves when it comes. */
export function Skeleton({ className }: { className: string }) {
  return <span aria-hidden className={`block rounded-control bg-raised ${className}`} />;
}
