/**
 * Which windows of a picture a network of fixed input size has to see.
 *
 * Windows overlap, and of each only what lies a halo away from its cuts is kept: near its border a
 * window lacks the neighbours that the whole picture has, and seams would show. Windows are as few
 * as the halo allows and evenly spread, so that halos are as wide as they can be; the first and the
 * last end where the picture ends, and see there what the whole picture has.
 */

export interface Step {
  /** Where the window begins. */
  start: number;
  /** First pixel that is kept, in the picture. */
  from: number;
  /** End (exclusive) of what is kept, in the picture. */
  to: number;
}

export interface Tile {
  x: Step;
  y: Step;
}

/** The windows along one side. A side shorter than the window has one; the rest is padding. */
export function planSide(length: number, window: number, halo: number): Step[] {
  if (!(length >= 1 && window >= 1)) {
    throw new RangeError(`a side of ${length} pixels in windows of ${window} is not possible`);
  }
  if (!(halo >= 0 && 2 * halo < window)) {
    throw new RangeError(`a halo of ${halo} leaves nothing of a window of ${window} pixels`);
  }
  const rest = Math.max(0, length - window);
  const last = Math.ceil(rest / (window - 2 * halo));
  const start = (index: number) => (last === 0 ? 0 : Math.round((index * rest) / last));
  // Two windows are cut in the middle of what they share.
  const cut = (index: number) => Math.floor((start(index) + start(index - 1) + window) / 2);
  const steps: Step[] = [];
  for (let index = 0; index <= last; index++) {
    steps.push({
      start: start(index),
      from: index === 0 ? 0 : cut(index),
      to: index === last ? length : cut(index + 1),
    });
  }
  return steps;
}

/** All windows of a picture, row by row. */
export function planTiles(
  width: number,
  height: number,
  window: { width: number; height: number },
  halo: number,
): Tile[] {
  const columns = planSide(width, window.width, halo);
  const rows = planSide(height, window.height, halo);
  return rows.flatMap((y) => columns.map((x) => ({ x, y })));
}

/** A picture as it lies in a canvas: 4 bytes a pixel, of which the last is ignored. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** RGB bytes (height x width x 3) of a window; outside the picture its edge is repeated. */
export function cutWindow(
  picture: Picture,
  left: number,
  top: number,
  width: number,
  height: number,
): Uint8Array {
  const bytes = new Uint8Array(width * height * 3);
  let at = 0;
  for (let y = top; y < top + height; y++) {
    const row = Math.min(Math.max(y, 0), picture.height - 1) * picture.width;
    for (let x = left; x < left + width; x++) {
      const pixel = 4 * (row + Math.min(Math.max(x, 0), picture.width - 1));
      bytes[at++] = picture.data[pixel]!;
      bytes[at++] = picture.data[pixel + 1]!;
      bytes[at++] = picture.data[pixel + 2]!;
    }
  }
  return bytes;
}

/** The kept part of an enlarged window, as a canvas takes it (RGBA). */
export function keptPart(
  bytes: Uint8Array,
  outputWidth: number,
  tile: Tile,
  scale: number,
): Picture & { left: number; top: number } {
  const width = (tile.x.to - tile.x.from) * scale;
  const height = (tile.y.to - tile.y.from) * scale;
  const data = new Uint8ClampedArray(width * height * 4);
  const left = (tile.x.from - tile.x.start) * scale;
  const top = (tile.y.from - tile.y.start) * scale;
  let at = 0;
  for (let y = top; y < top + height; y++) {
    let source = 3 * (y * outputWidth + left);
    for (let x = 0; x < width; x++) {
      data[at++] = bytes[source++]!;
      data[at++] = bytes[source++]!;
      data[at++] = bytes[source++]!;
      data[at++] = 255;
    }
  }
  return { left: tile.x.from * scale, top: tile.y.from * scale, width, height, data };
}
