/** One request: where the time and the tokens went. Used by the drawer and by the page of its own. */
import { Waterfall } from "../../charts/Waterfall.tsx";
import type { ReactNode } from "react";
import type { RequestRecord } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import { lookOf } from "../../lib/outcome.ts";
import { ttftOf } from "../../lib/rows.ts";
import { replayCurl } from "../../lib/snippets.ts";
import { DemoBadge, VariantMark } from "../../ui/Badge.tsx";
import { CopyButton } from "../../ui/CopyButton.tsx";
import { StatusMark } from "../../ui/StatusMark.tsx";
import { Unknown } from "../../ui/Unknown.tsx";
import { AttemptsTable } from "./AttemptsTable.tsx";
import { Cost, whyNoTtft, whyNoUsage } from "./columns.tsx";
import { phasesOf } from "./phases.ts";

function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="border-t border-line px-4 py-3">
      <h2 className="mb-2 flex items-baseline justify-between gap-4 text-13 font-semibold">
        {title}
        <span className="text-12 font-normal text-ink-2">{aside}</span>
      </h2>
      {children}
    </section>
  );
}

function Facts({ rows }: { rows: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="grid grid-cols-[8.5rem_minmax(0,1fr)] gap-y-1 text-13">
      {rows.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-ink-3">{name}</dt>
          <dd className="min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const tokenCount = (value: number | null, why: string): ReactNode => (value === null ? <Unknown why={why} /> : fmt.exact(value));
const textOr = (value: string | null, why: string): ReactNode => (value === null ? <Unknown why={why} /> : <bdi>{value}</bdi>);

function Time({ row }: { row: RequestRecord }) {
  const phases = phasesOf(row);
  const ttft = ttftOf(row);
  const aside = (
    <>
      total {fmt.duration(row.duration_ms)} · TTFT {ttft === null ? <Unknown why={whyNoTtft(row)} /> : fmt.duration(ttft)}
    </>
  );
  return (
    <Section title="Where the time went" aside={aside}>
      {phases.length === 0 || !row.duration_ms ? (
        <p className="text-ink-3">This record has no timings.</p>
      ) : (
        <Waterfall bars={phases} total={row.duration_ms} />
      )}
      {row.proxy_overhead_ms !== null && (
        <p className="mt-2 text-12 text-ink-3">Weir itself took {fmt.duration(row.proxy_overhead_ms)} of it.</p>
      )}
    </Section>
  );
}

function TokenSheet({ row }: { row: RequestRecord }) {
  const why = whyNoUsage(row);
  const detail = "the upstream did not break it down";
  const speed = row.tokens_per_second === null ? <Unknown why={row.stream === false ? "not streamed" : why} /> : `${fmt.rate(row.tokens_per_second)} tok/s`;
  return (
    <Section title="Tokens and cost" aside={row.usage_source === "missing" ? "usage not reported" : `usage ${row.usage_source}`}>
      <div className="grid gap-x-6 gap-y-1 phone:grid-cols-2">
        <Facts
          rows={[
            ["input", tokenCount(row.prompt_tokens, why)],
            ["cache read", tokenCount(row.cache_read_tokens, detail)],
            ["cache write", tokenCount(row.cache_write_tokens, detail)],
            ["speed", <span key="speed" title="(output tokens − 1) ÷ (last token − first token)">{speed}</span>],
          ]}
        />
        <Facts
          rows={[
            ["output", tokenCount(row.completion_tokens, why)],
            ["reasoning", tokenCount(row.reasoning_tokens, detail)],
            ["total", tokenCount(row.total_tokens, why)],
            ["cost", <Cost key="cost" row={row} />],
          ]}
        />
      </div>
    </Section>
  );
}

function Identity({ row }: { row: RequestRecord }) {
  const renamed = row.model !== null && row.model_requested !== null && row.model !== row.model_requested;
  return (
    <Section title="Request">
      <Facts
        rows={[
          ["accepted", fmt.fullTime(row.started_at / 1000)],
          ["outcome", lookOf(row.outcome).meaning],
          ["finish reason", textOr(row.finish_reason, "it did not finish by itself")],
          ["model", <span key="model" className="inline-flex max-w-full flex-wrap items-center gap-2"><bdi>{row.model ?? row.model_requested ?? fmt.UNKNOWN}</bdi><DemoBadge provider={row.provider} />{renamed && <span className="text-ink-3">requested {row.model_requested}</span>}</span>],
          ["upstream", <span key="upstream">{textOr(row.upstream, "it never reached one")}{row.provider && <span className="text-ink-3"> · {row.provider}</span>} · <VariantMark variant={row.variant} /></span>],
          ["endpoint", `${row.endpoint}${row.stream === null ? "" : row.stream ? ", streamed" : ", not streamed"}`],
          ["user", textOr(row.user, "none was given")],
          ["key", textOr(row.api_key_id, "no key is configured or given")],
          ["project", textOr(row.project, "none was given (x-weir-project)")],
          ["bytes in / out", `${fmt.bytes(row.request_bytes)} / ${fmt.bytes(row.response_bytes)}`],
          ["proxy", row.proxy_id],
        ]}
      />
      {row.metadata && <Facts rows={Object.entries(row.metadata)} />}
    </Section>
  );
}

function Failure({ row }: { row: RequestRecord }) {
  if (row.error_type === null && row.error_message === null) return null;
  return (
    <div className="border-t border-line px-4 py-3">
      <p className={`border-l-2 pl-3 ${lookOf(row.outcome).tone === "bad" ? "border-bad" : "border-warn"}`}>
        <span className="font-mono text-12 text-ink-2">{row.error_type}</span>
        <br />
        {row.error_message}
      </p>
    </div>
  );
}

function link(row: RequestRecord): string {
  return new URL(`/requests/${row.request_id}`, window.location.origin).href;
}

export function RequestDetail({ row }: { row: RequestRecord }) {
  return (
    <article aria-label={`Request ${row.request_id}`}>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
        <p className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1 text-14">
          <StatusMark outcome={row.outcome} code={row.status_code} />
          <bdi className="min-w-0 truncate font-medium">{row.model ?? row.model_requested ?? fmt.UNKNOWN}</bdi>
          <DemoBadge provider={row.provider} />
          {row.variant === "canary" && <VariantMark variant={row.variant} />}
        </p>
        <p className="flex flex-wrap gap-1.5 phone:ml-auto">
          <CopyButton text="Link" label="Copy link to this request" value={() => link(row)} />
          <CopyButton text="curl" label="Copy as curl; the messages were not stored, put your own in" value={() => replayCurl(row)} />
          <CopyButton text="JSON" label="Copy the record as JSON" value={() => JSON.stringify(row, null, 2)} />
        </p>
      </div>
      <Failure row={row} />
      <Time row={row} />
      <TokenSheet row={row} />
      <Section title="Attempts" aside={row.retries > 0 ? `${row.retries} ${row.retries === 1 ? "retry" : "retries"}` : "no retries"}>
        <AttemptsTable row={row} />
      </Section>
      <Identity row={row} />
      <Section title="Prompt and answer">
        <p className="text-ink-2">Not stored. Weir keeps no prompt or answer text.</p>
      </Section>
      <details className="border-t border-line px-4 py-3">
        <summary className="text-13 font-semibold">Raw record</summary>
        <pre className="mt-2 overflow-x-auto font-mono text-12 text-ink-2">{JSON.stringify(row, null, 2)}</pre>
      </details>
    </article>
  );
}
