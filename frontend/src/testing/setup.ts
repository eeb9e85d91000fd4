import { cleanup, configure } from "@testing-library/preact";
import { afterAll, afterEach, beforeAll } from "vitest";
import { backend } from "./handlers.ts";

/** The DOM of the tests has no canvas; charts draw into nothing. Their arithmetic is tested without one. */
const nothing = new Proxy(
  {},
  { get: (_target, name) => (name === "measureText" ? () => ({ width: 10 }) : () => undefined), set: () => true },
);
HTMLCanvasElement.prototype.getContext = (() => nothing) as unknown as HTMLCanvasElement["getContext"];
globalThis.Path2D = class {
  moveTo() {}
  lineTo() {}
  rect() {}
  arc() {}
  closePath() {}
  addPath() {}
} as unknown as typeof Path2D;

/** What is waited for comes; how soon is the machine's business. */
configure({ asyncUtilTimeout: 10_000 });

beforeAll(() => backend.listen({ onUnhandledRequest: "error" }));
afterEach(() => {
  cleanup();
  backend.resetHandlers();
  localStorage.clear();
});
afterAll(() => backend.close());
