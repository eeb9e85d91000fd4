import { useLiveStatus } from "../lib/live.tsx";
import { DEFAULT_RANGE, isMoving } from "../lib/time-range.ts";
import { useUrlState } from "../lib/use-url-state.ts";



export function LiveSwitch() {
  const { state, change } = useUrlState();
  const { phase } = useLiveStatus();
  const moving = isMoving(state.range);
  const on = state.live && moving;
  const dot = !on ? "bg-ink-3" : phase === "open" ? "bg-ok live-pulse" : "bg-warn";
  const toggle = () => change(moving ? { live: !state.live } : { range: DEFAULT_RANGE, live: true });
  const title = !moving
    ? "A fixed time range does not move. Click to go live with the last hour."
    : on
      ? "New requests appear by themselves. Click to pause (Space)"
      : "Paused. Click to go live (Space)";
  return (
    <button
      type="button"
      role="switch"
      aria-checked={on}
      aria-label="Live"
      title={title}
      onClick={toggle}
      className="flex h-7 items-center gap-2 rounded-control border border-line-strong px-2 text-13 whitespace-nowrap hover:bg-raised"
    >
      <span aria-hidden className={`size-2 rounded-full ${dot}`} />
      <span className="min-w-10 text-left">{on ? "Live" : moving ? "Paused" : "Fixed"}</span>
    </button>
  );
}
