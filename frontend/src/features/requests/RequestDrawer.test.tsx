import { fireEvent, render } from "@testing-library/preact";
import { expect, it } from "vitest";
import { RequestDrawer } from "./RequestDrawer.tsx";

it("is closed by Escape even while its code is on its way", () => {
  window.history.replaceState(null, "", "/requests?id=r-1");
  const { container } = render(<RequestDrawer />);
  expect(container.textContent).toBe("");
  fireEvent.keyDown(document.body, { key: "Escape" });
  expect(window.location.search).toBe("");
});
