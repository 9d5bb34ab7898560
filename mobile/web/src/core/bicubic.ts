/** Bicubic enlargement as MATLAB's imresize (Keys, a = -0.5): the baseline of every paper. */

import type { Picture } from "./tiling.js";

interface Taps {
  indices: Int32Array;
  weights: Float64Array;
}

const TAPS = 4;

/** Enlarge the part [left, right) x [top, bottom) of a picture, given in its own pixels. */
export function bicubic(
  picture: Picture,
  part: { left: number; top: number; right: number; bottom: number },
  scale: number,
): Picture {
  const columns = taps(part.left * scale, part.right * scale, picture.width, scale);
  const rows = taps(part.top * scale, part.bottom * scale, picture.height, scale);
  const width = (part.right - part.left) * scale;
  const height = (part.bottom - part.top) * scale;
  // Down first, then across; the source rows that the taps reach are few, so no copy is made.
  const line = new Float64Array(picture.width * 3);
  const data = new Uint8ClampedArray(width * height * 4);
  let at = 0;
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let k = 0; k < TAPS; k++) {
      const weight = rows.weights[y * TAPS + k]!;
      let source = 4 * rows.indices[y * TAPS + k]! * picture.width;
      for (let x = 0; x < line.length; source++) {
        line[x] = line[x]! + weight * picture.data[source++]!;
        x++;
        line[x] = line[x]! + weight * picture.data[source++]!;
        x++;
        line[x] = line[x]! + weight * picture.data[source++]!;
        x++;
      }
    }
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < TAPS; k++) {
          sum += columns.weights[x * TAPS + k]! * line[3 * columns.indices[x * TAPS + k]! + c]!;
        }
        // Half away from zero, as MATLAB; below zero it is clipped anyway.
        data[at++] = Math.floor(sum + 0.5);
      }
      data[at++] = 255;
    }
  }
  return { width, height, data };
}

/** Source pixels and weights of the result's pixels from..to; the border pixel is mirrored. */
function taps(from: number, to: number, size: number, scale: number): Taps {
  const indices = new Int32Array((to - from) * TAPS);
  const weights = new Float64Array((to - from) * TAPS);
  for (let i = from; i < to; i++) {
    const center = (i + 0.5) / scale - 0.5;
    const first = Math.floor(center) - 1;
    for (let k = 0; k < TAPS; k++) {
      indices[(i - from) * TAPS + k] = mirror(first + k, size);
      weights[(i - from) * TAPS + k] = cubic(center - (first + k));
    }
  }
  return { indices, weights };
}

function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return (1.5 * x - 2.5) * x * x + 1;
  return x <= 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** 0 1 2 ... n-1 n-1 ... 1 0, again and again. */
function mirror(index: number, size: number): number {
  const period = 2 * size;
  const within = ((index % period) + period) % period;
  return within < size ? within : period - 1 - within;
}
