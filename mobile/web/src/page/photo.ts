/**
 * A photograph of the user. It stays in the browser's own image, which decodes when it must and
 * forgets when it likes; only the chosen part is ever copied as pixels.
 */

import { InputError } from "../core/card.js";
import { MOST_PHOTO_PIXELS, type Crop } from "../core/crop.js";
import { count } from "../core/format.js";
import type { Picture } from "../core/tiling.js";

export class Photo {
  private constructor(
    private readonly image: HTMLImageElement,
    readonly name: string,
  ) {}

  static async open(source: File | string): Promise<Photo> {
    const name = typeof source === "string" ? source : source.name;
    const image = new Image();
    image.src = typeof source === "string" ? source : URL.createObjectURL(source);
    try {
      await image.decode();
    } catch {
      throw new InputError(`${name} cannot be read as a picture by this browser; JPEG, PNG and WebP work everywhere.`);
    }
    const pixels = image.naturalWidth * image.naturalHeight;
    if (pixels > MOST_PHOTO_PIXELS) {
      throw new InputError(
        `${name} has ${count(Math.round(pixels / 1e6))} megapixels; ${MOST_PHOTO_PIXELS / 1e6} are the most. Make it smaller first.`,
      );
    }
    return new Photo(image, name);
  }

  get width(): number {
    return this.image.naturalWidth;
  }

  get height(): number {
    return this.image.naturalHeight;
  }

  /** Draw the whole photograph, small. */
  drawThumbnail(canvas: HTMLCanvasElement, longest: number): void {
    const shrink = Math.min(1, longest / Math.max(this.width, this.height));
    canvas.width = Math.max(1, Math.round(this.width * shrink));
    canvas.height = Math.max(1, Math.round(this.height * shrink));
    const context = canvas.getContext("2d")!;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, 0, 0, canvas.width, canvas.height);
  }

  /** The pixels of a part, in full resolution; white shines through where it is transparent. */
  pixels({ left, top, width, height }: Crop): Picture {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(this.image, left, top, width, height, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    canvas.width = canvas.height = 0; // frees its memory now, not some day
    return { width, height, data };
  }

  close(): void {
    if (this.image.src.startsWith("blob:")) URL.revokeObjectURL(this.image.src);
    this.image.removeAttribute("src");
  }
}
