/** A grid of fixed rows of which only those in view exist. */
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import type { RequestRecord } from "../../lib/api-types.ts";
import { ROW_HEIGHT, TOUCH_ROW_HEIGHT, rowWindow, scrollToRow } from "../../lib/row-window.ts";
import { columnsFor, type Layout } from "./columns.tsx";

interface RequestGridProps {
  rows: readonly RequestRecord[];
  /** Total number when it is known. */
  total: number | null;
  openId: string | null;
  /** The row that has the keyboard. */
  activeId: string | null;
  fresh: ReadonlySet<string>;
  onActivate: (id: string) => void;
  onOpen: (id: string) => void;
  onReading: (reading: boolean) => void;
  onNearEnd: () => void;
  footer: ReactNode;
}

const NEAR_END_ROWS = 30;
const HEAD_HEIGHT = 32;

export function RequestGrid({ rows, total, openId, activeId, fresh, onActivate, onOpen, onReading, onNearEnd, footer }: RequestGridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, width: 960 });
  const pointerInside = useRef(false);
  const [rowHeight] = useState(() => (window.matchMedia("(pointer: coarse)").matches ? TOUCH_ROW_HEIGHT : ROW_HEIGHT));
  const layout = useMemo(() => columnsFor(view.width), [view.width]);
  const { columns, template } = layout;
  const windowed = rowWindow(rows.length, view.top, view.height, rowHeight);
  const active = rows.findIndex((row) => row.request_id === activeId);

  const report = useCallback(() => {
    const element = scroller.current;
    if (element) onReading(pointerInside.current || element.scrollTop > 0);
  }, [onReading]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight, width: element.clientWidth });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (windowed.end >= rows.length - NEAR_END_ROWS) onNearEnd();
  }, [windowed.end, rows.length, onNearEnd]);

  // Only when the active row changes: new rows must not drag the view along.
  useEffect(() => {
    const element = scroller.current;
    // oxlint-disable-next-line react/exhaustive-effect-dependencies -- see above
    if (!element || active < 0) return;
    const target = scrollToRow(active, rows.length, element.scrollTop, element.clientHeight - HEAD_HEIGHT, rowHeight);
    if (target !== null) element.scrollTop = target;
  }, [activeId]); // oxlint-disable-line react/exhaustive-deps -- see above

  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 2);
    const from = active < 0 ? -1 : active;
    const moves: Record<string, number> = { ArrowDown: from + 1, ArrowUp: from - 1, PageDown: from + page, PageUp: from - page, Home: 0, End: rows.length - 1 };
    const to = moves[event.key];
    if (to !== undefined) {
      const row = rows[Math.min(rows.length - 1, Math.max(0, to))];
      if (row) onActivate(row.request_id);
    } else if (event.key === "Enter" && activeId) onOpen(activeId);
    else return;
    event.preventDefault();
  };

  return (
    <div className="flex min-h-0 min-w-0 flex-1 flex-col">
      <div
        ref={scroller}
        role="grid"
        tabIndex={0}
        aria-label="Requests, newest first"
        aria-rowcount={total ?? -1}
        aria-colcount={columns.length}
        aria-activedescendant={active >= 0 ? `row-${activeId}` : undefined}
        onKeyDown={onKeyDown}
        onScroll={(event) => {
          const { scrollTop: top, clientHeight: height, clientWidth: width } = event.currentTarget;
          setView({ top, height, width });
          report();
        }}
        onPointerEnter={(event) => {
          pointerInside.current = event.pointerType === "mouse";
          report();
        }}
        onPointerLeave={() => {
          pointerInside.current = false;
          report();
        }}
        className="relative min-h-0 flex-1 overflow-x-hidden overflow-y-scroll -outline-offset-2"
      >
        <div role="row" aria-rowindex={1} className="sticky top-0 z-10 grid h-8 items-center gap-x-3 border-b border-line bg-surface px-3 text-12 text-ink-3" style={{ gridTemplateColumns: template }}>
          {columns.map((column) => (
            <span key={column.key} role="columnheader" title={column.meaning} className={`truncate ${column.align === "right" ? "text-right" : ""}`}>
              {column.title}
            </span>
          ))}
        </div>
        <div className="relative" style={{ height: windowed.height }}>
          <div className="absolute inset-x-0" style={{ top: windowed.offset }}>
            {rows.slice(windowed.first, windowed.end).map((row, at) => (
              <GridRow
                key={row.request_id}
                row={row}
                index={windowed.first + at}
                layout={layout}
                open={row.request_id === openId}
                active={row.request_id === activeId}
                fresh={fresh.has(row.request_id)}
                onOpen={onOpen}
              />
            ))}
          </div>
        </div>
        {footer}
      </div>
    </div>
  );
}

interface GridRowProps {
  row: RequestRecord;
  index: number;
  layout: Layout;
  open: boolean;
  active: boolean;
  fresh: boolean;
  onOpen: (id: string) => void;
}

function GridRow({ row, index, layout, open, active, fresh, onOpen }: GridRowProps) {
  const edge = active ? "border-l-accent" : "border-l-transparent";
  return (
    // The keyboard is handled by the grid, which has the focus.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus -- see above
    <div
      role="row"
      id={`row-${row.request_id}`}
      aria-rowindex={index + 2}
      aria-selected={open}
      onClick={() => onOpen(row.request_id)}
      className={`grid h-8 cursor-pointer pointer-coarse:h-11 items-center gap-x-3 border-b border-l-2 border-b-line pr-3 pl-2.5 hover:bg-raised ${edge} ${open ? "bg-raised" : ""} ${fresh ? "row-new" : ""}`}
      style={{ gridTemplateColumns: layout.template }}
    >
      {layout.columns.map((column) => (
        <span key={column.key} role="gridcell" className={`min-w-0 overflow-hidden whitespace-nowrap ${column.align === "right" ? "text-right" : ""}`}>
          {column.cell(row, layout)}
        </span>
      ))}
    </div>
  );
}
