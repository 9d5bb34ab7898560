/**
 * A photograph of the user. It stays a file; the browser decodes it beside the page whenever a part
 * is wanted, and the decoded whole is let go at once. Only the part is ever kept as pixels.
 */

import { InputError } from "../core/card.js";
import { MOST_PHOTO_PIXELS, type Crop } from "../core/crop.js";
import { count } from "../core/format.js";
import type { Picture } from "../core/tiling.js";

export class Photo {
  private constructor(
    private readonly file: Blob,
    readonly name: string,
    readonly width: number,
    readonly height: number,
  ) {}

  static async open(source: File | string): Promise<Photo> {
    const name = typeof source === "string" ? source : source.name;
    const file = typeof source === "string" ? await (await fetch(source)).blob() : source;
    const { width, height } = await dimensions(file).catch(() => {
      throw unreadable(name);
    });
    const pixels = width * height;
    if (pixels > MOST_PHOTO_PIXELS) {
      throw new InputError(
        `${name} has ${count(Math.round(pixels / 1e6))} megapixels; ${MOST_PHOTO_PIXELS / 1e6} are the most. Make it smaller first.`,
      );
    }
    return new Photo(file, name, width, height);
  }

  /** Draw the whole photograph, small. */
  async drawThumbnail(canvas: HTMLCanvasElement, longest: number): Promise<void> {
    const bitmap = await this.decode();
    const shrink = Math.min(1, longest / Math.max(this.width, this.height));
    canvas.width = Math.max(1, Math.round(this.width * shrink));
    canvas.height = Math.max(1, Math.round(this.height * shrink));
    const context = canvas.getContext("2d")!;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
  }

  /** The pixels of a part, in full resolution; white shines through where it is transparent. */
  async pixels({ left, top, width, height }: Crop): Promise<Picture> {
    const bitmap = await this.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
    bitmap.close();
    const { data } = context.getImageData(0, 0, width, height);
    canvas.width = canvas.height = 0; // frees its memory now, not some day
    return { width, height, data };
  }

  /** Beside the page's own thread; turned as the camera noted. */
  private async decode(): Promise<ImageBitmap> {
    try {
      return await createImageBitmap(this.file);
    } catch {
      throw unreadable(this.name);
    }
  }
}

/** Width and height, without decoding the picture. */
async function dimensions(file: Blob): Promise<{ width: number; height: number }> {
  const image = new Image();
  const address = URL.createObjectURL(file);
  try {
    await new Promise((loaded, failed) => {
      image.onload = loaded;
      image.onerror = failed;
      image.src = address;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } finally {
    URL.revokeObjectURL(address);
  }
}

function unreadable(name: string): InputError {
  return new InputError(
    `${name} cannot be read as a picture by this browser; JPEG, PNG and WebP work everywhere.`,
  );
}
