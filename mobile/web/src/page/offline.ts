/** The service worker: offline use, and isolation where the host does not send its headers. */

import { button, byId, element } from "./dom.js";

export async function registerServiceWorker(): Promise<void> {
  if (self.crossOriginIsolated) chip("Threads and fine clock");
  if (!("serviceWorker" in navigator)) {
    chip("Online only: offline use needs https or localhost");
    return;
  }
  try {
    offerUpdates(await navigator.serviceWorker.register("service_worker.js"));
  } catch {
    chip("Online only: the browser refused to store the page");
    return;
  }
  // An installed worker has stored everything; a failed installation never becomes ready.
  await navigator.serviceWorker.ready;
  chip("Works offline").dataset["ready"] = "offline";
  if (self.crossOriginIsolated) return;
  const item = chip("");
  item.append(button("Reload for threads and a fine clock", () => location.reload()));
}

/** A newer version is stored beside the one in use; say so, and change over when asked to. */
function offerUpdates(registration: ServiceWorkerRegistration): void {
  const offer = () => {
    const { waiting } = registration;
    if (!waiting || !navigator.serviceWorker.controller) return;
    const changeOver = () => {
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
      waiting.postMessage("take over");
    };
    chip("").append(button("New version: reload", changeOver));
  };
  offer();
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer, { once: true });
  });
}

function chip(text: string): HTMLElement {
  const item = element("li", {}, text);
  byId("chips").append(item);
  return item;
}
