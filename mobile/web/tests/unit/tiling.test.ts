import assert from "node:assert/strict";
import test from "node:test";
import { bicubic } from "../../src/core/bicubic.js";
import { cutWindow, keptPart, planSide, planTiles, type Picture } from "../../src/core/tiling.js";

test("every pixel is kept once, every window lies inside, every halo is whole", () => {
  for (const window of [8, 33, 128]) {
    for (const halo of [0, 1, 3]) {
      for (let length = 1; length < 3 * window + 5; length++) {
        const steps = planSide(length, window, halo);
        let kept = 0;
        for (const { start, from, to } of steps) {
          assert.equal(from, kept);
          assert.ok(to > from);
          kept = to;
          assert.ok(start >= 0);
          assert.ok(start + window <= Math.max(length, window));
          // What is kept lies a halo inside its window, but for where the picture itself ends.
          assert.ok(from === 0 || from - start >= halo);
          assert.ok(to === length || start + window - to >= halo);
        }
        assert.equal(kept, length);
      }
    }
  }
});

test("tiles as few as they can be", () => {
  assert.equal(planSide(128, 128, 16).length, 1);
  assert.equal(planSide(129, 128, 16).length, 2);
  assert.equal(planSide(128 + 96, 128, 16).length, 2);
  assert.equal(planSide(128 + 97, 128, 16).length, 3);
  assert.equal(planTiles(300, 200, { width: 128, height: 128 }, 16).length, 3 * 2);
});

test("a halo that leaves nothing is refused", () => {
  assert.throws(() => planSide(100, 32, 16), /halo of 16 leaves nothing/);
  assert.throws(() => planSide(0, 32, 4), /not possible/);
});

function noise(width: number, height: number): Picture {
  let state = 12345;
  const data = new Uint8ClampedArray(width * height * 4).map(
    () => (state = (state * 1103515245 + 12345) & 0x7fffffff) >> 16,
  );
  return { width, height, data };
}

/** Stands for a network: the mean of the pixels around, zero padded, each pixel four times. */
function blur(bytes: Uint8Array, width: number, height: number, reach: number): Uint8Array {
  const result = new Uint8Array(4 * bytes.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let v = Math.max(0, y - reach); v <= Math.min(height - 1, y + reach); v++) {
          for (let u = Math.max(0, x - reach); u <= Math.min(width - 1, x + reach); u++) {
            sum += bytes[3 * (v * width + u) + c]!;
          }
        }
        const mean = sum / (2 * reach + 1) ** 2;
        for (const [dy, dx] of [[0, 0], [0, 1], [1, 0], [1, 1]] as const) {
          result[3 * ((2 * y + dy) * 2 * width + 2 * x + dx) + c] = mean;
        }
      }
    }
  }
  return result;
}

function enlargedInTiles(picture: Picture, window: number, halo: number, reach: number): Uint8ClampedArray {
  const result = new Uint8ClampedArray(picture.width * picture.height * 16);
  for (const tile of planTiles(picture.width, picture.height, { width: window, height: window }, halo)) {
    const bytes = cutWindow(picture, tile.x.start, tile.y.start, window, window);
    const part = keptPart(blur(bytes, window, window, reach), 2 * window, tile, 2);
    for (let y = 0; y < part.height; y++) {
      result.set(
        part.data.subarray(4 * y * part.width, 4 * (y + 1) * part.width),
        4 * ((part.top + y) * 2 * picture.width + part.left),
      );
    }
  }
  return result;
}

test("with a halo as wide as the reach, tiles equal the whole picture; with less they do not", () => {
  const picture = noise(53, 41);
  const bytes = cutWindow(picture, 0, 0, picture.width, picture.height);
  const whole = blur(bytes, picture.width, picture.height, 2);
  const differing = (halo: number) => {
    const tiled = enlargedInTiles(picture, 16, halo, 2);
    let count = 0;
    for (let i = 0; i < whole.length / 3; i++) {
      for (let c = 0; c < 3; c++) if (tiled[4 * i + c] !== whole[3 * i + c]) count++;
      assert.equal(tiled[4 * i + 3], 255);
    }
    return count;
  };
  assert.equal(differing(2), 0);
  assert.equal(differing(3), 0);
  assert.ok(differing(1) > 0);
});

test("a picture smaller than the window is padded with its edge", () => {
  const picture = noise(3, 2);
  const bytes = cutWindow(picture, 0, 0, 5, 4);
  assert.equal(bytes[3 * 4], picture.data[4 * 2]);
  assert.equal(bytes[3 * (3 * 5 + 4) + 1], picture.data[4 * 5 + 1]);
});

test("bicubic in parts equals bicubic at once", () => {
  const picture = noise(23, 17);
  const whole = bicubic(picture, { left: 0, top: 0, right: 23, bottom: 17 }, 4);
  const part = bicubic(picture, { left: 5, top: 3, right: 14, bottom: 17 }, 4);
  for (let y = 0; y < part.height; y++) {
    const from = 4 * ((y + 12) * whole.width + 20);
    assert.deepEqual(
      part.data.subarray(4 * y * part.width, 4 * (y + 1) * part.width),
      whole.data.subarray(from, from + 4 * part.width),
    );
  }
});
