/** Numbers as a person reads them; the same in every place. */

/** Milliseconds with three digits that count: "0.291 ms", "12.4 ms", "1.53 s". */
export function duration(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${digits(ms)} ms`;
}

/** Three digits that count, without an exponent. */
export function digits(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

export function bytes(count: number): string {
  return count >= 1e6 ? `${digits(count / 1e6)} MB` : `${digits(count / 1e3)} kB`;
}

/** A share as a percentage; never "0 %" for what is not nothing. */
export function percent(share: number): string {
  if (share === 0) return "0 %";
  return share < 0.0001 ? "< 0.01 %" : `${digits(share * 100)} %`;
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

export function size(shape: readonly number[]): string {
  return `${shape[2]}×${shape[1]}`;
}
