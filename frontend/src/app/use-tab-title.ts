import { useEffect, useRef } from "react";
import { useLocation } from "wouter";
import * as fmt from "../lib/fmt.ts";
import { useLiveMessages } from "../lib/live.tsx";
import { PAGES } from "./pages.ts";

/** "● 42 req/s · Overview · Weir": the tab tells the pulse without being opened. */
export function useTabTitle(live: boolean): void {
  const [path] = useLocation();
  const rates = useRef(new Map<string, number>());
  const page = PAGES.find((candidate) => candidate.path === path)?.label ?? "Request";
  const name = `${page} · Weir`;
  useEffect(() => {
    document.title = name;
    if (!live) rates.current.clear();
  }, [name, live]);
  useLiveMessages((message) => {
    if (!live || message.type !== "metrics") return;
    rates.current.set(message.data.variant, message.data.req_rate);
    const total = [...rates.current.values()].reduce((sum, rate) => sum + rate, 0);
    document.title = `● ${fmt.rate(total)} req/s · ${name}`;
  });
}
