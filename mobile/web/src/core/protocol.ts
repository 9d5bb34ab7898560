/** What the page and its worker say to each other. */

import type { ModelCard } from "./card.js";
import type { Comparison } from "./codes.js";
import type { Picture } from "./tiling.js";

export interface ModelSource {
  card: ModelCard;
  /**
   * The user's own file; or one of the page, fetched by the worker with its whole card: the page
   * itself has read the list of cards, which leaves the references out to be small.
   */
  content: { url: string; cardUrl: string } | { bytes: Uint8Array<ArrayBuffer> };
}

export interface Engine {
  accelerator: "wasm" | "webgpu";
  threads: number;
}

export type Request =
  | { kind: "benchmark"; model: ModelSource; engine: Engine; seconds: number }
  | { kind: "check"; model: ModelSource; engine: Engine }
  | { kind: "upscale"; model: ModelSource; engine: Engine; picture: Picture };

export interface Sample {
  /** Milliseconds since the timed part began. */
  at: number;
  /** Milliseconds a run; the mean where several runs were timed together. */
  ms: number;
}

export type Stage = "runtime" | "model" | "compile" | "first run" | "warm-up" | "timing";

export type Progress =
  | { kind: "stage"; stage: Stage }
  | { kind: "samples"; samples: Sample[]; share: number }
  | { kind: "tiles"; total: number; scale: number }
  | { kind: "tile"; part: Part; done: number; total: number };

/** A piece of the enlarged picture, by the network and by bicubic. */
export interface Part {
  left: number;
  top: number;
  width: number;
  height: number;
  network: Uint8ClampedArray<ArrayBuffer>;
  bicubic: Uint8ClampedArray<ArrayBuffer>;
}

export type CheckStatus = "equal" | "within rounding" | "different" | "no reference";

export interface Check {
  status: CheckStatus;
  /** Null without a reference. */
  comparison: Comparison | null;
  reference: string | null;
}

export interface ModelFacts {
  inputShape: number[];
  outputShape: number[];
  dtype: string;
  bytes: number;
  accelerator: { requested: string; actual: string; full: boolean };
  threads: number;
}

export interface Measured {
  facts: ModelFacts;
  /** Cold start, part by part, milliseconds. */
  cold: { runtime: number; model: number; compile: number; firstRun: number };
  samples: Sample[];
  clock: { step: number; runsPerSample: number; error: number; isolated: boolean };
  memory: { wasm: number };
  check: Check;
  /** The last timed run gave the very codes of the first run. */
  steady: boolean;
}

export interface Checked {
  facts: ModelFacts;
  check: Check;
}

export interface Upscaled {
  facts: ModelFacts;
  tiles: number;
  milliseconds: number;
}

export type Reply =
  | { kind: "progress"; progress: Progress }
  | { kind: "done"; result: Measured | Checked | Upscaled }
  | { kind: "failed"; message: string; expected: boolean };
