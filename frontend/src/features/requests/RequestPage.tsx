import { ChevronLeft } from "lucide-react";
import { Link } from "wouter";
import { useUrlState } from "../../lib/use-url-state.ts";
import { CopyButton } from "../../ui/CopyButton.tsx";
import { RequestBody } from "./RequestBody.tsx";

/** One request as a page of its own, for links. */
export default function RequestPage({ id }: { id: string }) {
  const { to } = useUrlState();
  return (
    <div className="p-3 tablet:p-4">
      <header className="mb-3 flex flex-wrap items-center gap-x-3 gap-y-1">
        <Link href={to("/requests")} className="flex h-8 items-center gap-1 rounded-control text-ink-2 hover:text-ink">
          <ChevronLeft size={16} strokeWidth={1.5} aria-hidden />
          Requests
        </Link>
        <h1 className="min-w-0 truncate font-mono text-13" title={id}>
          {id}
        </h1>
        <CopyButton label="Copy request id" value={() => id} />
      </header>
      <div className="max-w-5xl rounded-panel border border-line bg-surface">
        <RequestBody id={id} />
      </div>
    </div>
  );
}
