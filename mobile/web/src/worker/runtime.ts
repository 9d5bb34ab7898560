/** LiteRT.js behind two small classes, with int8 tensors (see the build's `int8Tensors`). */

import { loadLiteRt, Tensor, type CompiledModel, type LiteRt } from "@litertjs/core";
import { InputError, type ModelCard, type TensorCard } from "../core/card.js";
import type { Codes, DType, Quantization } from "../core/codes.js";

export type Accelerator = "wasm" | "webgpu";

export interface RuntimeOptions {
  accelerator: Accelerator;
  threads: number;
}

/** A folder of the page: the runtime's scripts and wasm files, as the package has them. */
const FOLDER = new URL("litert/", self.location.href).href;

export class Runtime {
  /** What LiteRT printed; the reason behind its short errors is in here. */
  readonly messages: string[] = [];
  private constructor(
    private readonly options: RuntimeOptions,
    private liteRt: LiteRt,
  ) {}

  static async load(options: RuntimeOptions): Promise<Runtime> {
    const messages: string[] = [];
    const collect = (line: unknown) => void messages.push(String(line));
    // Emscripten's script reads this; in a worker it would look beside the worker otherwise.
    (self as { Module?: unknown }).Module = {
      locateFile: (file: string) => FOLDER + file,
      mainScriptUrlOrBlob: `${FOLDER}litert_wasm_threaded_internal.js`,
      print: collect,
      printErr: collect,
    };
    if (options.accelerator === "wasm") {
      // The package opens the GPU whenever there is one, which a cold start on the CPU would pay.
      Object.defineProperty(self.navigator, "gpu", { value: undefined });
    }
    const threads = options.threads > 1;
    // A graph that the GPU takes only in part needs JSPI to go on in WebAssembly.
    const jspi = options.accelerator === "webgpu" && "Suspending" in WebAssembly;
    const liteRt = await loadLiteRt(FOLDER, { threads: threads && !jspi, jspi });
    const runtime = new Runtime(options, liteRt);
    runtime.messages.push(...messages);
    return runtime;
  }

  /** Bytes of memory that WebAssembly holds; it never shrinks, so this is the peak. */
  get memory(): number {
    return this.liteRt.liteRtWasm.HEAPU8.byteLength;
  }

  async open(bytes: Uint8Array, card: ModelCard): Promise<Model> {
    const { accelerator, threads } = this.options;
    let compiled: CompiledModel;
    try {
      compiled = await this.liteRt.loadAndCompile(bytes, {
        accelerator,
        cpuOptions: { numThreads: threads },
      });
    } catch (error) {
      throw new InputError(
        `${card.file} cannot be loaded: it is damaged, or holds what LiteRT does not know ` +
          `(${reason(error)}).`,
      );
    }
    return new Model(compiled, card);
  }
}

export class Model {
  readonly input: TensorCard;
  readonly output: TensorCard;
  /** Where it really runs: the runtime falls back to wasm by itself. */
  readonly accelerator: string;
  readonly fullyAccelerated: boolean;
  private source: Tensor | null = null;
  private result: Tensor | null = null;

  constructor(
    private readonly compiled: CompiledModel,
    card: ModelCard,
  ) {
    this.accelerator = compiled.options.accelerator;
    this.fullyAccelerated = compiled.isFullyAccelerated;
    this.input = only("input", compiled.getInputDetails(), card);
    this.output = only("output", compiled.getOutputDetails(), card);
    const [, height, width] = this.input.shape as [number, number, number];
    const [, outHeight, outWidth] = this.output.shape as [number, number, number];
    if (outHeight % height || outHeight / height !== outWidth / width) {
      throw new InputError(
        `${card.file} turns ${width}x${height} into ${outWidth}x${outHeight} pixels; ` +
          "an image model that enlarges by a whole factor is needed.",
      );
    }
  }

  get width(): number {
    return this.input.shape[2]!;
  }

  get height(): number {
    return this.input.shape[1]!;
  }

  get scale(): number {
    return this.output.shape[1]! / this.input.shape[1]!;
  }

  write(codes: Codes): void {
    this.source?.delete();
    // The package's types do not know int8; its code does, since our build.
    this.source = new Tensor(codes as Uint8Array<ArrayBuffer>, this.input.shape);
  }

  /** Run once. A GPU returns before it is done, so its result is fetched here. */
  async run(): Promise<void> {
    if (!this.source) throw new Error("write() comes before run()");
    this.result?.delete();
    this.result = null;
    const [result] = await this.compiled.run([this.source]);
    this.result = result!;
    if (this.accelerator !== "wasm") {
      this.result = await result!.moveTo("wasm");
    }
  }

  read(): Codes {
    if (!this.result) throw new Error("run() comes before read()");
    return this.result.toTypedArray() as unknown as Codes;
  }
}

interface Details {
  readonly dtype: string;
  readonly shape: Int32Array;
}

function only(side: "input" | "output", all: readonly Details[], card: ModelCard): TensorCard {
  if (all.length !== 1) {
    throw new InputError(
      `${card.file} has ${all.length} ${side}s; an image model, which has one, is needed.`,
    );
  }
  const [shape, dtype] = [[...all[0]!.shape], all[0]!.dtype as DType];
  if (shape.length !== 4 || shape[0] !== 1 || shape[3] !== 3 || Math.min(...shape) < 1) {
    throw new InputError(
      `${card.file} has an ${side} of ${shape.join("x")}; an image model of a fixed size, ` +
        "1xHEIGHTxWIDTHx3, is needed.",
    );
  }
  const said = card[side];
  if (said && (said.dtype !== dtype || said.shape.join() !== shape.join())) {
    throw new InputError(
      `${card.file} has an ${side} of ${dtype} ${shape.join("x")}, but its card says ` +
        `${said.dtype} ${said.shape.join("x")}: the card belongs to another file.`,
    );
  }
  return { shape, dtype, ...(said ? pick(said) : byConvention(dtype)) };
}

function pick({ scale, zero_point }: Quantization): Quantization {
  return { scale, zero_point };
}

/** A file says nothing of its scales here; the project's converter always writes these. */
function byConvention(dtype: DType): Quantization {
  return { scale: 1, zero_point: dtype === "int8" ? -128 : 0 };
}

export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0]!.slice(0, 200) || "no reason given";
}
