/** Code for people to copy. A key is always a variable or "unused", never a value. */
import type { RequestRecord, SetupFacts } from "./api-types.ts";

/** Where the proxy listens unless told otherwise: shown until a proxy has said better. */
export const DEFAULT_BASE_URL = "http://127.0.0.1:8001/v1";
const UNKNOWN_MODEL = "your-model";

export interface Target {
  /** Ends in `/v1`. */
  baseUrl: string;
  /** Whether it is what a proxy says, or only the default. */
  known: boolean;
  model: string;
  modelKnown: boolean;
  /** Clients need a key of their own. */
  keyRequired: boolean;
}

/** What the snippets are written for. `hostname` is the browser's: the proxy may listen on every address. */
export function targetOf(facts: SetupFacts | undefined, hostname: string): Target {
  const host = hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
  const guessed = facts?.port ? `http://${host}:${facts.port}/v1` : null;
  const baseUrl = facts?.base_url ?? guessed;
  return {
    baseUrl: baseUrl ?? DEFAULT_BASE_URL,
    known: baseUrl !== null,
    model: facts?.model ?? UNKNOWN_MODEL,
    modelKnown: Boolean(facts?.model),
    keyRequired: facts?.clients_required ?? false,
  };
}

export interface Snippet {
  id: string;
  label: string;
  /** The file or program it goes into. */
  title: string;
  /** How to get the library. */
  install?: string;
  code: string;
}

/** Safe inside single quotes of a shell. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A string of Python and JavaScript alike. */
const quoted = (text: string) => JSON.stringify(text);

export function setupSnippets({ baseUrl, model, keyRequired }: Target): Snippet[] {
  const root = baseUrl.replace(/\/v1$/, "");
  const pythonKey = (name: string) => (keyRequired ? `os.environ[${quoted(name)}]` : quoted("unused"));
  const pythonImport = keyRequired ? "import os\n\n" : "";
  const curlKey = keyRequired ? `  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n` : "";
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
  return [
    {
      id: "env",
      label: ".env",
      title: "Environment of your app",
      code: [
        `OPENAI_BASE_URL=${baseUrl}`,
        ...(keyRequired ? [] : ["OPENAI_API_KEY=unused"]),
        `ANTHROPIC_BASE_URL=${root}`,
        ...(keyRequired ? [] : ["ANTHROPIC_API_KEY=unused"]),
      ].join("\n"),
    },
    {
      id: "curl",
      label: "curl",
      title: "Shell",
      code: `curl ${shellQuoted(`${baseUrl}/chat/completions`)} \\\n${curlKey}  -H "Content-Type: application/json" \\\n  -d ${shellQuoted(body)}`,
    },
    {
      id: "python",
      label: "Python",
      title: "openai-python",
      install: "pip install openai",
      code: `${pythonImport}from openai import OpenAI

client = OpenAI(base_url=${quoted(baseUrl)}, api_key=${pythonKey("OPENAI_API_KEY")})
stream = client.chat.completions.create(
    model=${quoted(model)},
    messages=[{"role": "user", "content": "Hello"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`,
    },
    {
      id: "node",
      label: "Node",
      title: "openai-node",
      install: "npm install openai",
      code: `import OpenAI from "openai";

const client = new OpenAI({
  baseURL: ${quoted(baseUrl)},
  apiKey: ${keyRequired ? "process.env.OPENAI_API_KEY" : quoted("unused")},
});
const stream = await client.chat.completions.create({
  model: ${quoted(model)},
  messages: [{ role: "user", content: "Hello" }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}`,
    },
    {
      id: "langchain",
      label: "LangChain",
      title: "LangChain for Python",
      install: "pip install langchain-openai",
      code: `${pythonImport}from langchain_openai import ChatOpenAI

llm = ChatOpenAI(
    base_url=${quoted(baseUrl)},
    api_key=${pythonKey("OPENAI_API_KEY")},
    model=${quoted(model)},
)
print(llm.invoke("Hello").content)`,
    },
    {
      id: "anthropic",
      label: "Anthropic",
      title: "Anthropic SDK for Python",
      install: "pip install anthropic",
      code: `${pythonImport}from anthropic import Anthropic

client = Anthropic(base_url=${quoted(root)}, api_key=${pythonKey("ANTHROPIC_API_KEY")})
message = client.messages.create(
    model=${quoted(model)},
    max_tokens=256,
    messages=[{"role": "user", "content": "Hello"}],
)
print(message.content[0].text)`,
    },
  ];
}

const PATHS: Record<string, string> = { "chat.completions": "/chat/completions" };

/** The request again, as far as the record knows it: the messages were not stored. */
export function replayCurl(row: RequestRecord): string {
  const body = {
    model: row.model_requested ?? row.model ?? "",
    ...(row.stream ? { stream: true } : {}),
    messages: [{ role: "user", content: "…" }],
  };
  const headers = [`-H "Content-Type: application/json"`, `-H "Authorization: Bearer $OPENAI_API_KEY"`];
  if (row.user) headers.push(`-H ${shellQuoted(`x-weir-user: ${row.user}`)}`);
  if (row.project) headers.push(`-H ${shellQuoted(`x-weir-project: ${row.project}`)}`);
  return [
    `curl ${DEFAULT_BASE_URL}${PATHS[row.endpoint] ?? "/chat/completions"} \\`,
    ...headers.map((header) => `  ${header} \\`),
    `  -d ${shellQuoted(JSON.stringify(body))}`,
  ].join("\n");
}
