/** The trust anchor: is what is on the screen current, and where does it come from? */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import * as fmt from "../lib/fmt.ts";
import { useLiveMessages, useLiveStatus } from "../lib/live.tsx";
import { pipelineVerdict, worst, type Grade } from "../lib/health.ts";
import { configQuery, pipelineQuery, systemQuery } from "../lib/queries.ts";
import { isMoving } from "../lib/time-range.ts";
import { useUrlState } from "../lib/use-url-state.ts";
import { Unknown } from "../ui/Unknown.tsx";

function useLag(): number | null {
  const [lag, setLag] = useState<number | null>(null);
  const shownAt = useRef(0);
  useLiveMessages((message) => {
    if (message.type !== "requests" || message.data.length === 0) return;
    const now = Date.now();
    if (now - shownAt.current < 1_000) return;
    shownAt.current = now;
    const ends = message.data.map((row) => row.started_at / 1000 + (row.duration_ms ?? 0));
    setLag(Math.max(0, now - Math.max(...ends)));
  });
  return lag;
}

function LiveWords() {
  const { state } = useUrlState();
  const { phase, lastMessageAt } = useLiveStatus();
  const lag = useLag();
  if (!isMoving(state.range)) return <span>fixed time range</span>;
  if (!state.live) return <span>paused{lastMessageAt ? `, showing data until ${fmt.timeOfDay(lastMessageAt)}` : ""}</span>;
  if (phase === "open") {
    return (
      <span title="From the end of the newest request to its row on this screen">
        live{lag !== null && ` · ${fmt.duration(Math.round(lag))} behind`}
      </span>
    );
  }
  if (phase === "reconnecting") {
    return (
      <span className="text-warn">
        ▲ reconnecting{lastMessageAt ? `, showing data until ${fmt.timeOfDay(lastMessageAt)}` : ""}
      </span>
    );
  }
  return <span>connecting</span>;
}

const SYSTEM_EVERY_MS = 5_000;
/** The charts come first. */
const SYSTEM_AFTER_MS = 1_500;
const MARK: Record<Grade, string> = { ok: "", warn: "▲ ", bad: "✕ " };
const COLOR: Record<Grade, string> = { ok: "text-ink-2", warn: "text-warn", bad: "text-bad" };

/** Requests that are nowhere: 0, or an alarm. Not to know is told as that, and no alarm. */
function UnaccountedWords({ settled }: { settled: boolean }) {
  const { to } = useUrlState();
  const { data: pipeline } = useQuery({ ...pipelineQuery(SYSTEM_EVERY_MS), enabled: settled });
  if (!pipeline) return null;
  const { unaccounted } = pipeline.total;
  const { grade, word, why } = pipelineVerdict(pipeline);
  const look = grade === "bad" ? COLOR.bad : `hidden phone:inline ${COLOR.ok}`;
  return (
    <Link href={to("/system")} title={why ?? `Every accepted request: ${word}`} className={`rounded-control hover:underline ${look}`}>
      {"· "}
      {grade === "bad" && MARK.bad}
      {"unaccounted "}
      {unaccounted === null ? <Unknown why={why ?? word} /> : fmt.exact(unaccounted)}
    </Link>
  );
}

/** How far storing is behind, and what is wrong with Weir itself; leads to the system page. */
function SystemWords({ settled }: { settled: boolean }) {
  const { to } = useUrlState();
  const { data: state } = useQuery({ ...systemQuery(SYSTEM_EVERY_MS), enabled: settled });
  if (!state) return null;
  const { grade, word } = worst(state);
  return (
    <Link href={to("/system")} title="Open the system page" className={`rounded-control hover:underline ${COLOR[grade]}`}>
      {"· "}
      {grade !== "ok" && `${MARK[grade]}${word}`}
      {grade !== "ok" && state.stream && " · "}
      {state.stream && `stream lag ${fmt.duration(state.stream.lag_seconds * 1000)}`}
    </Link>
  );
}

export function StatusBar() {
  const { data: config } = useQuery(configQuery);
  const [settled, setSettled] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(true), SYSTEM_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <footer className="row-start-3 flex h-6 items-center gap-x-2 overflow-hidden border-t border-line bg-surface px-3 text-11 whitespace-nowrap text-ink-3 phone:col-span-2">
      <span role="status" className="text-ink-2">
        <LiveWords />
      </span>
      <SystemWords settled={settled} />
      <UnaccountedWords settled={settled} />
      <span className="ml-auto flex gap-x-3">
        {config?.percentile_error_pct !== undefined && (
          <span className="hidden tablet:inline" title="Percentiles are merged from histograms, never averaged">
            percentiles ± {config.percentile_error_pct} %
          </span>
        )}
        {config?.database && <span className="hidden phone:inline">{config.database}</span>}
        <span title="Times are shown in this zone">{fmt.zoneName()}</span>
        {config?.version && <span>v{config.version}</span>}
      </span>
    </footer>
  );
}
