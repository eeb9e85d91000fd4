/** The drawer itself, fetched when the first request is opened. */
import { ChevronDown, ChevronUp, Maximize2, X } from "lucide-react";
import { useLayoutEffect, useRef } from "react";
import { Link } from "wouter";
import { useUrlState } from "../../lib/use-url-state.ts";
import { useWalkList } from "../../lib/walk-list.tsx";
import { IconButton } from "../../ui/Button.tsx";
import { CopyButton } from "../../ui/CopyButton.tsx";
import { RequestBody } from "./RequestBody.tsx";

export default function OpenDrawer({ id }: { id: string }) {
  const { change, to } = useUrlState();
  const ids = useWalkList();
  const panel = useRef<HTMLDivElement>(null);
  const at = ids.indexOf(id);
  const close = () => change({ id: null }, "push");
  const walk = (by: 1 | -1) => {
    const next = ids[at + by];
    if (at >= 0 && next) change({ id: next });
  };

  // Focus goes to the drawer when it opens and back to where it was when it closes.
  useLayoutEffect(() => {
    const before = document.activeElement;
    panel.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);

  return (
    <div
      ref={panel}
      tabIndex={-1}
      role="dialog"
      aria-modal="false"
      aria-label="Request detail"
      className="slide-in absolute inset-y-0 right-0 z-20 flex w-full flex-col border-l border-line bg-surface outline-none tablet:w-[36rem]"
    >
      <div className="flex h-11 shrink-0 items-center gap-1 border-b border-line px-3">
        <h2 className="min-w-0 truncate font-mono text-12 text-ink-2" title={id}>
          {id}
        </h2>
        <CopyButton label="Copy request id" value={() => id} />
        <span className="ml-auto flex items-center">
          <IconButton label="Previous request" hint="k" disabled={at <= 0} onClick={() => walk(-1)}>
            <ChevronUp size={16} strokeWidth={1.5} aria-hidden />
          </IconButton>
          <IconButton label="Next request" hint="j" disabled={at < 0 || at >= ids.length - 1} onClick={() => walk(1)}>
            <ChevronDown size={16} strokeWidth={1.5} aria-hidden />
          </IconButton>
          <Link href={to(`/requests/${id}`)} aria-label="Open as a page" title="Open as a page" className="grid size-6 place-items-center rounded-control text-ink-3 hover:bg-raised hover:text-ink">
            <Maximize2 size={14} strokeWidth={1.5} aria-hidden />
          </Link>
          <IconButton label="Close" hint="Esc" onClick={close}>
            <X size={16} strokeWidth={1.5} aria-hidden />
          </IconButton>
        </span>
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <RequestBody id={id} />
      </div>
    </div>
  );
}
