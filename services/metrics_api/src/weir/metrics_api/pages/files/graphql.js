/** The GraphQL page: write a query, run it, look the schema up. The address keeps what was written. */
import { copy, el, pretty, prose } from "./elements.js";

const EXAMPLES = {
  "Newest requests": `{
  requests(range: "24h", limit: 5) {
    items { request_id model user outcome duration_ms prompt_tokens completion_tokens }
    next_cursor
  }
}`,
  "Summary by model": `query Models($range: String = "24h") {
  summary(range: $range, by: model) {
    total { requests error_rate_pct ttft_ms { p50 p95 n } }
    groups { key requests share_pct latency_ms { p95 } }
  }
}`,
  "What failed": `{
  requests(range: "24h", filter: { outcome: [upstream_error, timeout, truncated] }) {
    items { request_id model upstream status_code error_type error_message }
  }
}`,
  "Series": `{
  series(metrics: [requests, ttft_p95], range: "1h", by: model) {
    t0
    step
    lines { metric group values }
  }
}`,
  "Variants and upstreams": `{
  variants { variant healthy req_rate error_rate_pct latency_p50_ms }
  upstreams(range: "24h") { name provider requests error_rate_pct }
}`,
};
const TYPE = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
const SCHEMA = `{ __schema { queryType { name } types { kind name description
  fields { name description args { name description defaultValue type { ${TYPE} } } type { ${TYPE} } }
  inputFields { name description type { ${TYPE} } } enumValues { name description } } } }`;

const [query, variables, answer, state, explorer, run] = ["query", "variables", "answer", "state", "explorer", "run"].map(
  (id) => document.getElementById(id),
);
const examples = document.getElementById("examples");
let running;

examples.append(...Object.keys(EXAMPLES).map((name) => el("option", {}, name)));
examples.addEventListener("change", () => show(EXAMPLES[examples.value], ""));
run.addEventListener("click", () => send());
document.getElementById("share").addEventListener("click", (event) => copy(location.href, event.currentTarget));
for (const editor of [query, variables]) {
  editor.addEventListener("input", keep);
  editor.addEventListener("keydown", onKey);
}
addEventListener("hashchange", restore);
restore();
await readSchema();

function restore() {
  const kept = new URLSearchParams(location.hash.slice(1));
  query.value = kept.get("query") ?? EXAMPLES["Newest requests"];
  variables.value = kept.get("variables") ?? "";
}

function keep() {
  const kept = new URLSearchParams({ query: query.value });
  if (variables.value.trim()) kept.set("variables", variables.value);
  history.replaceState(null, "", `#${kept}`);
}

function show(newQuery, newVariables) {
  query.value = newQuery;
  variables.value = newVariables;
  keep();
}

function onKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    void send();
  }
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
    const { value, selectionStart } = event.target;
    const line = value.slice(0, selectionStart).split("\n").at(-1);
    const indent = /^\s*/.exec(line)[0] + (/[{[(]\s*$/.test(line) ? "  " : "");
    if (!indent) return;
    event.preventDefault();
    event.target.setRangeText(`\n${indent}`, selectionStart, event.target.selectionEnd, "end");
    keep();
  }
}

async function ask(body, signal) {
  return fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

async function send() {
  let given = {};
  try {
    given = variables.value.trim() ? JSON.parse(variables.value) : {};
  } catch (error) {
    return say(`The variables are not JSON: ${error.message}`, true);
  }
  running?.abort();
  const mine = (running = new AbortController());
  const chosen = operationAtCursor();
  say("Running …", false);
  const start = performance.now();
  try {
    const response = await ask({ query: query.value, variables: given, operationName: chosen }, mine.signal);
    const text = await response.text();
    answer.textContent = pretty(text);
    const failed = !response.ok || /^\{"errors"/.test(text);
    say(`${response.status}, ${Math.round(performance.now() - start)} ms, ${text.length} characters`, failed);
  } catch (error) {
    if (!mine.signal.aborted) say(`No answer: ${error.message}`, true);
  }
}

function say(text, bad) {
  state.textContent = text;
  state.classList.toggle("bad", bad);
}

/** Of several operations the one that the cursor is in. */
function operationAtCursor() {
  const found = [...query.value.matchAll(/^\s*query\s+([_A-Za-z]\w*)/gm)];
  if (found.length < 2) return undefined;
  return (found.filter((match) => match.index <= query.selectionStart).at(-1) ?? found[0])[1];
}

async function readSchema() {
  try {
    const found = await (await ask({ query: SCHEMA })).json();
    if (!found.data) throw new Error("the server does not tell it");
    const types = new Map(found.data.__schema.types.map((type) => [type.name, type]));
    showType(types, found.data.__schema.queryType.name, []);
  } catch (error) {
    explorer.replaceChildren(el("p", {}, `The schema cannot be shown: ${error.message}.`));
  }
}

function showType(types, name, trail) {
  const type = types.get(name);
  const here = [...trail, name];
  const link = (reference) => {
    const inner = innermost(reference);
    return el("button", { type: "button", class: "link type", onclick: () => showType(types, inner, here) }, written(reference));
  };
  const back = trail.length
    ? [el("button", { type: "button", onclick: () => showType(types, trail.at(-1), trail.slice(0, -1)) }, `‹ ${trail.at(-1)}`)]
    : [];
  const fields = (type.fields ?? type.inputFields ?? []).map((field) =>
    el(
      "div",
      { class: "entry" },
      el("button", { type: "button", class: "link", title: "Put into the query", onclick: () => insert(field.name) }, field.name),
      ": ",
      link(field.type),
      ...(field.description ? [el("p", {}, ...prose(field.description))] : []),
      ...(field.args ?? []).map((argument) =>
        el("div", { class: "field" }, el("span", { class: "mono" }, `${argument.name}: `), link(argument.type),
          ...(argument.defaultValue ? [el("span", { class: "mono muted" }, ` = ${argument.defaultValue}`)] : []),
          ...(argument.description ? [el("p", {}, ...prose(argument.description))] : []))),
    ),
  );
  const values = (type.enumValues ?? []).map(({ name: value, description }) =>
    el("div", { class: "entry" },
      el("button", { type: "button", class: "link", title: "Put into the query", onclick: () => insert(value) }, value),
      ...(description ? [el("p", {}, ...prose(description))] : [])));
  explorer.replaceChildren(...back, el("h3", { class: "mono" }, name), el("p", {}, ...prose(type.description)), ...fields, ...values);
  explorer.scrollTop = 0;
}

function insert(text) {
  query.setRangeText(`${text} `, query.selectionStart, query.selectionEnd, "end");
  query.focus();
  keep();
}

function innermost(type) {
  return type.ofType ? innermost(type.ofType) : type.name;
}

function written(type) {
  if (type.kind === "NON_NULL") return `${written(type.ofType)}!`;
  return type.kind === "LIST" ? `[${written(type.ofType)}]` : type.name;
}
