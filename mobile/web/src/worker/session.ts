/** Runtime and model, opened with the clock running, for whatever the page asked. */

import { InputError, parseSidecar, type ModelCard } from "../core/card.js";
import { checkModelFile } from "../core/model_file.js";
import type { Engine, ModelFacts, ModelSource, Progress } from "../core/protocol.js";
import { Runtime, type Model } from "./runtime.js";

export type Report = (progress: Progress, transfer?: Transferable[]) => void;

export interface Session {
  runtime: Runtime;
  model: Model;
  facts: ModelFacts;
  times: { runtime: number; model: number; compile: number };
}

export async function open(source: ModelSource, engine: Engine, report: Report): Promise<Session> {
  const start = performance.now();
  report({ kind: "stage", stage: "model" });
  const bytes = await read(source);
  await checkModelFile(bytes, source.card);
  const read_ = performance.now();
  report({ kind: "stage", stage: "runtime" });
  const runtime = await Runtime.load(engine);
  const loaded = performance.now();
  report({ kind: "stage", stage: "compile" });
  const model = await runtime.open(bytes, source.card);
  const compiled = performance.now();
  return {
    runtime,
    model,
    facts: {
      inputShape: model.input.shape,
      outputShape: model.output.shape,
      dtype: model.input.dtype,
      bytes: bytes.length,
      accelerator: {
        requested: engine.accelerator,
        actual: model.accelerator,
        full: model.fullyAccelerated,
      },
      threads: engine.threads,
    },
    times: { model: read_ - start, runtime: loaded - read_, compile: compiled - loaded },
  };
}

async function read({ card, content }: ModelSource): Promise<Uint8Array<ArrayBuffer>> {
  if ("bytes" in content) return content.bytes;
  return new Uint8Array(await (await fetched(content.url, card.file)).arrayBuffer());
}

/** The card with its reference, if it has one. */
export async function wholeCard({ card, content }: ModelSource): Promise<ModelCard> {
  if ("bytes" in content) return card;
  const name = content.cardUrl.split("/").at(-1)!;
  return parseSidecar(await (await fetched(content.cardUrl, name)).text(), name, card.file);
}

async function fetched(url: string, name: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new InputError(`${name} cannot be fetched: the page is offline and never had it.`);
  }
  if (!response.ok) {
    throw new InputError(`${name} cannot be fetched: the server says ${response.status}.`);
  }
  return response;
}
