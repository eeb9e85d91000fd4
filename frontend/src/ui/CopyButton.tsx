import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";

interface CopyButtonProps {
  /** What the button says; without it an icon with `label` for screen readers. */
  text?: string;
  label: string;
  value: () => string;
}

async function copy(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    return false; // not a secure context, or refused
  }
}

export function CopyButton({ text, label, value }: CopyButtonProps) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return undefined;
    const timer = setTimeout(() => setState("idle"), 1_600);
    return () => clearTimeout(timer);
  }, [state]);
  const Icon = state === "copied" ? Check : Copy;
  const said = state === "copied" ? "Copied" : state === "failed" ? "Select and copy by hand" : (text ?? "");
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      onClick={() => void copy(value()).then((done) => setState(done ? "copied" : "failed"))}
      className={`inline-flex h-6 items-center gap-1.5 rounded-control text-12 text-ink-2 hover:bg-raised hover:text-ink ${text ? "border border-line px-2" : "px-1"}`}
    >
      <Icon size={13} strokeWidth={1.5} aria-hidden />
      {text ? said : <span className="sr-only" aria-live="polite">{state === "idle" ? "" : said}</span>}
    </button>
  );
}
