import { readFileSync } from "node:fs";
import tailwindcss from "@tailwindcss/vite";
import { preact } from "@preact/preset-vite";
import type { ProxyOptions } from "vite";
import { defineConfig } from "vitest/config";
import { precompress } from "./build/precompress.ts";
import { fakeBackend } from "./src/testing/dev-backend.ts";

/** The same promise as the dashboard gateway: one origin, and clear words when the backend is away. */
function toBackend(target: string): ProxyOptions {
  return {
    target,
    changeOrigin: true,
    configure(proxy) {
      proxy.on("error", (_error, _request, response) => {
        if (!("writeHead" in response) || response.headersSent) return;
        response.writeHead(502, { "Content-Type": "application/json" });
        response.end(
          JSON.stringify({
            error: "Backend server not available",
            backend_url: target,
            hint: "Start it with `weir metrics-api`, or set WEIR_BACKEND_URL.",
          }),
        );
      });
    },
  };
}

/** The version of the checkout, for the system page. */
function version(): string | null {
  try {
    return readFileSync(new URL("../VERSION", import.meta.url), "utf8").trim();
  } catch {
    return null; // the folder was copied without its surroundings
  }
}

export default defineConfig(({ mode }) => {
  const backend = process.env["WEIR_BACKEND_URL"] ?? "http://127.0.0.1:8002";
  const proxy = { "/api": toBackend(backend), "/graphql": toBackend(backend) };
  return {
    define: { WEIR_VERSION: JSON.stringify(version()) },
    plugins: [preact({ reactAliasesEnabled: false, devToolsEnabled: false }), tailwindcss(), precompress(), ...(mode === "mock" ? [fakeBackend()] : [])],
    server: { host: "127.0.0.1", proxy: mode === "mock" ? {} : proxy },
    preview: { host: "127.0.0.1", proxy: mode === "mock" ? {} : proxy },
    build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
    test: {
      environment: "happy-dom",
      setupFiles: ["src/testing/setup.ts"],
      restoreMocks: true,
      testTimeout: 30_000,
      env: { TZ: "UTC" },
    },
  };
});
