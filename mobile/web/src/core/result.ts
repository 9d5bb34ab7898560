/** A benchmark's result as it is kept, exported and pasted. `tools/mobile_report.py` reads it. */

import { bitsOf, type ModelCard, type Recipe } from "./card.js";
import { clockError, slowdown, summarize, type Summary } from "./statistics.js";
import { count, digits, duration } from "./format.js";
import type { Check, Measured, Sample } from "./protocol.js";

export const RESULT_FORMAT = "pams_tf benchmark result";
/** Enough for a plot and the percentiles of a long run, and small enough for the history. */
export const MOST_SAMPLES = 2000;
const NOTABLE_SLOWDOWN = 1.1;
const NOTABLE_CLOCK_ERROR = 0.02;

export interface Device {
  name: string;
  browser: string;
  system: string;
  userAgent: string;
  cores: number | null;
  memoryGiB: number | null;
  gpu: string | null;
  screen: string;
  battery: string | null;
}

export interface Result {
  format: typeof RESULT_FORMAT;
  version: 1;
  id: string;
  date: string;
  app: { page: string; runtime: string };
  device: Device;
  model: {
    name: string;
    file: string;
    bytes: number;
    sha256: string | null;
    recipe: Recipe | null;
    input: number[];
    output: number[];
    dtype: string;
  };
  accelerator: { requested: string; actual: string; fully_accelerated: boolean; threads: number };
  cold_ms: { model: number; runtime: number; compile: number; first_run: number };
  /** Of all samples; `samples` may be thinned out. */
  latency_ms: Summary;
  frames_per_second: number;
  slowdown: number | null;
  samples: Sample[];
  clock: { step_ms: number; runs_per_sample: number; error: number; isolated: boolean };
  memory_bytes: { wasm: number; javascript: number | null };
  check: Check;
  /** The benchmark counts: its output is right, or has nothing to be held against. */
  valid: boolean;
  /** What a reader has to know to trust the figures, in sentences. */
  notes: string[];
}

export interface Circumstances {
  id: string;
  date: string;
  app: Result["app"];
  device: Device;
  javascriptBytes: number | null;
  /** The page was out of sight for a while, where browsers slow it down. */
  wasHidden: boolean;
}

export function makeResult(card: ModelCard, measured: Measured, around: Circumstances): Result {
  const { facts, samples, clock, check } = measured;
  const latency = summarize(samples.map((sample) => sample.ms));
  const slower = slowdown(samples);
  return {
    format: RESULT_FORMAT,
    version: 1,
    id: around.id,
    date: around.date,
    app: around.app,
    device: around.device,
    model: {
      name: card.name,
      file: card.file,
      bytes: facts.bytes,
      sha256: card.sha256 ?? null,
      recipe: card.recipe,
      input: facts.inputShape,
      output: facts.outputShape,
      dtype: facts.dtype,
    },
    accelerator: {
      requested: facts.accelerator.requested,
      actual: facts.accelerator.actual,
      fully_accelerated: facts.accelerator.full,
      threads: facts.threads,
    },
    cold_ms: {
      model: measured.cold.model,
      runtime: measured.cold.runtime,
      compile: measured.cold.compile,
      first_run: measured.cold.firstRun,
    },
    latency_ms: latency,
    frames_per_second: 1000 / latency.mean,
    slowdown: slower,
    samples: thinned(samples, MOST_SAMPLES),
    clock: {
      step_ms: clock.step,
      runs_per_sample: clock.runsPerSample,
      error: clock.error,
      isolated: clock.isolated,
    },
    memory_bytes: { wasm: measured.memory.wasm, javascript: around.javascriptBytes },
    check,
    valid: check.status !== "different" && measured.steady,
    notes: notes(measured, latency, slower, around.wasHidden),
  };
}

function notes(
  { facts, clock, check, steady }: Measured,
  latency: Summary,
  slower: number | null,
  wasHidden: boolean,
): string[] {
  const { requested, actual, full } = facts.accelerator;
  const step = duration(clock.step);
  const error = clockError(latency.p50, clock.runsPerSample, clock.step);
  return [
    check.status === "different" &&
      "The output differs from the host's: these times are those of a wrong result.",
    !steady && "The last run gave another output than the first: the results are not steady.",
    requested !== actual && `${requested} was asked for, but it ran on ${actual}.`,
    requested === actual &&
      !full &&
      (actual === "wasm"
        ? "XNNPACK runs only a part of this network; LiteRT's own, slower kernels run the rest."
        : `${actual} runs only a part of this network; the rest runs on wasm.`),
    clock.runsPerSample > 1 &&
      `The browser's clock ticks in steps of ${step}, too coarse for one run: ` +
        `${clock.runsPerSample} runs were timed together and each value is their mean, so single ` +
        "slow runs do not show in the percentiles.",
    error > NOTABLE_CLOCK_ERROR &&
      `The clock's steps of ${step} leave an uncertainty of ${digits(error * 100)} % in each value.`,
    latency.count < 20 &&
      `Only ${latency.count} ${latency.count === 1 ? "sample" : "samples"} fitted into the time; ` +
        "p99 is no more than the slowest of them.",
    slower !== null &&
      slower >= NOTABLE_SLOWDOWN &&
      `The last quarter was ${digits((slower - 1) * 100)} % slower than the first: the device ` +
        "may be throttling, or something else ran.",
    wasHidden && "The page was out of sight during the run, where browsers slow pages down.",
  ].filter((note) => note !== false);
}

/** At most `most` samples, evenly chosen. */
function thinned(samples: Sample[], most: number): Sample[] {
  const step = Math.max(1, Math.ceil(samples.length / most));
  return samples
    .filter((_, index) => index % step === 0)
    .map(({ at, ms }) => ({ at: Number(at.toFixed(3)), ms: Number(ms.toPrecision(6)) }));
}

/** "0 of 786,432 codes differ" and the like. */
export function checkText(check: Check): string {
  if (!check.comparison) return "no reference";
  const { differing, total, largest } = check.comparison;
  const codes = `${count(differing)} of ${count(total)} codes differ`;
  return differing === 0 ? codes : `${codes}, by ${largest} at most`;
}

/** The heart of a result in one line, to paste into an issue or a chat. */
export function pasteLine(result: Result): string {
  const { model, latency_ms: ms, accelerator } = result;
  const [, height, width] = model.input;
  const threads = accelerator.threads > 1 ? ` ${accelerator.threads} threads` : "";
  return [
    result.valid ? null : "WRONG RESULT",
    result.device.name,
    `${model.file} (${model.recipe ? `${model.recipe.bits} bit` : "float"}, ${width}x${height})`,
    `${accelerator.actual}${threads}${accelerator.fully_accelerated ? "" : " (in part)"}`,
    `p50 ${duration(ms.p50)}, p90 ${duration(ms.p90)}, p99 ${duration(ms.p99)}, ` +
      `mean ${duration(ms.mean)} ± ${duration(ms.deviation)} (${ms.count} samples)`,
    `${digits(result.frames_per_second)} fps`,
    checkText(result.check),
    `LiteRT.js ${result.app.runtime}`,
    result.date.slice(0, 10),
  ]
    .filter((part) => part !== null)
    .join(" | ");
}

export function modelLabel(result: Result): string {
  const bits = bitsOf({ recipe: result.model.recipe } as ModelCard);
  return result.model.name.includes(bits) ? result.model.name : `${result.model.name}, ${bits}`;
}
