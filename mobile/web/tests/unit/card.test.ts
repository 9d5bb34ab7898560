import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import test from "node:test";
import { parseSidecar } from "../../src/core/card.js";
import { checkModelFile, unpack } from "../../src/core/model_file.js";

// Node 18 has the browser's cryptography, but not under the browser's name.
if (!globalThis.crypto) Object.assign(globalThis, { crypto: webcrypto });

const RECIPE = { method: "pams", bits: 8, scope: "all", per_channel: false, alpha_gradient: "eq3", head_tail_bits: 8 };
const TENSOR = { shape: [1, 16, 16, 3], dtype: "int8", scale: 1, zero_point: -128 };
const CARD = { format: "pams_tf model card", version: 1, name: "Tiny", recipe: RECIPE, halo: 8, input: TENSOR, output: TENSOR };
const parse = (content: unknown) => parseSidecar(JSON.stringify(content), "m.json", "m.tflite");

test("the recipe of to_tflite.py is enough, and has no reference", () => {
  const card = parse(RECIPE);
  assert.equal(card.recipe!.bits, 8);
  assert.equal(card.name, "m");
  assert.equal(card.reference, undefined);
});

test("a card is read; its file is the one it lies beside", () => {
  const card = parse({ ...CARD, file: "elsewhere.tflite" });
  assert.equal(card.halo, 8);
  assert.equal(card.file, "m.tflite");
});

test("what is neither is refused with the reason", () => {
  assert.throws(() => parseSidecar("{", "m.json", "m.tflite"), /m\.json is not JSON/);
  assert.throws(() => parse([1]), /neither a model card nor a quantization recipe/);
  assert.throws(() => parse({ name: "npm" }), /neither a model card nor a quantization recipe/);
  assert.throws(() => parse({ ...CARD, version: 2 }), /version 2/);
  assert.throws(() => parse({ ...CARD, halo: -1 }), /"halo" is -1/);
  assert.throws(() => parse({ ...CARD, input: { ...TENSOR, dtype: "int4" } }), /"input" must hold/);
  assert.throws(() => parse({ ...CARD, reference: {} }), /"reference" is/);
});

test("a file is a TensorFlow Lite file, and its card's", async () => {
  const card = parse(RECIPE);
  const good = new Uint8Array([0, 0, 0, 0, ...new TextEncoder().encode("TFL3"), 1, 2]);
  await checkModelFile(good, card);
  await assert.rejects(checkModelFile(new Uint8Array(3), card), /empty or cut short/);
  await assert.rejects(checkModelFile(new Uint8Array(50), card), /not a TensorFlow Lite file/);
  await assert.rejects(checkModelFile(good, { ...card, bytes: 99 }), /has 10 bytes, but its card says 99/);
  await assert.rejects(checkModelFile(good, { ...card, sha256: "00" }), /another SHA-256/);
});

test("references are unpacked: base64 of zlib", async () => {
  // base64.b64encode(zlib.compress(bytes(range(5)))) in Python
  assert.deepEqual([...(await unpack("eJxjYGRiZgEAABkACw=="))], [0, 1, 2, 3, 4]);
});
