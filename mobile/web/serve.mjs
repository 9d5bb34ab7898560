// Serves a folder on localhost: node serve.mjs [FOLDER] [PORT]
//
// With the headers that isolate the page (threads, fine timers) from the first visit on. On a host
// that cannot send them, the page's service worker adds them from the second visit on.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { POLICY } from "./policy.mjs";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".tflite": "application/octet-stream",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};
const ISOLATION = {
  "Content-Security-Policy": POLICY,
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/** A listening server; `headers: false` is a plain static host. */
export async function serve(folder, { port = 0, headers = true } = {}) {
  const root = resolve(folder);
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const file = join(root, normalize(path.endsWith("/") ? `${path}index.html` : path));
    let size;
    try {
      const found = statSync(file);
      if (!file.startsWith(root) || !found.isFile()) throw new Error("not a file");
      size = found.size;
    } catch {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not found\n");
      return;
    }
    response.writeHead(200, {
      "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
      "Content-Length": size,
      "Cache-Control": "no-cache",
      ...(headers ? ISOLATION : {}),
    });
    if (request.method === "HEAD") response.end();
    else createReadStream(file).pipe(response);
  });
  await new Promise((done, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", done);
  });
  return server;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder = "dist", port = "8000"] = process.argv.slice(2);
  try {
    await serve(folder, { port: Number(port) });
    console.log(`http://localhost:${port}/   (Ctrl-C ends it)`);
  } catch (error) {
    console.error(`serve.mjs: port ${port} cannot be used (${error.message}); give another one`);
    process.exit(1);
  }
}
