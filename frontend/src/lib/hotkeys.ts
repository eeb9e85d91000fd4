/** Single keys, never while somebody types. The list shown on `?` is this same data. */
import { useLayoutEffect, useRef } from "react";

export interface Hotkey {
  /** As KeyboardEvent.key says it; "g o" is a sequence. */
  keys: string;
  does: string;
  run: (event: KeyboardEvent) => void;
}

export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

/** Space and Enter belong to the control that has the focus. */
function belongsToControl(event: KeyboardEvent): boolean {
  if (event.key !== " " && event.key !== "Enter") return false;
  return event.target instanceof HTMLElement && event.target.closest("button, a, summary, [role=row], [role=figure]") !== null;
}

const SEQUENCE_MS = 1_000;

export function useHotkeys(hotkeys: readonly Hotkey[]): void {
  const latest = useRef(hotkeys);
  const prefix = useRef({ key: "", at: 0 });
  // Layout effects: what is on the screen answers to its keys. An ordinary effect may wait until after the next key.
  useLayoutEffect(() => {
    latest.current = hotkeys;
  });
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event.target) || belongsToControl(event)) return;
      const sequence =
        event.timeStamp - prefix.current.at < SEQUENCE_MS ? `${prefix.current.key} ${event.key}` : event.key;
      const hit =
        latest.current.find(({ keys }) => keys === sequence) ?? latest.current.find(({ keys }) => keys === event.key);
      prefix.current = hit ? { key: "", at: 0 } : { key: event.key, at: event.timeStamp };
      if (!hit) return;
      event.preventDefault();
      hit.run(event);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
