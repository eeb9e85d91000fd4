/** The one time control: presets, free text, earlier and later, in and out. */
import { ChevronLeft, ChevronRight, Clock, ZoomIn, ZoomOut } from "lucide-react";
import { useState, type FormEvent } from "react";
import * as fmt from "../lib/fmt.ts";
import { rangeLabel } from "../lib/range-label.ts";
import { useTimeNavigation } from "../lib/time-navigation.tsx";
import { bounds, formatRange, parseRange, parseTyped, PRESETS, type TimeRange } from "../lib/time-range.ts";
import { useNow } from "../lib/use-now.ts";
import { useUrlState } from "../lib/use-url-state.ts";
import { IconButton } from "../ui/Button.tsx";
import { Menu } from "../ui/Menu.tsx";

function Custom({ onChoose }: { onChoose: (range: TimeRange) => void }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const range = parseTyped(text);
    if (range) onChoose(range);
    else setWrong(true);
  };
  return (
    <form onSubmit={submit} className="border-t border-line p-1 pt-2">
      <label className="block text-11 text-ink-3">
        Type any range, then Enter
        <input
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setWrong(false);
          }}
          placeholder="25m"
          aria-invalid={wrong}
          aria-describedby="range-help"
          className="mt-1 block h-7 w-full rounded-control border border-line-strong bg-surface px-2 text-13 text-ink"
        />
      </label>
      <p id="range-help" role={wrong ? "alert" : undefined} className={`mt-1 text-11 ${wrong ? "text-bad" : "text-ink-3"}`}>
        {wrong ? "Not understood. Try 25m, yesterday or 2026-11-20 14:00 to 15:30." : "25m, 3d, yesterday, 2026-11-20 14:00 to 15:30"}
      </p>
    </form>
  );
}

export function TimeControl() {
  const { state } = useUrlState();
  const time = useTimeNavigation();
  const { from, to } = bounds(state.range, useNow(10_000));
  const isCurrent = (preset: string) => formatRange(state.range) === preset;
  return (
    <div className="flex items-center rounded-control border border-line-strong" role="group" aria-label="Time range">
      <span className="hidden tablet:contents">
        <IconButton label="Earlier" hint="[" onClick={() => time.pan(-1)}>
          <ChevronLeft size={16} strokeWidth={1.5} aria-hidden />
        </IconButton>
        <IconButton label="Zoom out" hint="-" onClick={() => time.zoomBy(2)}>
          <ZoomOut size={14} strokeWidth={1.5} aria-hidden />
        </IconButton>
      </span>
      <Menu
        label={`Time range: ${rangeLabel(state.range)}`}
        title={`${fmt.fullTime(from)} to ${fmt.fullTime(to)}`}
        className="flex h-[1.625rem] items-center gap-1.5 rounded-control px-2 text-13 whitespace-nowrap hover:bg-raised"
        button={
          <>
            <Clock size={14} strokeWidth={1.5} aria-hidden className="text-ink-3" />
            {rangeLabel(state.range)}
          </>
        }
      >
        {(close) => {
          const choose = (range: TimeRange) => {
            time.choose(range);
            close();
          };
          return (
            <div className="w-60">
              <ul className="pb-1">
                {[...PRESETS, "today" as const].map((preset, at) => (
                  <li key={preset}>
                    <button
                      type="button"
                      aria-current={isCurrent(preset)}
                      onClick={() => choose(parseRange(preset)!)}
                      className={`flex h-7 w-full items-center justify-between rounded-control px-2 text-13 hover:bg-surface ${isCurrent(preset) ? "text-accent" : ""}`}
                    >
                      {rangeLabel(parseRange(preset)!)}
                      {at < PRESETS.length && <kbd className="font-sans text-11 text-ink-3">{at + 1}</kbd>}
                    </button>
                  </li>
                ))}
              </ul>
              <Custom onChoose={choose} />
            </div>
          );
        }}
      </Menu>
      <span className="hidden tablet:contents">
        <IconButton label="Zoom in" hint="=" onClick={() => time.zoomBy(0.5)}>
          <ZoomIn size={14} strokeWidth={1.5} aria-hidden />
        </IconButton>
        <IconButton label="Later" hint="]" onClick={() => time.pan(1)}>
          <ChevronRight size={16} strokeWidth={1.5} aria-hidden />
        </IconButton>
      </span>
    </div>
  );
}
