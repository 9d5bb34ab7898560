/**
 * What stands beside a .tflite file: the project's model card, or the plain recipe that
 * `tools/to_tflite.py` writes. Both become a `ModelCard`; what a recipe cannot say is absent.
 */

import type { DType, Quantization } from "./codes.js";

export const CARD_FORMAT = "pams_tf model card";

export interface Recipe {
  method: string;
  bits: number;
  scope?: string;
  per_channel?: boolean;
  head_tail_bits?: number;
}

export interface TensorCard extends Quantization {
  shape: number[];
  dtype: DType;
}

export interface Reference {
  runtime: string;
  /** "uint8" of a float file: its output as image bytes. */
  dtype: "int8" | "uint8";
  /** Deflated (zlib), base64. */
  input: string;
  output: string;
}

export interface ModelCard {
  name: string;
  file: string;
  recipe: Recipe | null;
  halo: number;
  made?: string;
  network?: string;
  bytes?: number;
  sha256?: string;
  scale?: number;
  quality?: { set?: string; psnr?: number; ssim?: number };
  input?: TensorCard;
  output?: TensorCard;
  reference?: Reference;
}

/** A mistake of the person at the page: its message says what was found and what would be right. */
export class InputError extends Error {}

export const DEFAULT_HALO = 16;

/** Read the JSON beside a model file; see the module's comment. */
export function parseSidecar(text: string, jsonName: string, modelFile: string): ModelCard {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new InputError(
      `${jsonName} is not JSON. Choose the file that was written beside ${modelFile}.`,
    );
  }
  if (!isObject(content)) throw foreign(jsonName);
  if (content["format"] === CARD_FORMAT) return parseCard(content, jsonName, modelFile);
  if (typeof content["method"] === "string" && typeof content["bits"] === "number") {
    const recipe = content as unknown as Recipe;
    return { name: stem(modelFile), file: modelFile, recipe, halo: DEFAULT_HALO };
  }
  throw foreign(jsonName);
}

function parseCard(card: Record<string, unknown>, json: string, modelFile: string): ModelCard {
  const wrong = (field: string, wanted: string) =>
    new InputError(`${json}: "${field}" is ${JSON.stringify(card[field])}; it has to be ${wanted}.`);
  if (card["version"] !== 1) {
    throw new InputError(
      `${json} is a model card of version ${JSON.stringify(card["version"])}; this page reads ` +
        "version 1. Reload the page to get its newest version.",
    );
  }
  if (typeof card["name"] !== "string") throw wrong("name", "a text");
  if (card["recipe"] !== null && !isObject(card["recipe"])) throw wrong("recipe", "a recipe or null");
  const halo = card["halo"] ?? DEFAULT_HALO;
  if (!Number.isInteger(halo) || (halo as number) < 0) throw wrong("halo", "a whole number from 0");
  for (const side of ["input", "output"] as const) checkTensor(card[side], side, json);
  const reference = card["reference"];
  if (reference !== undefined && !isReference(reference)) throw wrong("reference", "a reference");
  return { ...(card as unknown as ModelCard), file: modelFile, halo: halo as number };
}

function checkTensor(tensor: unknown, side: string, json: string): void {
  const good =
    isObject(tensor) &&
    Array.isArray(tensor["shape"]) &&
    tensor["shape"].length === 4 &&
    tensor["shape"].every(Number.isInteger) &&
    ["int8", "uint8", "float32"].includes(tensor["dtype"] as string) &&
    typeof tensor["scale"] === "number" &&
    Number.isInteger(tensor["zero_point"]);
  if (!good) {
    throw new InputError(
      `${json}: "${side}" must hold the tensor's shape, dtype, scale and zero_point.`,
    );
  }
}

function isReference(value: unknown): value is Reference {
  return (
    isObject(value) &&
    ["int8", "uint8"].includes(value["dtype"] as string) &&
    typeof value["input"] === "string" &&
    typeof value["output"] === "string"
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function foreign(name: string): InputError {
  return new InputError(
    `${name} is neither a model card nor a quantization recipe of this project. ` +
      "Choose the .json that was written beside the .tflite file.",
  );
}

export function stem(name: string): string {
  return name.replace(/\.[^.]*$/, "");
}

/** In a word: "8 bit", "4 bit", "float". */
export function bitsOf(card: ModelCard): string {
  return card.recipe ? `${card.recipe.bits} bit` : "float";
}
