/**
 * The worker: one request, one answer. The page starts a new worker for each request, so that a
 * cold start is cold, and ends it to cancel, which works in the middle of a run as well.
 */

import { InputError } from "../core/card.js";
import type { Checked, Reply, Request } from "../core/protocol.js";
import { benchmark } from "./benchmark.js";
import { checkOutput, referenceInput } from "./check.js";
import { reason } from "./runtime.js";
import { open, wholeCard, type Report } from "./session.js";
import { upscale } from "./upscale.js";

const send = (reply: Reply, transfer: Transferable[] = []) =>
  (self as unknown as Worker).postMessage(reply, transfer);
const report: Report = (progress, transfer) => send({ kind: "progress", progress }, transfer);

async function answer(request: Request) {
  switch (request.kind) {
    case "benchmark":
      return benchmark(request, report);
    case "check":
      return check(request);
    case "upscale":
      return upscale(request, report);
  }
}

async function check(request: Extract<Request, { kind: "check" }>): Promise<Checked> {
  const { model, facts } = await open(request.model, request.engine, report);
  const card = await wholeCard(request.model);
  report({ kind: "stage", stage: "first run" });
  model.write(await referenceInput(model, card));
  await model.run();
  return { facts, check: await checkOutput(model.read(), model, card) };
}

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  try {
    send({ kind: "done", result: await answer(data) });
  } catch (error) {
    send({ kind: "failed", message: reason(error), expected: error instanceof InputError });
  }
};
