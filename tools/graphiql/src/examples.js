/** What people ask first. The first one is what an empty page begins with. */
export const EXAMPLES = {
  "Newest requests": `{
  requests(range: "24h", limit: 5) {
    items {
      request_id
      model
      user
      outcome
      duration_ms
      prompt_tokens
      completion_tokens
    }
    next_cursor
  }
}
`,
  "Summary by model": `query Models($range: String = "24h") {
  summary(range: $range, by: model) {
    total { requests error_rate_pct ttft_ms { p50 p95 n } }
    groups { key requests share_pct latency_ms { p95 } }
  }
}
`,
  "What failed": `{
  requests(range: "24h", filter: { outcome: [upstream_error, timeout, truncated] }) {
    items { request_id model upstream status_code error_type error_message }
  }
}
`,
  "Series": `{
  series(metrics: [requests, ttft_p95], range: "1h", by: model) {
    t0
    step
    lines { metric group values }
  }
}
`,
  "Variants and upstreams": `{
  variants { variant healthy req_rate error_rate_pct latency_p50_ms }
  upstreams(range: "24h") { name provider requests error_rate_pct }
}
`,
};
