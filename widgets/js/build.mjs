// Builds the two chunks into ../static: widget.js, and view-<hash>.js whose name is written into the first.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const out = new URL("../static/", import.meta.url);
const options = {
  bundle: true, format: "esm", minify: true, target: "es2022", write: false, legalComments: "none",
  loader: { ".css": "text" }, logLevel: "warning",
};
mkdirSync(out, { recursive: true });
for (const name of readdirSync(out)) rmSync(new URL(name, out));

const view = (await build({ ...options, entryPoints: ["src/view.ts"] })).outputFiles[0].contents;
const name = `view-${createHash("sha256").update(view).digest("hex").slice(0, 12)}.js`;
const widget = (await build({
  ...options, entryPoints: ["src/widget.ts"], define: { VIEW_CHUNK: JSON.stringify(name) },
})).outputFiles[0].contents;

writeFileSync(new URL(name, out), view);
writeFileSync(new URL("widget.js", out), widget);
for (const [file, content] of [["widget.js", widget], [name, view]]) {
  console.log(`${file}: ${content.length} bytes, ${gzipSync(content, { level: 9 }).length} gzip`);
}
