import { useState } from "react";

/** State that survives a reload, for preferences only. Without storage it lasts as long as the page. */
export function useStored<T>(key: string, initial: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => {
    try {
      const stored = localStorage.getItem(key);
      return stored === null ? initial : (JSON.parse(stored) as T);
    } catch {
      return initial; // storage is off, or holds something else
    }
  });
  const store = (next: T) => {
    setValue(next);
    try {
      localStorage.setItem(key, JSON.stringify(next));
    } catch {
      // Storage is off or full: the choice lasts for this page.
    }
  };
  return [value, store];
}
