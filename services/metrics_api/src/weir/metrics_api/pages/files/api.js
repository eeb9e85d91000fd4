/** The API page: draws /api/openapi.json and lets each endpoint be tried. */
import { copy, el, pretty, prose } from "./elements.js";

const MOST_SHOWN = 100_000;
let count = 0;
const main = document.getElementById("endpoints");

try {
  const answer = await fetch("/api/openapi.json");
  if (!answer.ok) throw new Error(`it answers ${answer.status}`);
  draw(await answer.json());
} catch (error) {
  main.replaceChildren(el("p", { class: "bad", role: "alert" }, `/api/openapi.json cannot be read: ${error.message}`));
}

function draw(document_) {
  document.getElementById("about").append(...prose(document_.info.description));
  const byTag = new Map();
  for (const [path, { get }] of Object.entries(document_.paths)) {
    byTag.set(get.tags[0], [...(byTag.get(get.tags[0]) ?? []), [path, get]]);
  }
  const contents = document.getElementById("contents");
  main.replaceChildren();
  for (const [tag, endpoints] of byTag) {
    contents.append(el("h2", {}, tag), ...endpoints.map(([path, get]) => el("a", { href: `#${get.operationId}` }, path)));
    main.append(el("h2", {}, tag), ...endpoints.map(([path, get]) => section(document_, path, get)));
  }
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function section(document_, path, operation) {
  const parameters = (operation.parameters ?? []).map((parameter) => resolve(document_, parameter));
  const [media, { schema }] = Object.entries(operation.responses["200"].content)[0];
  const errors = Object.entries(operation.responses).filter(([status]) => status !== "200");
  return el(
    "section",
    { class: "endpoint", id: operation.operationId, "aria-labelledby": `${operation.operationId}-title` },
    el("h3", { id: `${operation.operationId}-title` }, el("span", { class: "mono" }, `GET ${path}`)),
    el("p", { class: "muted" }, operation.summary, ". ", ...prose(operation.description)),
    ...form(path, parameters, media),
    el("h4", {}, media === "text/event-stream" ? "Messages" : "Answer"),
    shape(document_, schema, new Set()),
    ...(errors.length ? [el("h4", {}, "Errors"), ...errors.map(([status, { description }]) =>
      el("div", { class: "field" }, el("code", {}, status), " ", ...prose(description)))] : []),
  );
}

function resolve(document_, node) {
  if (!node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((at, key) => at[key], document_);
}

function form(path, parameters, media) {
  const inputs = new Map();
  const rows = parameters.map((parameter) => {
    const input = field(parameter);
    inputs.set(parameter, input);
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, el("label", { class: "mono", for: input.id }, parameter.name),
        ...(parameter.required ? [el("span", { class: "bad" }, " needed")] : [])),
      el("td", {}, ...prose(parameter.description)),
      el("td", {}, input),
    );
  });
  const result = el("pre", { class: "tried", hidden: true, tabindex: 0, "aria-live": "polite", "aria-label": "Answer" });
  const address = () => url(path, inputs);
  const isStream = media === "text/event-stream";
  const tryIt = el("button", { type: "button", class: "main", onclick: () => run(address(), result, tryIt) }, "Try it");
  const curl = el("button", { type: "button", onclick: () =>
    copy(`curl ${isStream ? "-N " : ""}'${location.origin}${address().replaceAll("'", "%27")}'`, curl) }, "Copy as curl");
  return [
    ...(rows.length ? [el("h4", {}, "Parameters"), el("table", {}, el("tbody", {}, ...rows))] : []),
    el("div", { class: "row" }, ...(isStream || !path.startsWith("/api/") ? [] : [tryIt]), curl),
    result,
  ];
}

function field({ name, schema, place }) {
  const id = `parameter-${(count += 1)}`;
  if (schema.enum) {
    return el("select", { id }, el("option", { value: "" }, schema.default ?? ""), ...schema.enum.map((value) =>
      el("option", { value }, String(value))));
  }
  const hint = schema.items?.enum?.slice(0, 3).join(",") ?? schema.default ?? "";
  return el("input", { id, name, placeholder: hint, autocomplete: "off", spellcheck: "false", "data-place": place });
}

function url(path, inputs) {
  const query = new URLSearchParams();
  let target = path;
  for (const [parameter, input] of inputs) {
    const value = input.value.trim();
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(value || "…"));
    else if (parameter.in === "query" && value) query.set(parameter.name, value);
  }
  const text = query.toString().replaceAll("%2C", ",");
  return text ? `${target}?${text}` : target;
}

async function run(address, result, button) {
  button.disabled = true;
  result.hidden = false;
  result.textContent = "…";
  const start = performance.now();
  try {
    const answer = await fetch(address);
    const text = pretty(await answer.text());
    const cut = text.length > MOST_SHOWN ? `\n… ${text.length - MOST_SHOWN} more characters` : "";
    const time = Math.round(performance.now() - start);
    result.textContent = `GET ${address}\n${answer.status} ${answer.statusText}, ${time} ms\n\n${text.slice(0, MOST_SHOWN)}${cut}`;
    result.classList.toggle("bad", !answer.ok);
  } catch (error) {
    result.textContent = `GET ${address}\nNo answer: ${error.message}`;
    result.classList.add("bad");
  }
  button.disabled = false;
}

/** A schema as a tree; an object inside an object opens on demand. */
function shape(document_, schema, above) {
  const node = resolve(document_, schema);
  const choices = choicesOf(node);
  if (choices.length > 1) return el("div", {}, ...choices.map((choice) => entry(document_, "", choice, above)));
  if (node.type === "array") return shape(document_, node.items, above);
  const properties = Object.entries(node.properties ?? {});
  if (properties.length === 0 && typeof node.additionalProperties === "object") {
    return entry(document_, "(each)", node.additionalProperties, above);
  }
  return el("div", {}, ...properties.map(([name, property]) => entry(document_, name, property, above)));
}

function entry(document_, name, schema, above) {
  const inner = innermost(document_, schema);
  const key = inner?.ref;
  const line = [el("span", { class: "mono" }, name), " ", el("span", { class: "mono type" }, typeName(document_, schema)), " ",
    el("span", { class: "muted" }, ...prose(schema.description ?? resolve(document_, schema).description))];
  if (!inner || above.has(key)) return el("div", { class: "field" }, ...line);
  const details = el("details", {}, el("summary", {}, ...line));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(shape(document_, inner.node, new Set([...above, key])));
  });
  return details;
}

function choicesOf(node) {
  return (node.anyOf ?? node.oneOf ?? []).filter((choice) => choice.type !== "null");
}

/** The object that a schema leads to, through arrays, maps and null. */
function innermost(document_, schema) {
  const node = resolve(document_, schema);
  const choices = choicesOf(node);
  if (choices.length === 1) return innermost(document_, choices[0]);
  if (node.items) return innermost(document_, node.items);
  if (node.properties) return { ref: schema.$ref ?? node.title, node };
  return typeof node.additionalProperties === "object" ? innermost(document_, node.additionalProperties) : undefined;
}

function typeName(document_, schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((choice) => typeName(document_, choice)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `${typeName(document_, schema.items)}[]`;
  if (typeof schema.additionalProperties === "object") return `{ string: ${typeName(document_, schema.additionalProperties)} }`;
  return Array.isArray(schema.type) ? schema.type.join(" | ") : (schema.type ?? "any");
}
