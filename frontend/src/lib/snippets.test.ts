import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { fakeRequest } from "../testing/fake-traffic.ts";
import { replayCurl, setupSnippets, shellQuoted, targetOf } from "./snippets.ts";

it.each(["plain", "it's", "$(rm -rf /)", "`id`", 'a "b" \\ c', "line\nbreak", "!!"])("quotes %s so that a shell reads it back", (text) => {
  expect(execFileSync("sh", ["-c", `printf %s ${shellQuoted(text)}`], { encoding: "utf8" })).toBe(text);
});

it("replays a request without its key and its words", () => {
  const curl = replayCurl(fakeRequest({ model_requested: "it's", stream: true, user: "u'1" }));
  expect(curl).toContain("$OPENAI_API_KEY");
  const printed = execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$@"; }; ${curl}`], { encoding: "utf8", env: { OPENAI_API_KEY: "k" } });
  expect(printed).toContain("x-weir-user: u'1");
  expect(JSON.parse(printed.split("\n").at(-2)!)).toEqual({ model: "it's", stream: true, messages: [{ role: "user", content: "…" }] });
});

const FACTS = { base_url: null, port: 8001, proxies: 1, demo: false, model: 'it\'s "x"', clients_required: true };

it("guesses the address from the browser's where the proxy listens on every address", () => {
  expect(targetOf(FACTS, "gpu-box").baseUrl).toBe("http://gpu-box:8001/v1");
  expect(targetOf(FACTS, "::1").baseUrl).toBe("http://[::1]:8001/v1");
  expect(targetOf({ ...FACTS, base_url: "https://llm.example.org/v1" }, "x").baseUrl).toBe("https://llm.example.org/v1");
  expect(targetOf(undefined, "x")).toMatchObject({ known: false, modelKnown: false });
});

it("never writes a key, and quotes odd names", () => {
  const snippets = setupSnippets(targetOf(FACTS, "gpu-box"));
  const curl = snippets.find(({ id }) => id === "curl")!.code;
  const printed = execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$@"; }; ${curl}`], { encoding: "utf8", env: { OPENAI_API_KEY: "k-1" } });
  expect(printed).toContain("Authorization: Bearer k-1");
  expect(JSON.parse(printed.trim().split("\n").at(-1)!).model).toBe(FACTS.model);
  expect(snippets.find(({ id }) => id === "env")!.code).not.toContain("API_KEY");
  expect(snippets.find(({ id }) => id === "python")!.code).toContain('api_key=os.environ["OPENAI_API_KEY"]');
});
