// The part of the widget that is loaded when it is needed first.
import { text, type Transport } from "./transport.js";

declare const VIEW_CHUNK: string;

export async function loadChunk(transport: Transport): Promise<typeof import("./view.js")> {
  const answer = await transport.send("GET", `chunk/${VIEW_CHUNK}`);
  if (answer.status !== 200) throw new Error("the rest of the widget could not be loaded: is the same version installed beside the notebook server?");
  const address = URL.createObjectURL(new Blob([text(answer)], { type: "text/javascript" }));
  try {
    return await import(/* @vite-ignore */ address);
  } finally { URL.revokeObjectURL(address); }
}
