// Talks to the base URL in its first argument through openai-node, one plain and one streamed completion,
// a listing and an error, and prints what the library made of them as one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "sk-node", maxRetries: 0 });
const model = process.argv[3];
const messages = [{ role: "user", content: "Hello from node" }];

const plain = await client.chat.completions.create({ model, messages });

let streamed = "";
let chunks = 0;
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  streamed += chunk.choices[0].delta.content ?? "";
  chunks += 1;
}

let usage = null;
const withUsage = { model, messages, stream: true, stream_options: { include_usage: true } };
for await (const chunk of await client.chat.completions.create(withUsage)) {
  usage = chunk.usage ?? usage;
}

const models = [];
for await (const listed of await client.models.list()) models.push(listed.id);

let error = null;
try {
  await client.fineTuning.jobs.retrieve("job-1");
} catch (caught) {
  error = { name: caught.constructor.name, status: caught.status, code: caught.code, type: caught.type };
}

const answer = { plain: plain.choices[0].message.content, total: plain.usage.total_tokens };
console.log(JSON.stringify({ ...answer, streamed, chunks, usage: usage.total_tokens, models, error }));
