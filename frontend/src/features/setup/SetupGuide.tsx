/** How to point a client at the proxy: code that runs as it stands, and a place that waits for the result. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { SetupFacts } from "../../lib/api-types.ts";
import { setupQuery } from "../../lib/queries.ts";
import { setupSnippets, targetOf, type Target } from "../../lib/snippets.ts";
import { CodeBlock } from "../../ui/CodeBlock.tsx";
import { CopyButton } from "../../ui/CopyButton.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { FirstRequest } from "./FirstRequest.tsx";

function BaseUrl({ target }: { target: Target }) {
  return (
    <dl className="flex min-h-11 flex-wrap items-center gap-x-3 gap-y-1 rounded-panel border border-line bg-surface py-1.5 pr-2 pl-3">
      <dt className="text-12 text-ink-2">Base URL</dt>
      <dd className="flex min-w-0 flex-1 items-center gap-3">
        <code className="min-w-0 font-mono text-14 break-all">{target.baseUrl}</code>
        {!target.known && <span className="text-12 text-warn">▲ the default: no proxy reports where it listens</span>}
        <span className="ml-auto">
          <CopyButton text="Copy" label="Copy the base URL" value={() => target.baseUrl} />
        </span>
      </dd>
    </dl>
  );
}

/** What a newcomer would stumble over, for the tab that is open. */
function notes(target: Target, facts: SetupFacts | undefined, tab: string): string[] {
  const found: string[] = [];
  if (target.keyRequired) found.push("This proxy lets in only clients with a key: put yours into the variable.");
  if (!target.modelKnown && facts) found.push("Put the name of a model of yours in place of your-model.");
  if (facts?.demo && tab === "anthropic") {
    found.push("The built-in demo model answers chat completions only: this needs an upstream that speaks Anthropic's messages.");
  }
  return found;
}

export default function SetupGuide({ title }: { title: string }) {
  const { data: facts } = useQuery(setupQuery);
  const [tab, setTab] = useState("env");
  const target = targetOf(facts, window.location.hostname);
  const snippets = setupSnippets(target);
  const snippet = snippets.find(({ id }) => id === tab) ?? snippets[0]!;
  return (
    <div className="mx-auto flex w-full max-w-3xl flex-col gap-4 p-4 phone:pt-8">
      <header>
        <h1 className="text-20 font-semibold">{title}</h1>
        <p className="mt-1 text-ink-2">Change the base URL of your client and nothing else. Every request then shows up here as it finishes.</p>
      </header>
      <BaseUrl target={target} />
      <Tabs label="Ways to connect" tabs={snippets} chosen={snippet.id} onChoose={setTab}>
        <CodeBlock title={snippet.title} note={snippet.install} code={snippet.code} />
        {notes(target, facts, snippet.id).map((note) => (
          <p key={note} className="mt-2 text-12 text-ink-2">
            {note}
          </p>
        ))}
      </Tabs>
      <FirstRequest />
      <p className="text-12 text-ink-2">
        Who is asking: send <code className="font-mono whitespace-nowrap text-ink">x-weir-user</code> and <code className="font-mono whitespace-nowrap text-ink">x-weir-project</code> headers; they are
        recorded and not sent on. Every answer carries <code className="font-mono whitespace-nowrap text-ink">x-weir-request-id</code>, which the filter bar finds.
      </p>
    </div>
  );
}
