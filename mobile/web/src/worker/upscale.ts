/** A picture of any size through a network of fixed size, tile by tile. */

import { bicubic } from "../core/bicubic.js";
import { InputError } from "../core/card.js";
import { MOST_OUTPUT_PIXELS } from "../core/crop.js";
import { toBytes, toCodes } from "../core/codes.js";
import type { Request, Upscaled } from "../core/protocol.js";
import { cutWindow, keptPart, planTiles } from "../core/tiling.js";
import { open, type Report } from "./session.js";

type Wanted = Extract<Request, { kind: "upscale" }>;

/** Each tile is sent as soon as it is ready and then forgotten: memory does not grow with it. */
export async function upscale(request: Wanted, report: Report): Promise<Upscaled> {
  const { model, facts } = await open(request.model, request.engine, report);
  const { picture } = request;
  if (picture.width * picture.height * model.scale ** 2 > 1.05 * MOST_OUTPUT_PIXELS) {
    throw new InputError(
      `${picture.width}×${picture.height} pixels enlarged ×${model.scale} are more than a browser ` +
        "holds; choose a smaller part.",
    );
  }
  const window = { width: model.width, height: model.height };
  const halo = Math.min(request.model.card.halo, Math.ceil(Math.min(window.width, window.height) / 4));
  const tiles = planTiles(picture.width, picture.height, window, halo);
  const start = performance.now();
  report({ kind: "tiles", total: tiles.length, scale: model.scale });
  for (const [index, tile] of tiles.entries()) {
    const bytes = cutWindow(picture, tile.x.start, tile.y.start, window.width, window.height);
    model.write(toCodes(bytes, model.input.dtype, model.input));
    await model.run();
    const output = toBytes(model.read(), model.output);
    const kept = keptPart(output, window.width * model.scale, tile, model.scale);
    const plain = bicubic(
      picture,
      { left: tile.x.from, top: tile.y.from, right: tile.x.to, bottom: tile.y.to },
      model.scale,
    );
    const part = {
      left: kept.left,
      top: kept.top,
      width: kept.width,
      height: kept.height,
      network: kept.data as Uint8ClampedArray<ArrayBuffer>,
      bicubic: plain.data as Uint8ClampedArray<ArrayBuffer>,
    };
    report({ kind: "tile", part, done: index + 1, total: tiles.length }, [
      part.network.buffer,
      part.bicubic.buffer,
    ]);
  }
  return { facts, tiles: tiles.length, milliseconds: performance.now() - start };
}
