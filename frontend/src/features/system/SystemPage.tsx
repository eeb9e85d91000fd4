import { useQuery } from "@tanstack/react-query";
import { proxiesVerdict, storageVerdict, streamVerdict } from "../../lib/health.ts";
import { systemQuery } from "../../lib/queries.ts";
import { ErrorNotice } from "../../ui/ErrorNotice.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { Facts, Section } from "./Section.tsx";
import { PipelinePanel } from "./PipelinePanel.tsx";
import { ProxyTable } from "./ProxyTable.tsx";
import { UpstreamPanel } from "./UpstreamPanel.tsx";
import { serviceFacts, storageFacts, streamFacts } from "./facts.ts";

const EVERY_MS = 2_000;

function PageSkeleton() {
  return (
    <div className="grid gap-3 tablet:grid-cols-2" aria-busy>
      <Skeleton className="h-32 tablet:col-span-2" />
      <Skeleton className="h-64" />
      <Skeleton className="h-64" />
    </div>
  );
}

/** Is Weir itself healthy? */
export default function SystemPage() {
  const { data: state, error, refetch } = useQuery(systemQuery(EVERY_MS));
  return (
    <div className="flex flex-col gap-3 p-3 tablet:p-4">
      <h1 className="text-16 font-semibold">System</h1>
      {error && <ErrorNotice what="The state of the system" error={error} onRetry={() => void refetch()} />}
      {!state && !error && <PageSkeleton />}
      {state && (
        <div className="grid items-start gap-3 tablet:grid-cols-2 wide:grid-cols-3">
          <div className="min-w-0 tablet:col-span-2 wide:col-span-3">
            <Section title="Proxies" verdict={proxiesVerdict(state)}>
              {state.proxies && state.proxies.length > 0 && <ProxyTable proxies={state.proxies} now={state.now} />}
            </Section>
          </div>
          <div className="min-w-0 tablet:col-span-2 wide:col-span-3">
            <PipelinePanel />
          </div>
          <Section title="Stream" verdict={streamVerdict(state)}>
            <Facts facts={streamFacts(state)} />
          </Section>
          <Section title="Storage" verdict={storageVerdict(state)}>
            <Facts facts={storageFacts(state)} />
          </Section>
          <Section title="Services">
            <Facts facts={serviceFacts(state)} />
          </Section>
          <div className="min-w-0 tablet:col-span-2 wide:col-span-3">
            <UpstreamPanel />
          </div>
        </div>
      )}
    </div>
  );
}
