import { useLayoutEffect, useRef } from "react";
import type { Hotkey } from "../lib/hotkeys.ts";

interface KeyboardHelpProps {
  hotkeys: readonly Hotkey[];
  onClose: () => void;
}

const ELSEWHERE: readonly (readonly [string, string])[] = [
  ["j k", "Next and previous request"],
  ["Enter", "Open the request"],
  ["Esc", "Close"],
  ["← →", "Move the cursor of a focused chart; Enter opens the requests"],
  ["t", "Focused chart as a table"],
  ["drag", "Zoom all charts; double-click goes back"],
];

const SHOWN: Record<string, string> = { " ": "Space", Backspace: "⌫" };

function Row({ keys, does }: { keys: string; does: string }) {
  return (
    <div className="flex items-baseline gap-3 border-t border-line py-1">
      <dt className="w-16 shrink-0">
        <kbd className="rounded-control border border-line-strong px-1.5 font-sans text-12">{SHOWN[keys] ?? keys}</kbd>
      </dt>
      <dd className="text-ink-2">{does}</dd>
    </div>
  );
}

export default function KeyboardHelp({ hotkeys, onClose }: KeyboardHelpProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label="Keyboard shortcuts"
      onClose={onClose}
      className="m-auto w-full max-w-2xl rounded-panel border border-line bg-surface p-4 text-13 text-ink shadow-popover backdrop:bg-bg/70"
    >
      <div className="mb-2 flex items-center justify-between">
        <h2 className="text-16 font-semibold">Keyboard</h2>
        <button type="button" onClick={onClose} className="h-7 rounded-control border border-line-strong px-2 hover:bg-raised">
          Close
        </button>
      </div>
      <dl className="gap-x-6 phone:columns-2">
        {hotkeys.map(({ keys, does }) => (
          <Row key={keys} keys={keys} does={does} />
        ))}
        {ELSEWHERE.map(([keys, does]) => (
          <Row key={keys} keys={keys} does={does} />
        ))}
      </dl>
    </dialog>
  );
}
