/** Tensors and image bytes: how one becomes the other, and how two of a kind compare. */

export type Codes = Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
export type DType = "int8" | "uint8" | "float32";

export interface Quantization {
  scale: number;
  zero_point: number;
}

/** Image bytes to what the tensor takes: q = round(byte / scale) + zero point. */
export function toCodes(bytes: Uint8Array, dtype: DType, quantization: Quantization): Codes {
  if (dtype === "float32") return Float32Array.from(bytes);
  const codes = dtype === "int8" ? new Int8Array(bytes.length) : new Uint8Array(bytes.length);
  const [low, high] = dtype === "int8" ? [-128, 127] : [0, 255];
  const table = new Int16Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const code = roundHalfToEven(byte / quantization.scale) + quantization.zero_point;
    table[byte] = Math.min(Math.max(code, low), high);
  }
  for (let i = 0; i < bytes.length; i++) codes[i] = table[bytes[i]!]!;
  return codes;
}

/** What the tensor holds to image bytes, rounded half to even and clipped. */
export function toBytes(codes: Codes, quantization: Quantization): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(codes.length);
  const { scale, zero_point } = quantization;
  if (codes instanceof Float32Array) {
    for (let i = 0; i < codes.length; i++) bytes[i] = clip(roundHalfToEven(codes[i]!));
    return bytes;
  }
  const table = new Uint8Array(256);
  const low = codes instanceof Int8Array ? -128 : 0;
  for (let i = 0; i < 256; i++) table[i] = clip(roundHalfToEven((i + low - zero_point) * scale));
  for (let i = 0; i < codes.length; i++) bytes[i] = table[codes[i]! - low]!;
  return bytes;
}

function clip(value: number): number {
  return Math.min(Math.max(value, 0), 255);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

export interface Comparison {
  total: number;
  differing: number;
  share: number;
  largest: number;
  /** dB, peak 255; null where nothing differs. */
  psnr: number | null;
}

/** Two results, code by code. */
export function compare(
  a: Int8Array | Uint8Array,
  b: Int8Array | Uint8Array,
): Comparison {
  if (a.length !== b.length) {
    throw new RangeError(`${a.length} codes cannot be compared with ${b.length}`);
  }
  let [differing, largest, squares] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (difference === 0) continue;
    differing++;
    squares += difference * difference;
    if (difference > largest) largest = difference;
  }
  const psnr = differing ? 10 * Math.log10((255 * 255 * a.length) / squares) : null;
  return { total: a.length, differing, share: differing / a.length, largest, psnr };
}
