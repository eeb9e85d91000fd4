import type { ProxyState } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";

const COLUMNS: readonly { title: string; meaning: string; cell: (proxy: ProxyState, now: number) => string}[] = [
  { title: "version", meaning: "Of the proxy", cell: (proxy) => proxy.version },
  { title: "up for", meaning: "Since its start", cell: (proxy, now) => fmt.duration(Math.max(0, Math.floor((now - proxy.started_at) / 1000) * 1000)) },
  { title: "workers", meaning: "Worker processes", cell: (proxy) => fmt.exact(proxy.workers) },
  { title: "in flight / limit", meaning: "Requests being served, and how many may be", cell: (proxy) => `${fmt.exact(proxy.in_flight)} / ${fmt.exact(proxy.max_in_flight)}` },
];

export function ProxyTable({ proxies, now }: { proxies: readonly ProxyState[]; now: number }) {
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
    <div className="mt-1 overflow-x-auto" tabIndex={0} role="region" aria-label="Proxies, a table">
      <table className="w-full border-collapse">
        <thead>
          <tr>
            <th scope="col" className="py-1 text-left text-12 font-normal text-ink-3">
              proxy
            </th>
            {COLUMNS.map(({ title, meaning }) => (
              <th key={title} scope="col" title={meaning} className="py-1 pl-4 text-right text-12 font-normal whitespace-nowrap text-ink-3">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {proxies.map((proxy) => (
            <tr key={proxy.proxy_id} className="border-t border-line">
              <th scope="row" className="h-8 max-w-60 pointer-coarse:h-11 truncate text-left font-medium" title={proxy.public_url ?? "listens on every address"}>
                {proxy.proxy_id}
              </th>
              {COLUMNS.map(({ title, cell }) => (
                <td key={title} className="h-8 pl-4 text-right whitespace-nowrap">
                  {cell(proxy, now)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
