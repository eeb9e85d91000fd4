/** Writes graphiql.js and graphiql.css, each with a `.gz` beside it, to where the metrics API serves them from. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { build } from "esbuild";

const folder = new URL("../../services/metrics_api/src/weir/metrics_api/pages/graphiql/", import.meta.url);

/** GraphiQL's style holds 380 kB of fonts as data: URLs, which the page's policy forbids. The page names its own. */
const withoutFonts = {
  name: "without-fonts",
  setup({ onLoad }) {
    onLoad({ filter: /graphiql[/\\]dist[/\\]style\.css$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replace(/@font-face\s*\{[^}]*\}/g, ""),
      loader: "css",
    }));
  },
};

await rm(folder, { recursive: true, force: true });
await build({
  entryPoints: { graphiql: "src/main.jsx" },
  outdir: fileURLToPath(folder),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  // a <style> element would be refused by the page's policy
  alias: { "react-style-singleton": "./src/adopted-style.js" },
  legalComments: "eof",
  plugins: [withoutFonts],
  logLevel: "warning",
});
for (const name of ["graphiql.js", "graphiql.css"]) {
  const content = await readFile(new URL(name, folder));
  await writeFile(new URL(`${name}.gz`, folder), await promisify(gzip)(content, { level: 9 }));
}
