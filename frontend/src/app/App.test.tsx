/** The pages as people use them, over a metrics API of given rows. */
import { act, render, screen, waitFor, within } from "@testing-library/preact";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import type { RequestRecord } from "../lib/api-types.ts";
import { FakeBrowser } from "../testing/fake-live.ts";
import { fakePipeline } from "../testing/fake-api.ts";
import { fakeRequestAt, seeded } from "../testing/fake-traffic.ts";
import { apiAway, apiFailing, apiOver, apiPipeline, backend } from "../testing/handlers.ts";
import { App } from "./App.tsx";

const MINUTE = 60_000;
let browser: FakeBrowser;

function recent(over: Partial<RequestRecord> = {}, minutesAgo = 1): RequestRecord {
  const startedMs = Date.now() - minutesAgo * MINUTE;
  return { ...fakeRequestAt(seeded(minutesAgo), startedMs), outcome: "completed", status_code: 200, ...over };
}

function open(path: string, rows: RequestRecord[] | null = null) {
  const sorted = rows?.toSorted((a, b) => a.started_at - b.started_at);
  if (sorted) backend.use(apiOver(() => sorted));
  window.history.replaceState(null, "", path);
  return render(<App surroundings={browser.tab(false)} />);
}

const address = () => window.location.pathname + window.location.search;
const grid = () => screen.findByRole("grid");

beforeEach(() => {
  browser = new FakeBrowser();
});

describe("the overview", () => {
  it("shows tiles, charts in words, models and the feed", async () => {
    open("/", [recent({ model: "llama3", time_to_first_token_ms: 180 }), recent({ model: "demo", provider: "echo" }, 2)]);
    const models = await screen.findByRole("region", { name: "Models" });
    expect(await within(models).findByRole("link", { name: "llama3" })).toBeTruthy();
    expect(within(models).getByTitle(/built-in demo upstream/)).toBeTruthy();
    expect(await screen.findByRole("figure", { name: /^Traffic by outcome: 2 ok/ })).toBeTruthy();
    expect(await screen.findByRole("figure", { name: /^Time to first token: p50/ })).toBeTruthy();
    expect(screen.getAllByText("unpriced").length).toBeGreaterThan(0);
    expect(screen.queryByText(/\$0/)).toBeNull();
    const feed = screen.getByRole("region", { name: "Live requests" });
    await waitFor(() => expect(within(feed).getAllByRole("listitem")).toHaveLength(2));
  });

  it("turns a chart into its table twin and back with t", async () => {
    const user = userEvent.setup();
    open("/", [recent()]);
    const figure = await screen.findByRole("figure", { name: /^Traffic/ });
    figure.focus();
    await user.keyboard("t");
    expect(await within(figure).findByRole("table", { name: /Traffic by outcome, requests/ })).toBeTruthy();
    await user.keyboard("t");
    expect(within(figure).queryByRole("table")).toBeNull();
  });

  it("leads a newcomer to the first request", async () => {
    open("/", []);
    expect(await screen.findByRole("heading", { name: "No requests yet" })).toBeTruthy();
    expect(screen.getAllByText(/http:\/\/127\.0\.0\.1:8001\/v1/).length).toBeGreaterThan(0);
  });

  it("says when the last request was, and goes there", async () => {
    const user = userEvent.setup();
    open("/?t=15m", [recent({}, 180)]);
    expect(await screen.findByText(/The last one was 3 h ago/)).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "Go to the last one" }));
    expect(address()).toMatch(/^\/\?t=\d{4}-\d\d-\d\dT/);
  });

  it("offers to remove a filter that matches nothing", async () => {
    const user = userEvent.setup();
    open("/?q=model:nope", [recent()]);
    await user.click(await screen.findByRole("button", { name: "Remove model:nope" }));
    expect(address()).toBe("/");
  });

  it("gives the server's reason when something fails", async () => {
    backend.use(apiFailing("Give range= as 5m to 90d."));
    open("/");
    expect((await screen.findAllByText("Give range= as 5m to 90d.")).length).toBeGreaterThan(0);
    expect(screen.getAllByRole("button", { name: "Try again" }).length).toBeGreaterThan(0);
  });
});

