/** Which part of a photograph can be enlarged: a canvas holds only so much. */

/** Two canvases of this size (48 MB each) fit into what phones give a page. */
export const MOST_OUTPUT_PIXELS = 12_000_000;
/** Canvases of older phones end here. */
export const MOST_OUTPUT_SIDE = 8192;
/** Decoded, such a photograph takes 256 MB for a moment. */
export const MOST_PHOTO_PIXELS = 64_000_000;

export interface Crop {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The largest part, in the photograph's own proportions, whose enlargement can be held. */
export function largestCrop(width: number, height: number, scale: number): { width: number; height: number } {
  const shrink = Math.min(
    1,
    Math.sqrt(MOST_OUTPUT_PIXELS / (width * height)) / scale,
    MOST_OUTPUT_SIDE / scale / width,
    MOST_OUTPUT_SIDE / scale / height,
  );
  return {
    width: Math.max(1, Math.floor(width * shrink)),
    height: Math.max(1, Math.floor(height * shrink)),
  };
}

/** A part of the wanted size around a point, moved inside the photograph. */
export function cropAround(
  center: { x: number; y: number },
  wanted: { width: number; height: number },
  photo: { width: number; height: number },
): Crop {
  const width = Math.min(wanted.width, photo.width);
  const height = Math.min(wanted.height, photo.height);
  const inside = (at: number, size: number, end: number) =>
    Math.round(Math.min(Math.max(at - size / 2, 0), end - size));
  return {
    left: inside(center.x, width, photo.width),
    top: inside(center.y, height, photo.height),
    width,
    height,
  };
}
