/** Cold start, then run after run until the time is over. */

import { clockError, clockStep, quantile, runsPerSample } from "../core/statistics.js";
import type { Measured, Request, Sample } from "../core/protocol.js";
import { checkOutput, referenceInput, sameCodes } from "./check.js";
import { open, wholeCard, type Report } from "./session.js";

const WARM_UP_RUNS = 3;
const WARM_UP_MS = 1000;
const FEWEST_SAMPLES = 3;
/** A device so slow that the fewest samples take longer than this many times the time asked for. */
const PATIENCE = 4;
const REPORT_EVERY_MS = 100;

type Wanted = Extract<Request, { kind: "benchmark" }>;

export async function benchmark(request: Wanted, report: Report): Promise<Measured> {
  const { runtime, model, facts, times } = await open(request.model, request.engine, report);
  const card = await wholeCard(request.model);
  const input = await referenceInput(model, card);

  report({ kind: "stage", stage: "first run" });
  const beforeFirst = performance.now();
  model.write(input);
  await model.run();
  const first = model.read();
  const firstRun = performance.now() - beforeFirst;
  const check = await checkOutput(first, model, card);

  report({ kind: "stage", stage: "warm-up" });
  const step = clockStep(() => performance.now());
  const warm: number[] = [];
  const warmUp = performance.now();
  while (warm.length < WARM_UP_RUNS && performance.now() - warmUp < WARM_UP_MS) {
    const start = performance.now();
    await model.run();
    warm.push(performance.now() - start);
  }
  const runs = runsPerSample(quantile(warm, 0.5), step);

  report({ kind: "stage", stage: "timing" });
  const samples: Sample[] = [];
  const limit = request.seconds * 1000;
  const begin = performance.now();
  let [elapsed, reported, unsent] = [0, 0, 0];
  while (
    elapsed < limit ||
    (samples.length < FEWEST_SAMPLES && elapsed < PATIENCE * limit)
  ) {
    const start = performance.now();
    for (let run = 0; run < runs; run++) await model.run();
    const end = performance.now();
    samples.push({ at: start - begin, ms: (end - start) / runs });
    elapsed = end - begin;
    if (end - reported > REPORT_EVERY_MS) {
      const share = Math.min(elapsed / limit, 1);
      report({ kind: "samples", samples: samples.slice(unsent), share });
      [reported, unsent] = [end, samples.length];
    }
  }
  report({ kind: "samples", samples: samples.slice(unsent), share: 1 });

  const median = quantile(samples.map((sample) => sample.ms), 0.5);
  return {
    facts,
    cold: { ...times, firstRun },
    samples,
    clock: {
      step,
      runsPerSample: runs,
      error: clockError(median, runs, step),
      isolated: self.crossOriginIsolated,
    },
    memory: { wasm: runtime.memory },
    check,
    steady: sameCodes(first, model.read()),
  };
}
