import assert from "node:assert/strict";
import test from "node:test";
import { compare, toBytes, toCodes } from "../../src/core/codes.js";

const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);

test("image byte b is the int8 code b - 128, both ways", () => {
  const convention = { scale: 1, zero_point: -128 };
  const codes = toCodes(bytes, "int8", convention);
  assert.deepEqual([...codes], [...bytes].map((b) => b - 128));
  assert.deepEqual(toBytes(codes, convention), bytes);
});

test("other scales round half to even and are clipped", () => {
  assert.deepEqual([...toCodes(Uint8Array.of(0, 1, 3, 5, 255), "int8", { scale: 2, zero_point: 0 })], [0, 0, 2, 2, 127]);
  assert.deepEqual([...toBytes(Int8Array.of(-4, 1, 2, 3, 127), { scale: 2.5, zero_point: 0 })], [0, 2, 5, 8, 255]);
  assert.deepEqual([...toBytes(Float32Array.of(-3, 0.5, 1.5, 254.6, 300), { scale: 0, zero_point: 0 })], [0, 0, 2, 255, 255]);
});

test("comparison counts what differs, and by how much", () => {
  const equal = compare(Int8Array.of(1, 2, 3), Int8Array.of(1, 2, 3));
  assert.deepEqual(equal, { total: 3, differing: 0, share: 0, largest: 0, psnr: null });
  const other = compare(Int8Array.of(1, 2, 3, 4), Int8Array.of(1, 5, 3, 3));
  assert.equal(other.differing, 2);
  assert.equal(other.share, 0.5);
  assert.equal(other.largest, 3);
  assert.ok(Math.abs(other.psnr! - 10 * Math.log10((255 * 255) / 2.5)) < 1e-9);
  assert.throws(() => compare(new Int8Array(3), new Int8Array(4)), /3 codes cannot be compared with 4/);
});
