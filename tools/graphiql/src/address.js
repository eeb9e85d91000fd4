/** The address keeps what was written, so that it can be reloaded, bookmarked and sent: #query=…&variables=… */

export function read() {
  const kept = new URLSearchParams(location.hash.slice(1));
  return { query: kept.get("query") ?? undefined, variables: kept.get("variables") ?? undefined };
}

export function write({ query, variables }) {
  const kept = new URLSearchParams({ query: query ?? "" });
  if (variables?.trim()) kept.set("variables", variables);
  history.replaceState(null, "", `#${kept}`);
}
