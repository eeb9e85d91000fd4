import { Link } from "wouter";
import { useUrlState } from "../lib/use-url-state.ts";
import { Notice } from "../ui/Notice.tsx";

export function NotFound() {
  const { path, to } = useUrlState();
  return (
    <div className="p-4">
      <Notice title="There is no such page">
        <p>
          Nothing lives at <code className="font-mono text-ink">{path}</code>.{" "}
          <Link href={to("/")} className="text-accent underline underline-offset-2">
            Go to the overview
          </Link>
        </p>
      </Notice>
    </div>
  );
}
