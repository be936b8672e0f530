// Through the kernel, where the page does not come from our notebook server. The messages are described in comm.py.
import type { Answer, Listener, Transport } from "./transport.js";

export interface Model {
  get(name: string): any;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(event: string, callback: (...parts: any[]) => void): void;
  off(event: string, callback: (...parts: any[]) => void): void;
}

const LOST_MS = 35_000; // after which a question is asked again, then after twice as long; the kernel waits 30 s for a service that is silent

/** What is answered to a view that ended. */
function over(): Answer {
  const body = new TextEncoder().encode(JSON.stringify({ message: "the table was painted anew" }));
  return { status: 503, body, type: "application/json" };
}

/** Whether no kernel has this table any more, as in an exported notebook; its layout, which came with it, tells that. */
export function orphaned(model: Model): boolean {
  const layout = model.get("layout");
  return layout?.comm_live === false && !layout.comm;
}

export class Comm implements Transport {
  readonly name = "comm";
  private readonly view = Math.random().toString(36).slice(2); // the model's other views hear all messages too
  private next = 1;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private tell: Listener | null = null;
  private heard = 0; // the number of the last that was told

  constructor(private readonly model: Model, private readonly signal: AbortSignal, private readonly lost = LOST_MS) {
    const receive = (message: any, buffers: DataView[]) => this.receive(message, buffers || []);
    model.on("msg:custom", receive);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", receive);
      for (const resolve of this.waiting.values()) resolve(over());
      this.waiting.clear();
    });
  }

  send(method: string, path: string, query?: URLSearchParams, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    if (this.signal.aborted) return Promise.resolve(over());
    const id = this.next++, question = { view: this.view, id, method, path, query: query ? [...query] : [], body: body ?? null, headers };
    const again = method === "GET" || "Idempotency-Key" in headers; // what may be done twice
    let timer = 0;
    const ask = (wait: number) => {
      this.model.send(question);
      if (again) timer = window.setTimeout(() => { try { ask(2 * wait); } catch { /* the kernel went away */ } }, wait);
    };
    ask(this.lost);
    return new Promise<Answer>((resolve) => this.waiting.set(id, resolve)).finally(() => clearTimeout(timer));
  }

  listen(proposals: string[], last: () => number | null, tell: Listener, signal: AbortSignal): void {
    this.tell = tell;
    this.heard = 0;
    this.model.send({ view: this.view, listen: proposals, last: last() });
    signal.addEventListener("abort", () => {
      if (this.tell !== tell) return;
      this.tell = null;
      this.model.send({ view: this.view, listen: null });
    });
  }

  /** Whether something is asked for that the kernel has not answered: it computes. */
  get busy(): boolean { return this.waiting.size > 0; }

  private receive(message: any, buffers: DataView[]): void {
    if (message?.view !== this.view) return;
    if (typeof message.event === "string") {
      if (message.n > 1 && message.n !== this.heard + 1) this.tell?.("proposals", {}); // the notebook server dropped some: of all anew
      this.heard = message.n ?? 0;
      this.tell?.(message.event, message.data);
      return;
    }
    const resolve = this.waiting.get(message.id);
    if (!resolve) return;
    this.waiting.delete(message.id);
    const view = buffers[0];
    const body = view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array();
    resolve({ status: message.status, body, type: message.type || "", about: message.about || "" });
  }
}
