import assert from "node:assert/strict";
import test from "node:test";
import { bicubic } from "../../src/core/bicubic.js";
import golden from "../golden/bicubic.json";

test("bicubic is pams_tf's, which is MATLAB's", () => {
  for (const { scale, height, width, input, output } of golden) {
    const data = new Uint8ClampedArray(4 * width * height).fill(255);
    input.forEach((value, i) => (data[4 * Math.floor(i / 3) + (i % 3)] = value));
    const part = { left: 0, top: 0, right: width, bottom: height };
    const result = bicubic({ width, height, data }, part, scale);
    const rgb = [...result.data].filter((_, i) => i % 4 !== 3);
    assert.deepEqual(rgb, output);
  }
});