describe("a backend that is away", () => {
  it("is named with its address and the way to mend it, and found again", async () => {
    const user = userEvent.setup();
    backend.use(apiAway());
    open("/");
    expect(await screen.findByText("Backend server not available")).toBeTruthy();
    expect(screen.getByText("http://127.0.0.1:8002")).toBeTruthy();
    backend.use(apiOver(() => [recent({ model: "back-again" })]));
    await user.click(screen.getByRole("button", { name: "Try now" }));
    expect(await screen.findByRole("link", { name: "back-again" })).toBeTruthy();
    expect(screen.queryByText("Backend server not available")).toBeNull();
  });
});

describe("requests", () => {
  const rows = [
    recent({ model: "alpha", user: "ann" }, 1),
    recent({ model: "beta", user: "bob", outcome: "timeout", status_code: 504 }, 2),
    recent({ model: "alpha", variant: "canary" }, 3),
  ];

  it("lists newest first and obeys the filter in the address", async () => {
    open("/requests?q=model:alpha", rows);
    const list = await grid();
    await waitFor(() => expect(within(list).getAllByRole("row")).toHaveLength(3)); // with the head
    expect(within(list).queryByText("beta")).toBeNull();
  });

  it("filters by a typed clause, and takes it away with its pill", async () => {
    const user = userEvent.setup();
    open("/requests", rows);
    await grid();
    await user.keyboard("/");
    await user.keyboard("outcome:timeout{Enter}");
    expect(address()).toBe("/requests?q=outcome:timeout");
    await waitFor(async () => expect(within(await grid()).getAllByRole("row")).toHaveLength(2));
    await user.click(screen.getByRole("button", { name: "Remove outcome:timeout" }));
    expect(address()).toBe("/requests");
  });

  it("shows what it did not understand instead of dropping it", async () => {
    open("/requests?q=speed:fast", rows);
    expect((await screen.findByRole("alert")).textContent).toContain("unknown key speed");
  });

  it("filters by a facet", async () => {
    const user = userEvent.setup();
    open("/requests", rows);
    await user.click(await screen.findByRole("checkbox", { name: /beta/ }));
    expect(address()).toBe("/requests?q=model:beta");
  });

  it("opens a request with the keyboard, walks the list and closes", async () => {
    const user = userEvent.setup();
    open("/requests", rows);
    await grid();
    await user.keyboard("jj{Enter}");
    expect(address()).toContain(`id=${rows[1]!.request_id}`);
    const drawer = await screen.findByRole("dialog", { name: "Request detail" });
    expect(await within(drawer).findByText("Where the time went")).toBeTruthy();
    await user.keyboard("j");
    expect(address()).toContain(`id=${rows[2]!.request_id}`);
    await user.keyboard("{Escape}");
    expect(address()).toBe("/requests");
  });

  it("follows keys that come faster than it draws", async () => {
    open("/requests", rows);
    await grid();
    act(() => {
      for (const key of ["j", "j", "j", "Enter"]) {
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      }
    });
    expect(address()).toContain(`id=${rows[2]!.request_id}`);
  });

  it("has a page for one request, also for one that is gone", async () => {
    open(`/requests/${rows[0]!.request_id}`, rows);
    expect(await screen.findByRole("article", { name: `Request ${rows[0]!.request_id}` })).toBeTruthy();
  });

  it("explains an id that is not there", async () => {
    open("/requests/unknown-id", rows);
    expect(await screen.findByText(/No request has the id unknown-id/)).toBeTruthy();
  });

  it("keeps time and filter when the page changes", async () => {
    const user = userEvent.setup();
    open("/requests?t=6h&q=model:alpha", rows);
    await grid();
    await user.keyboard("go");
    expect(address()).toBe("/?t=6h&q=model:alpha");
  });
});

