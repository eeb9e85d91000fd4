/**
 * The live stream of the metrics API, one connection for all tabs of this browser.
 *
 * HTTP/1.1 allows six connections to an origin, so a stream per tab would hang the seventh. The tab that holds
 * the Web Lock reads the EventSource and passes every message on over a BroadcastChannel; the others listen. A
 * tab that has been hidden for a while lets go, and another one takes over from the last id seen. Where Web
 * Locks do not exist (plain http on another host than localhost) each tab reads its own stream.
 */
import type { LiveMessage } from "./api-types.ts";

export type LivePhase = "off" | "connecting" | "open" | "reconnecting";

export interface LiveStatus {
  phase: LivePhase;
  /** Unix ms of the last message: data on the screen is complete until then. */
  lastMessageAt: number | null;
}

type Wire = { kind: "message"; id: string; message: LiveMessage } | { kind: "status"; status: LiveStatus } | { kind: "who" };

export interface LiveSurroundings {
  openSource: (url: string) => EventSource;
  locks: LockManager | undefined;
  openChannel: ((name: string) => BroadcastChannel) | undefined;
  now: () => number;
}

const LOCK = "weir.live";
const LONGEST_WAIT_MS = 15_000;
/** The server sends a bucket every five seconds; this long without one means that the connection is dead. */
const SILENCE_MS = 45_000;

export function browserSurroundings(): LiveSurroundings {
  return {
    openSource: (url) => new EventSource(url),
    locks: navigator.locks,
    openChannel: typeof BroadcastChannel === "undefined" ? undefined : (name) => new BroadcastChannel(name),
    now: Date.now,
  };
}

export class LiveStream {
  readonly #around: LiveSurroundings;
  readonly #messageListeners = new Set<(message: LiveMessage) => void>();
  readonly #statusListeners = new Set<() => void>();
  #status: LiveStatus = { phase: "off", lastMessageAt: null };
  #running: AbortController | null = null;
  #channel: BroadcastChannel | null = null;
  #source: EventSource | null = null;
  #leading = false;
  #lastId = "";
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(around: LiveSurroundings) {
    this.#around = around;
  }

  status = (): LiveStatus => this.#status;

  subscribeStatus = (listener: () => void): (() => void) => {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  };

  subscribe(listener: (message: LiveMessage) => void): () => void {
    this.#messageListeners.add(listener);
    return () => this.#messageListeners.delete(listener);
  }

  start(): void {
    if (this.#running) return;
    const running = new AbortController();
    this.#running = running;
    this.#setStatus({ ...this.#status, phase: "connecting" });
    const { locks, openChannel } = this.#around;
    if (!locks || !openChannel) {
      this.#lead();
      return;
    }
    this.#channel = openChannel(LOCK);
    this.#channel.addEventListener("message", (event: MessageEvent<Wire>) => this.#hear(event.data));
    this.#tell({ kind: "who" });
    locks
      .request(LOCK, { signal: running.signal }, () => {
        if (running.signal.aborted) return undefined;
        this.#lead();
        return new Promise<void>((release) => running.signal.addEventListener("abort", () => release()));
      })
      .catch((error: unknown) => {
        if (!running.signal.aborted) throw error;
      });
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
    this.#source?.close();
    this.#source = null;
    this.#leading = false;
    this.#channel?.close();
    this.#channel = null;
    this.#setStatus({ ...this.#status, phase: "off" });
  }

  #lead(): void {
    this.#leading = true;
    this.#failures = 0;
    this.#open();
  }

  #open(): void {
    const resume = this.#lastId ? `&last_event_id=${encodeURIComponent(this.#lastId)}` : "";
    const source = this.#around.openSource(`/api/events?topics=metrics,requests${resume}`);
    this.#source = source;
    source.addEventListener("message", (event: MessageEvent<string>) => this.#receive(event));
    source.addEventListener("error", () => this.#lost());
    this.#watch();
  }

  /** One path for every kind of loss: a 502 closes an EventSource for good, so it is always opened anew. */
  #lost(): void {
    this.#source?.close();
    this.#source = null;
    if (!this.#running) return;
    this.#setStatus({ ...this.#status, phase: "reconnecting" });
    const wait = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** this.#failures);
    this.#failures += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), wait);
  }

  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  #receive(event: MessageEvent<string>): void {
    const message = JSON.parse(event.data) as LiveMessage;
    this.#failures = 0;
    this.#watch();
    this.#deliver(event.lastEventId, message);
    this.#tell({ kind: "message", id: event.lastEventId, message });
  }

  #deliver(id: string, message: LiveMessage): void {
    if (id) this.#lastId = id;
    this.#setStatus({ phase: "open", lastMessageAt: this.#around.now() });
    for (const listener of this.#messageListeners) listener(message);
  }

  #hear(wire: Wire): void {
    if (wire.kind === "message") this.#deliver(wire.id, wire.message);
    else if (wire.kind === "status" && !this.#leading) this.#setStatus(wire.status);
    else if (wire.kind === "who" && this.#leading) this.#tell({ kind: "status", status: this.#status });
  }

  #tell(wire: Wire): void {
    this.#channel?.postMessage(wire);
  }

  #setStatus(status: LiveStatus): void {
    const changed = status.phase !== this.#status.phase;
    this.#status = status;
    if (changed && this.#leading) this.#tell({ kind: "status", status });
    if (changed || status.phase === "open") for (const listener of this.#statusListeners) listener();
  }
}
