import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";

interface NoticeProps {
  title: string;
  tone?: "plain" | "bad" | "warn";
  actions?: ReactNode;
  children?: ReactNode;
}

/** Words in the place where data would be: what is the case, why, and what to do. */
export function Notice({ title, tone = "plain", actions, children }: NoticeProps) {
  const edge = { plain: "border-line", warn: "border-warn", bad: "border-bad" }[tone];
  return (
    <section role={tone === "bad" ? "alert" : "status"} className={`reveal flex flex-wrap items-start gap-x-6 gap-y-3 rounded-panel border bg-surface p-3 ${edge}`}>
      <div className="min-w-0 flex-1 basis-80">
        <h2 className="flex items-center gap-2 text-14 font-semibold">
          {tone !== "plain" && <CircleAlert size={16} strokeWidth={1.5} aria-hidden className={tone === "bad" ? "text-bad" : "text-warn"} />}
          {title}
        </h2>
        {children && <div className="mt-1 text-13 break-words text-ink-2">{children}</div>}
      </div>
      {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
    </section>
  );
}
