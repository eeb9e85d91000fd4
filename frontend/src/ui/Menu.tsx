/** A button that opens a small panel below it; Escape and a click outside close it. */
import { useLayoutEffect, useRef, useState, type ReactNode } from "react";

interface MenuProps {
  label: string;
  title?: string;
  button: ReactNode;
  align?: "left" | "right";
  className?: string;
  children: (close: () => void) => ReactNode;
}

export function Menu({ label, title, button, align = "right", className = "", children }: MenuProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const trigger = useRef<HTMLButtonElement>(null);
  // A layout effect: Escape must find its listener as soon as the panel is on the screen.
  useLayoutEffect(() => {
    if (!open) return undefined;
    const onDown = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      setOpen(false);
      trigger.current?.focus();
    };
    document.addEventListener("pointerdown", onDown);
    document.addEventListener("focusin", onDown);
    document.addEventListener("keydown", onKey, true);
    return () => {
      document.removeEventListener("pointerdown", onDown);
      document.removeEventListener("focusin", onDown);
      document.removeEventListener("keydown", onKey, true);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    trigger.current?.focus();
  };
  return (
    <div ref={root} className="relative">
      <button ref={trigger} type="button" aria-label={label} title={title} aria-expanded={open} onClick={() => setOpen(!open)} className={className}>
        {button}
      </button>
      {open && (
        <div className={`reveal absolute top-full z-40 mt-1 rounded-panel border border-line bg-raised p-1 shadow-popover ${align === "right" ? "right-0" : "left-0"}`}>
          {/* oxlint-disable-next-line react/refs -- close is called by events, not while rendering */}
          {children(close)}
        </div>
      )}
    </div>
  );
}
