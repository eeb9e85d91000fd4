/** Dark, light or as the system says. The first value was set by /theme.js before the first paint. */
import { useSyncExternalStore } from "react";

export type ThemeChoice = "system" | "dark" | "light";
const STORAGE_KEY = "weir.theme";
const listeners = new Set<() => void>();

function systemIsLight(): MediaQueryList {
  return matchMedia("(prefers-color-scheme: light)");
}

export function themeChoice(): ThemeChoice {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return stored === "dark" || stored === "light" ? stored : "system";
  } catch {
    return "system"; // storage is off
  }
}

function apply(): void {
  const choice = themeChoice();
  const light = choice === "light" || (choice === "system" && systemIsLight().matches);
  document.documentElement.dataset["theme"] = light ? "light" : "dark";
  for (const listener of listeners) listener();
}

export function chooseTheme(choice: ThemeChoice): void {
  try {
    if (choice === "system") localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, choice);
  } catch {
    // Storage is off: the choice lasts for this page only.
    document.documentElement.dataset["theme"] = choice === "light" ? "light" : "dark";
    for (const listener of listeners) listener();
    return;
  }
  apply();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  const media = systemIsLight();
  if (listeners.size === 1) media.addEventListener("change", apply);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) media.removeEventListener("change", apply);
  };
}

/** The theme in force; changes re-render, so that canvases are drawn anew. */
export function useTheme(): string {
  return useSyncExternalStore(subscribe, () => document.documentElement.dataset["theme"] ?? "dark");
}

export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore(subscribe, themeChoice);
}
