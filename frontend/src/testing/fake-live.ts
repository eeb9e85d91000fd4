/** Surroundings of a LiveStream without a network: sources that tests speak through. */
import type { LiveMessage } from "../lib/api-types.ts";
import type { LiveSurroundings } from "../lib/live-stream.ts";

export class FakeSource extends EventTarget {
  readonly url: string;
  closed = false;

  constructor(url: string) {
    super();
    this.url = url;
  }

  close(): void {
    this.closed = true;
  }

  say(message: LiveMessage, id = ""): void {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message), lastEventId: id }));
  }

  break(): void {
    this.dispatchEvent(new Event("error"));
  }
}

/** One holder at a time, the next in order of asking; as far as the stream uses it. */
class FakeLocks {
  #held = false;
  readonly #waiting: (() => void)[] = [];

  async request(_name: string, options: { signal: AbortSignal }, hold: () => Promise<void> | undefined): Promise<void> {
    if (this.#held) await new Promise<void>((ready) => this.#waiting.push(ready));
    if (options.signal.aborted) {
      this.#waiting.shift()?.();
      return;
    }
    this.#held = true;
    await hold();
    this.#held = false;
    this.#waiting.shift()?.();
  }
}

class FakeChannel extends EventTarget {
  readonly #peers: Set<FakeChannel>;

  constructor(peers: Set<FakeChannel>) {
    super();
    this.#peers = peers;
    peers.add(this);
  }

  postMessage(data: unknown): void {
    for (const peer of this.#peers) if (peer !== this) peer.dispatchEvent(new MessageEvent("message", { data }));
  }

  close(): void {
    this.#peers.delete(this);
  }
}

export class FakeBrowser {
  readonly sources: FakeSource[] = [];
  readonly #locks = new FakeLocks();
  readonly #channels = new Set<FakeChannel>();

  /** A tab of this browser; without `shared` there are no Web Locks, as on plain http. */
  tab(shared: boolean): LiveSurroundings {
    return {
      openSource: (url) => {
        const source = new FakeSource(url);
        this.sources.push(source);
        return source as unknown as EventSource;
      },
      locks: shared ? (this.#locks as unknown as LockManager) : undefined,
      openChannel: shared ? () => new FakeChannel(this.#channels) as unknown as BroadcastChannel : undefined,
      now: Date.now,
    };
  }

  get open(): FakeSource[] {
    return this.sources.filter((source) => !source.closed);
  }
}
