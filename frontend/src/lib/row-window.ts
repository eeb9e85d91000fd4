/**
 * Which rows of a long list are on the screen.
 * A browser element cannot be taller than about 16.7 million pixels, so above `MAX_HEIGHT` the scroll bar is
 * scaled: one pixel of it stands for more than one pixel of rows.
 */

export const ROW_HEIGHT = 32;
/** Where fingers point instead of a mouse. */
export const TOUCH_ROW_HEIGHT = 44;
const MAX_HEIGHT = 8_000_000;
const OVERSCAN = 8;

export interface RowWindow {
  /** First and one past the last row to render. */
  first: number;
  end: number;
  /** Where the first rendered row sits, in pixels from the top of the spacer. */
  offset: number;
  /** Height of the spacer, in pixels. */
  height: number;
}

export function rowWindow(rows: number, scrollTop: number, viewport: number, rowHeight = ROW_HEIGHT): RowWindow {
  const full = rows * rowHeight;
  const height = Math.min(full, MAX_HEIGHT);
  const reach = Math.max(0, height - viewport);
  const top = Math.min(Math.max(0, scrollTop), reach);
  const scale = reach > 0 ? (full - viewport) / reach : 1;
  const position = top * scale;
  const first = Math.max(0, Math.floor(position / rowHeight) - OVERSCAN);
  const end = Math.min(rows, Math.ceil((position + viewport) / rowHeight) + OVERSCAN);
  return { first, end, offset: top - (position - first * rowHeight), height };
}

/** The scroll position at which a row is in view, or null when it is already. */
export function scrollToRow(row: number, rows: number, scrollTop: number, viewport: number, rowHeight = ROW_HEIGHT): number | null {
  const full = rows * rowHeight;
  const reach = Math.max(0, Math.min(full, MAX_HEIGHT) - viewport);
  const scale = reach > 0 ? (full - viewport) / reach : 1;
  const position = scrollTop * scale;
  const top = row * rowHeight;
  if (top < position) return top / scale;
  if (top + rowHeight > position + viewport) return (top + rowHeight - viewport) / scale;
  return null;
}