describe("setup and system", () => {
  it("writes the snippets for the proxy that is there, and waits", async () => {
    const user = userEvent.setup();
    open("/setup", []);
    expect((await screen.findAllByText(/127\.0\.0\.1:8001\/v1/)).length).toBeGreaterThan(0);
    expect(screen.getByText("Waiting for your first request…")).toBeTruthy();
    screen.getByRole("tab", { name: ".env" }).focus();
    await user.keyboard("{ArrowRight}");
    expect(screen.getByRole("tab", { name: "curl", selected: true })).toBe(document.activeElement);
    expect(screen.getByRole("tabpanel").textContent).toContain("/chat/completions");
  });

  it("turns the waiting into the request that came", async () => {
    open("/setup", []);
    await screen.findByText("Waiting for your first request…");
    const row = recent({ model: "first-model" }, 0);
    act(() => browser.open[0]!.say({ type: "requests", data: [row] }, "1-0"));
    expect(await screen.findByText(/It works/)).toBeTruthy();
    const link = screen.getByRole("link", { name: /first-model/ });
    expect(link.getAttribute("href")).toBe(`/requests/${row.request_id}`);
  });

  it("tells how the proxies, the stream, the store and the upstreams are", async () => {
    open("/system", [recent()]);
    const proxies = await screen.findByRole("region", { name: "Proxies" });
    expect(within(proxies).getByText("gpu-box-1")).toBeTruthy();
    expect(within(proxies).getByText("ok")).toBeTruthy();
    expect(await screen.findByRole("link", { name: "gpu-1" })).toBeTruthy();
    expect(screen.queryByRole("search")).toBeNull();
  });
});

describe("where every request is", () => {
  const table = async () => within(await screen.findByRole("region", { name: /^Requests by proxy and place/ }));
  const cells = (row: HTMLElement) => within(row).getAllByRole("cell").map((cell) => cell.textContent);
  const well = () => fakePipeline([recent(), recent()], Date.now());
  const link = () => screen.findByRole("link", { name: /unaccounted/ });

  it("is shown by proxy and in all, calm when nothing is missing", async () => {
    backend.use(apiPipeline(well));
    open("/system");
    const shown = await table();
    expect(cells(shown.getByRole("row", { name: /^gpu-box-1 running/ }))).toEqual(["8", "7", "0", "0", "1", "0", "0", "0"]);
    expect(cells(shown.getByRole("row", { name: /^all/ }))).toEqual(["15", "14", "0", "0", "1", "0", "0", "0"]);
    expect(screen.getByText("all accounted for")).toBeTruthy();
    expect(screen.getByText("Storing is up to date.")).toBeTruthy();
    expect((await link()).textContent).toBe("· unaccounted 0");
  });

  it("alarms in the status bar and on the page, and names the life that is short", async () => {
    const report = well();
    const lost = { ...report.proxies![0]!, alive: false, closed: true, crashed: 2, reported_at: report.now - 180_000, unaccounted: 3 };
    backend.use(apiPipeline(() => ({ ...report, proxies: [lost], not_listed: 4, lag_entries: 1, lag_seconds: 2.5, total: { ...report.total, unaccounted: 3 } })));
    open("/system");
    const shown = await table();
    expect(shown.getByRole("row", { name: /gpu-box-1 ended, last heard of 3.min ago, 2 crashed in flight/ }).textContent).toContain("✕ 3");
    expect(screen.getByText("3 unaccounted for")).toBeTruthy();
    expect(screen.getByText(/1 record waits in the stream to be stored, the oldest for 2.5/)).toBeTruthy();
    expect(screen.getByText(/4 earlier lives of proxies ended well/)).toBeTruthy();
    const words = await link();
    expect(words.textContent).toBe("· ✕ unaccounted 3");
    expect(words.getAttribute("href")).toBe("/system");
  });

  it("says that a number is not known, and why, and not 0", async () => {
    const report = well();
    const why = "Redis does not answer: refused";
    const total = { ...report.total, accepted: null, unaccounted: null };
    backend.use(apiPipeline(() => ({ ...report, total, proxies: null, lag_entries: null, lag_seconds: null, unknown: { accepted: why, unaccounted: why } })));
    open("/system");
    const all = (await table()).getByRole("row", { name: /^all/ });
    expect(cells(all)[0]).toBe(`–unknown: ${why}`);
    expect(cells(all)[4]).toBe("1");
    expect(screen.getByText("not known now")).toBeTruthy();
    expect((await link()).textContent).toBe(`· unaccounted –unknown: ${why}`);
  });
});

