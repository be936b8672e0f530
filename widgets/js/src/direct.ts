// Directly to the extension of the notebook server that served this page; a computing kernel stops nothing.
import { hear } from "./ahead.js";
import { h } from "./dom.js";
import type { Answer, Listener, Transport } from "./transport.js";

declare const VIEW_CHUNK: string;

const AWAY = "waiting for the notebook server";
const STOPPED = `${AWAY}, which does not run: start it from the Hub's page, and this table goes on`;
const LOGIN = "waiting for the login to be renewed";
const LOGGED_OUT = "your login here is over: log in to the Hub in another tab, then come back to this one";
const WAITS = [500, 1000, 2000, 5000, 10000];

/** The address of the extension's API; nothing where the page does not come from a Jupyter server. */
export function apiAddress(): string | null {
  const config = document.getElementById("jupyter-config-data");
  if (!config) return null;
  try {
    const base = JSON.parse(config.textContent || "{}").baseUrl;
    return typeof base === "string" ? new URL(`${base}beamhub/api/`, location.origin).href : null;
  } catch { return null; }
}

/** Asks whether the extension is the one that the kernel named; null if not. */
export async function direct(serverId: string | null): Promise<Transport | null> {
  const base = apiAddress();
  if (!base || !serverId) return null;
  try {
    const answer = await fetch(base + "hello", { headers: xsrf(), credentials: "same-origin" });
    if (!answer.ok || (await answer.json()).id !== serverId) return null;
  } catch { return null; }
  return new Direct(base);
}

function xsrf(): Record<string, string> {
  const found = document.cookie.match(/(?:^|;\s*)_xsrf=([^;]+)/);
  return found ? { "X-XSRFToken": decodeURIComponent(found[1]!) } : {};
}

class Direct implements Transport {
  readonly name = "direct";
  constructor(private readonly base: string) {}

  async send(method: string, path: string, query?: URLSearchParams, body?: unknown, headers: Record<string, string> = {}, signal: AbortSignal | null = null): Promise<Answer> {
    const address = this.base + path + (query && query.size ? `?${query}` : ""), asked = Date.now();
    let answer: Response;
    try {
      answer = await fetch(address, {
        method, headers: { ...headers, ...xsrf(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
        credentials: "same-origin", body: body === undefined ? null : JSON.stringify(body), signal,
      });
    } catch {
      const problem = { message: "the notebook server does not answer; is the network there?" };
      return { status: 503, body: new TextEncoder().encode(JSON.stringify(problem)), type: "application/json" };
    }
    if (path === "v1/runs") hear(answer.headers.get("Date"), asked, Date.now()); // others may come from the browser's store
    return { status: answer.status, body: new Uint8Array(await answer.arrayBuffer()), type: answer.headers.get("Content-Type") || "", about: answer.headers.get("BeamHub-Image") || "" };
  }

  listen(proposals: string[], last: () => number | null, tell: Listener, signal: AbortSignal): void {
    let stream = streams.get(this.base);
    if (!stream) streams.set(this.base, (stream = new Stream(this.base)));
    stream.join({ proposals, last, tell }, signal);
  }
}

interface Ear { proposals: string[]; last(): number | null; tell: Listener }

/** Of each address one stream for all tables of the page: without HTTPS a browser holds six connections, then all wait. */
const streams: Map<string, Stream> = ((globalThis as any)[Symbol.for(`beamhub.streams ${VIEW_CHUNK}`)] ??= new Map());

class Stream {
  private readonly ears = new Set<Ear>();
  private lives: AbortController[] = []; // the newest last
  constructor(private readonly base: string) {}

  /** Tells one more from what it shows on; so the stream begins anew, for what all of them may have missed. */
  join(ear: Ear, signal: AbortSignal): void {
    this.ears.add(ear);
    signal.addEventListener("abort", () => { this.ears.delete(ear); if (!this.ears.size) this.end(this.lives.length); }, { once: true });
    const life = new AbortController();
    this.lives.push(life);
    void this.follow(life);
  }

  /** Ends the oldest. */
  private end(many: number): void { for (const life of this.lives.splice(0, many)) life.abort(); }

  private tell(event: string, data: unknown): void { for (const ear of [...this.ears]) ear.tell(event, data); }

  private get query(): URLSearchParams {
    const ears = [...this.ears], names = new Set(ears.flatMap((ear) => ear.proposals));
    const all = ears.some((ear) => !ear.proposals.length); // whoever names none hears of all
    const query = new URLSearchParams(all ? [] : [...names].map((name) => ["proposal", name]));
    const seqs = ears.map((ear) => ear.last()).filter((seq) => seq !== null);
    if (seqs.length) query.set("last", String(Math.min(...seqs)));
    return query;
  }

  private async follow(life: AbortController): Promise<void> {
    const { signal } = life;
    const say = (message: string) => this.tell("status", { live: false, since: new Date().toISOString(), message });
    let renewed = false; // once in a loss, and once each time that somebody comes back to the page
    addEventListener("focus", () => { renewed = false; }, { signal });
    for (let failures = 0; !signal.aborted; failures++) {
      let message = AWAY;
      try {
        const answer = await fetch(`${this.base}changes?${this.query}`, { headers: xsrf(), credentials: "same-origin", signal });
        this.end(this.lives.indexOf(life)); // those before it, now that it hears: nobody says between that it is not live
        if (isStream(answer)) {
          failures = 0;
          renewed = false;
          await read(answer.body!, (event, data) => { if (!signal.aborted) this.tell(event, data); });
        } else message = await why(answer);
      } catch { /* it is said below */ }
      if (signal.aborted) return;
      if (message === LOGGED_OUT && !renewed) {
        renewed = true;
        say(LOGIN);
        await this.renew(signal);
        continue;
      }
      say(message);
      await pause(WAITS[Math.min(failures, WAITS.length - 1)]!, signal);
    }
  }

  /** A restarted server does not know its pages' cookies; the Hub renews them where any page is opened, even out of sight. */
  private renew(signal: AbortSignal): Promise<void> {
    const frame = h("iframe", { src: new URL("../../files/none", this.base).href, hidden: true, title: "login" });
    return new Promise((resolve) => {
      const end = () => { clearTimeout(timer); frame.remove(); resolve(); };
      const timer = setTimeout(end, 10000);
      frame.addEventListener("load", end);
      signal.addEventListener("abort", end, { once: true });
      document.body.append(frame);
    });
  }
}

function isStream(answer: Response): boolean {
  return answer.ok && (answer.headers.get("Content-Type") || "").startsWith("text/event-stream");
}

/** What an answer that is no stream means for the person; success is a page to log in that was led to. */
async function why(answer: Response): Promise<string> {
  if (answer.status === 424) return STOPPED; // so the Hub answers for a server that it does not run
  if (!answer.ok && answer.status !== 401 && answer.status !== 403) return AWAY;
  const problem = await answer.json().catch(() => ({}));
  return problem.reason === "not-owner" ? problem.message : LOGGED_OUT;
}

async function read(stream: ReadableStream<Uint8Array>, tell: Listener): Promise<void> {
  const reader = stream.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop()!;
    for (const part of parts) {
      let event = "message", data = "";
      for (const line of part.split("\n")) {
        if (line.startsWith("event: ")) event = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) tell(event, JSON.parse(data));
    }
  }
}

/** Waits; the network's return and a look at the page end it early. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      for (const event of ["online", "focus"]) removeEventListener(event, end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    for (const event of ["online", "focus"]) addEventListener(event, end, { once: true });
    signal.addEventListener("abort", end, { once: true });
  });
}
