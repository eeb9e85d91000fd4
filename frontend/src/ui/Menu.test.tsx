import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { expect, it } from "vitest";
import { Menu } from "./Menu.tsx";

it("closes on Escape as soon as it is on the screen, and gives the focus back", () => {
  const host = document.body.appendChild(document.createElement("div"));
  const root = createRoot(host);
  // Without act(), which would run the effects that a browser leaves until after the next paint.
  flushSync(() => root.render(<Menu label="Theme" button="theme">{() => <p>choices</p>}</Menu>));
  const button = host.querySelector("button")!;
  flushSync(() => button.click());
  expect(host.textContent).toContain("choices");
  flushSync(() => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true })));
  expect(host.textContent).not.toContain("choices");
  expect(document.activeElement).toBe(button);
  flushSync(() => root.unmount());
  host.remove();
});
