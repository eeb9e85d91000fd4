import { CopyButton } from "./CopyButton.tsx";

export function CodeBlock({ title, note, code }: { title: string; note?: string | undefined; code: string }) {
  return (
    <figure className="min-w-0 rounded-panel border border-line bg-surface">
      <figcaption className="flex h-9 items-center gap-3 border-b border-line pr-2 pl-3 text-12 text-ink-2">
        <span className="truncate">{title}</span>
        {note && <code className="truncate font-mono text-11 text-ink-3">{note}</code>}
        <span className="ml-auto">
          <CopyButton text="Copy" label={`Copy: ${title}`} value={() => code} />
        </span>
      </figcaption>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <pre tabIndex={0} aria-label={title} role="region" className="overflow-x-auto p-3 font-mono text-12">
        {code}
      </pre>
    </figure>
  );
}
