// How the page reaches the service: directly through the extension of its notebook server, else through the kernel.

/** `about` is what the answer says of a picture, as JSON. */
export interface Answer { status: number; body: Uint8Array; type: string; about?: string }
export type Listener = (event: string, data: any) => void;

export interface Transport {
  readonly name: "direct" | "comm";
  /** One request; `path` as the extension names it: `v1/runs`, `chunk/…`, `selection/…`. */
  send(method: string, path: string, query?: URLSearchParams, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Answer>;
  /** Hints of changes in some proposals (none: in all; those in others may come too) until the signal ends it, from `last()` on: the seq of what is shown, if anything is. */
  listen(proposals: string[], last: () => number | null, tell: Listener, signal: AbortSignal): void;
}

/** What was refused, in the service's own sentence. */
export class Refused extends Error {
  constructor(message: string, readonly status: number) { super(message); }
}

export function text(answer: Answer): string {
  return new TextDecoder().decode(answer.body);
}

/** A request whose answer is JSON; anything but success is thrown as a sentence. */
export async function json<Body>(
  transport: Transport, method: string, path: string, query?: URLSearchParams, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal,
): Promise<Body> {
  const answer = await transport.send(method, path, query, body, headers, signal);
  if (answer.status >= 300) throw new Refused(sentence(answer), answer.status);
  if (answer.status === 204) return undefined as Body;
  try { return JSON.parse(text(answer)); }
  catch { throw new Refused("what answered is not the notebook server; are you logged in?", answer.status); }
}

export function sentence(answer: Answer): string {
  try { return JSON.parse(text(answer)).message || `the answer was ${answer.status}`; }
  catch { return `the notebook server answered ${answer.status}`; }
}
