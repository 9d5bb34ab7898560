/** The page's side of the worker: start a request, hear of its progress, end it at any time. */

import type { Progress, Reply, Request } from "../core/protocol.js";

export class Cancelled extends Error {}

export interface Job<Result> {
  result: Promise<Result>;
  cancel(): void;
}

export function start<Result>(
  request: Request,
  onProgress: (progress: Progress) => void,
  transfer: Transferable[] = [],
): Job<Result> {
  const worker = new Worker("worker.js");
  let cancel = () => {};
  const result = new Promise<Result>((resolve, reject) => {
    cancel = () => reject(new Cancelled("cancelled"));
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if (data.kind === "progress") onProgress(data.progress);
      else if (data.kind === "done") resolve(data.result as Result);
      else reject(new Error(data.message));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`The worker failed: ${event.message || "it could not be loaded"}.`));
    };
    worker.postMessage(request, transfer);
  }).finally(() => worker.terminate());
  return { result, cancel: () => cancel() };
}