describe("live", () => {
  const say = (fresh: RequestRecord[], id = "1-0") =>
    act(() => browser.open[0]!.say({ type: "requests", data: fresh }, id));

  it("puts a finished request on the screen without a reload, and obeys the filter", async () => {
    open("/requests?q=model:alpha", [recent({ model: "alpha" }, 5)]);
    const list = await grid();
    say([recent({ model: "alpha", provider: "echo", request_id: "n-1" }, 0), recent({ model: "beta", request_id: "n-2" }, 0)]);
    expect(await within(list).findByTitle(/built-in demo upstream/)).toBeTruthy();
    expect(within(list).queryByText("beta")).toBeNull();
  });

  it("shows a request that is told twice once", async () => {
    const row = recent({ model: "twice", request_id: "n-3" }, 0);
    open("/requests", [recent({}, 5)]);
    const list = await grid();
    say([row], "1-0");
    say([row], "2-0");
    expect(await within(list).findAllByText("twice")).toHaveLength(1);
  });

  it("holds new rows while the pointer is on the list, and shows them on demand", async () => {
    const user = userEvent.setup();
    open("/requests", [recent({}, 5)]);
    const list = await grid();
    await user.hover(list);
    say([recent({ model: "held-back", request_id: "n-4" }, 0)]);
    await user.click(await screen.findByRole("button", { name: "1 new" }));
    expect(await within(list).findByText("held-back")).toBeTruthy();
  });

  it("shows the first request of an empty install by itself", async () => {
    const rows: RequestRecord[] = [];
    backend.use(apiOver(() => rows));
    open("/");
    await screen.findByRole("heading", { name: "No requests yet" });
    rows.push(recent({ model: "first-model" }, 0.1));
    say(rows);
    expect(await screen.findByRole("link", { name: "first-model" })).toBeTruthy();
  });

  it("pauses and goes on with the space bar", async () => {
    const user = userEvent.setup();
    open("/", [recent()]);
    await screen.findByRole("link", { name: /Requests\/s/ });
    await user.keyboard(" ");
    expect(address()).toBe("/?live=0");
    await waitFor(() => expect(browser.open).toHaveLength(0));
    await user.keyboard(" ");
    await waitFor(() => expect(browser.open).toHaveLength(1));
  });

  it("says when the stream is lost, and until when the data reaches", async () => {
    open("/", [recent()]);
    await screen.findByRole("link", { name: /Requests\/s/ });
    say([recent({}, 0)]);
    act(() => browser.open[0]!.break());
    expect(await screen.findByText(/reconnecting, showing data until \d\d:\d\d:\d\d/)).toBeTruthy();
  });
});

it("changes the theme and remembers it", async () => {
  const user = userEvent.setup();
  open("/", [recent()]);
  await user.click(screen.getByRole("button", { name: "Theme" }));
  await user.click(screen.getByRole("button", { name: "Light" }));
  expect(document.documentElement.dataset["theme"]).toBe("light");
  expect(localStorage.getItem("weir.theme")).toBe("light");
});

