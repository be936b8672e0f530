// A link that opens an output in h5web, where Lab has it and its file browser shows the file. Our plug-in opens it beside
// the notebook: h5web opens what is selected in the file browser, and nothing when an address is opened.
import { h } from "./dom.js";
import { json } from "./transport.js";
import type { Context } from "./view.js";

const NAME = "jupyterlab-h5web";

/** The link for a run's output; null where there is nothing that it could lead to. */
export async function h5webLink({ transport }: Context, id: number): Promise<HTMLElement | null> {
  const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}");
  const extensions: { name?: string }[] = config.federated_extensions ?? [];
  if (transport.name !== "direct" || !extensions.some((one) => one.name === NAME)) return null;
  const place = await json<{ path: string }>(transport, "GET", `place/${id}`).catch(() => null);
  if (!place) return null;
  const address = `${config.baseUrl}lab/tree/${place.path.split("/").map(encodeURIComponent).join("/")}`;
  return h("a", { href: address, target: "_blank", rel: "noopener", class: "bh-open", "data-path": place.path }, "open in h5web");
}
