/**
 * Keeps the page on the device, and adds the headers that a plain static host does not send:
 * isolation (threads, fine timers) and the content policy of workers.
 */

declare const FILES: string[];
declare const VERSION: string;
declare const POLICY: string;

const worker = self as unknown as ServiceWorkerGlobalScope;
const CACHE = `pams-${VERSION}`;

worker.addEventListener("install", (event) => event.waitUntil(store()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));
// A newer version waits until no tab shows the old one, or until somebody at the page asks for it.
worker.addEventListener("message", (event) => {
  if (event.data === "take over") void worker.skipWaiting();
});
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(worker.registration.scope)) {
    event.respondWith(answer(request));
  }
});

async function store(): Promise<void> {
  const cache = await caches.open(CACHE);
  const runtime = (await hasRelaxedSimd()) ? "litert_wasm_internal" : "litert_wasm_compat_internal";
  await cache.addAll([
    "./",
    ...FILES.filter((file) => file !== "index.html"),
    `litert/${runtime}.js`,
    `litert/${runtime}.wasm`,
  ]);
}

async function takeOver(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith("pams-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/** From the cache, else from the network; builds of the runtime are stored as they are used. */
async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const key = request.mode === "navigate" ? "./" : request;
  const cached = await cache.match(key, { ignoreSearch: true });
  if (cached) return isolated(cached);
  const response = await fetch(request);
  if (response.ok && request.url.includes("/litert/")) await cache.put(request, response.clone());
  return isolated(response);
}

function isolated(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set("Content-Security-Policy", POLICY);
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

/** The runtime asks the same, and takes its compatible build where the answer is no. */
async function hasRelaxedSimd(): Promise<boolean> {
  return WebAssembly.validate(
    new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1,
      253, 15, 65, 2, 253, 15, 253, 128, 2, 11,
    ]),
  );
}
