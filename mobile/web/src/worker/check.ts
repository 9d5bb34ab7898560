/** Does this device compute what the host computed? Code by code, for the stored input. */

import { InputError, type ModelCard } from "../core/card.js";
import { compare, toBytes, toCodes, type Codes } from "../core/codes.js";
import { unpack } from "../core/model_file.js";
import type { Check } from "../core/protocol.js";
import type { Model } from "./runtime.js";

/** Floats may differ in their last bits, and so by one grey level where they are rounded. */
const FLOAT_TOLERANCE = { largest: 1, share: 0.01 };

/** The reference's input; without a reference, a fixed pattern, for the time it takes. */
export async function referenceInput(model: Model, card: ModelCard): Promise<Codes> {
  const [, height, width] = model.input.shape as [number, number, number];
  if (!card.reference) {
    const bytes = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37 + (i >> 6)) & 255);
    return toCodes(bytes, model.input.dtype, model.input);
  }
  const bytes = await unpack(card.reference.input);
  if (bytes.length !== height * width * 3) {
    throw new InputError(`${card.file}: the reference in its card has another size.`);
  }
  if (model.input.dtype === "float32") return Float32Array.from(bytes);
  return model.input.dtype === "int8" ? new Int8Array(bytes.buffer) : bytes;
}

export async function checkOutput(output: Codes, model: Model, card: ModelCard): Promise<Check> {
  if (!card.reference) return { status: "no reference", comparison: null, reference: null };
  const bytes = await unpack(card.reference.output);
  const wanted = card.reference.dtype === "int8" ? new Int8Array(bytes.buffer) : bytes;
  const got = output instanceof Float32Array ? toBytes(output, model.output) : output;
  if (got.length !== wanted.length) {
    throw new InputError(`${card.file}: the reference in its card has another size.`);
  }
  const comparison = compare(got, wanted);
  const isFloat = output instanceof Float32Array;
  const close =
    comparison.largest <= FLOAT_TOLERANCE.largest && comparison.share <= FLOAT_TOLERANCE.share;
  const status =
    comparison.differing === 0 ? "equal" : isFloat && close ? "within rounding" : "different";
  return { status, comparison, reference: card.reference.runtime };
}

export function sameCodes(a: Codes, b: Codes): boolean {
  return a.length === b.length && a.every((code, i) => code === b[i]);
}
