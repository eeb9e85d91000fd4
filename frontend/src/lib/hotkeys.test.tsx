import { createRoot } from "react-dom/client";
import { flushSync } from "react-dom";
import { expect, it } from "vitest";
import { useHotkeys } from "./hotkeys.ts";

it("answers to a key as soon as it is on the screen", () => {
  const keys: string[] = [];
  function Panel() {
    useHotkeys([{ keys: "Escape", does: "Close", run: (event) => keys.push(event.key) }]);
    return null;
  }
  const root = createRoot(document.createElement("div"));
  // Without act(), which would run the effects that a browser leaves until after the next paint.
  flushSync(() => root.render(<Panel />));
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", cancelable: true }));
  expect(keys).toEqual(["Escape"]);

  flushSync(() => root.unmount());
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", cancelable: true }));
  expect(keys).toEqual(["Escape"]);
});
