import type { ReactNode } from "react";

interface IconButtonProps {
  label: string;
  /** The key that does the same. */
  hint?: string;
  pressed?: boolean;
  disabled?: boolean;
  onClick: () => void;
  children: ReactNode;
}

export function IconButton({ label, hint, pressed, disabled, onClick, children }: IconButtonProps) {
  return (
    <button
      type="button"
      aria-label={label}
      aria-pressed={pressed}
      disabled={disabled}
      title={hint ? `${label} (${hint})` : label}
      onClick={onClick}
      className={`grid size-6 shrink-0 place-items-center rounded-control hover:bg-raised hover:text-ink disabled:opacity-40 ${pressed ? "bg-raised text-accent" : "text-ink-3"}`}
    >
      {children}
    </button>
  );
}

interface TextToggleProps {
  pressed: boolean;
  onToggle: () => void;
  title: string;
  children: ReactNode;
}

export function TextToggle({ pressed, onToggle, title, children }: TextToggleProps) {
  return (
    <button
      type="button"
      aria-pressed={pressed}
      title={title}
      onClick={onToggle}
      className={`h-6 rounded-control px-1.5 text-11 hover:bg-raised hover:text-ink ${pressed ? "bg-raised text-accent" : "text-ink-3"}`}
    >
      {children}
    </button>
  );
}

interface ButtonProps {
  onClick: () => void;
  primary?: boolean;
  children: ReactNode;
}

export function Button({ onClick, primary = false, children }: ButtonProps) {
  const look = primary
    ? "border-accent bg-accent text-on-accent hover:opacity-90"
    : "border-line-strong bg-transparent text-ink hover:bg-raised";
  return (
    <button type="button" onClick={onClick} className={`inline-flex h-8 items-center gap-1.5 rounded-control border px-3 text-13 whitespace-nowrap ${look}`}>
      {children}
    </button>
  );
}
