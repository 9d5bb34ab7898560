/** A small picture of the photograph with a frame: which part is enlarged. */

import { cropAround, largestCrop, type Crop } from "../core/crop.js";
import { count } from "../core/format.js";
import { byId, element } from "./dom.js";
import type { Photo } from "./photo.js";

const THUMBNAIL = 480;
const SIDES = [128, 256, 512];
const DEFAULT_SIDE = 256;
const KEY_STEP = 0.05;

export class CropChooser {
  private readonly box = byId("crop");
  private readonly canvas = byId<HTMLCanvasElement>("crop-canvas");
  private readonly frame = byId("crop-frame");
  private readonly sizes = byId<HTMLSelectElement>("crop-size");
  private photo: Photo | null = null;
  private scale = 4;
  private center = { x: 0, y: 0 };

  constructor() {
    this.sizes.addEventListener("change", () => this.show());
    this.box.addEventListener("pointerdown", (event) => {
      this.box.setPointerCapture(event.pointerId);
      this.centerAt(event);
    });
    this.box.addEventListener("pointermove", (event) => {
      if (this.box.hasPointerCapture(event.pointerId)) this.centerAt(event);
    });
    this.box.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("resize", () => this.show());
  }

  async open(photo: Photo, scale: number): Promise<void> {
    await photo.drawThumbnail(this.canvas, THUMBNAIL);
    [this.photo, this.scale] = [photo, scale];
    this.center = { x: photo.width / 2, y: photo.height / 2 };
    this.offerSizes();
    this.show();
  }

  /** Another model may enlarge by another factor. */
  setScale(scale: number): void {
    this.scale = scale;
    if (!this.photo) return;
    this.offerSizes();
    this.show();
  }

  get crop(): Crop | null {
    if (!this.photo) return null;
    const largest = largestCrop(this.photo.width, this.photo.height, this.scale);
    const side = Number(this.sizes.value);
    const wanted = side ? { width: side, height: side } : largest;
    // Rounding aside, a square may still be higher than what can be held.
    return cropAround(this.center, wanted, this.photo);
  }

  private offerSizes(): void {
    const photo = this.photo!;
    const { width, height } = largestCrop(photo.width, photo.height, this.scale);
    const whole = width === photo.width && height === photo.height;
    const before = this.sizes.value;
    const options = SIDES.filter((side) => side < Math.min(width, height)).map((side) =>
      element("option", { value: String(side) }, `${side}×${side}`),
    );
    const all = element("option", { value: "" }, `${whole ? "all of it" : "as much as fits"}, ${width}×${height}`);
    this.sizes.replaceChildren(...options, all);
    const wanted = before || String(DEFAULT_SIDE);
    const there = [...this.sizes.options].some(({ value }) => value === wanted);
    this.sizes.value = there ? wanted : "";
  }

  private show(): void {
    const [photo, crop] = [this.photo, this.crop];
    if (!photo || !crop) return;
    const shrink = this.canvas.clientWidth / photo.width;
    const { style } = this.frame;
    [style.left, style.top] = [`${crop.left * shrink}px`, `${crop.top * shrink}px`];
    [style.width, style.height] = [`${crop.width * shrink}px`, `${crop.height * shrink}px`];
    const { scale } = this;
    const whole = crop.width === photo.width && crop.height === photo.height;
    const largest = largestCrop(photo.width, photo.height, scale);
    const limited = largest.width < photo.width;
    byId("crop-text").textContent =
      `${whole ? "The whole photograph" : `${crop.width}×${crop.height} of ${photo.width}×${photo.height}`}` +
      ` becomes ${crop.width * scale}×${crop.height * scale}.` +
      (limited
        ? ` All of it would be ${count(Math.round((photo.width * photo.height * scale * scale) / 1e6))} ` +
          "megapixels, more than a browser holds: choose a part; drag the frame or use the arrow keys."
        : "");
  }

  private centerAt({ clientX, clientY }: PointerEvent): void {
    if (!this.photo) return;
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    this.center = {
      x: ((clientX - left) / width) * this.photo.width,
      y: ((clientY - top) / height) * this.photo.height,
    };
    this.show();
  }

  private key(event: KeyboardEvent): void {
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const [move, photo, crop] = [moves[event.key], this.photo, this.crop];
    if (!move || !photo || !crop) return;
    event.preventDefault();
    // From where the frame is, which may have been moved inside.
    this.center = {
      x: crop.left + crop.width / 2 + move[0] * KEY_STEP * photo.width,
      y: crop.top + crop.height / 2 + move[1] * KEY_STEP * photo.height,
    };
    this.show();
  }
}
