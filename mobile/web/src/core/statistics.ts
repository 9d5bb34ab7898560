/** Figures of a series of latencies, and what the browser's clock lets us say about them. */

export interface Summary {
  count: number;
  mean: number;
  deviation: number;
  min: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  max: number;
}

/** The q-quantile (0..1) with linear interpolation, as NumPy's default. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new RangeError("no values: a quantile needs one or more");
  if (!(q >= 0 && q <= 1)) throw new RangeError(`q is ${q}; give 0 to 1`);
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}

export function summarize(values: readonly number[]): Summary {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    count,
    mean,
    deviation: count > 1 ? Math.sqrt(squares / (count - 1)) : 0,
    min: quantile(values, 0),
    p50: quantile(values, 0.5),
    p90: quantile(values, 0.9),
    p95: quantile(values, 0.95),
    p99: quantile(values, 0.99),
    max: quantile(values, 1),
  };
}

/** How much longer than the clock's step a measured span has to be: an error of 1 % at most. */
const STEPS_A_SPAN = 100;
const MOST_RUNS_A_SPAN = 1000;

/** How many runs to time together, so that the clock's step does not show in the result. */
export function runsPerSample(runMs: number, clockStepMs: number): number {
  const needed = Math.ceil((STEPS_A_SPAN * clockStepMs) / Math.max(runMs, 1e-6));
  return Math.min(Math.max(needed, 1), MOST_RUNS_A_SPAN);
}

/** The share of a sample that the clock cannot tell: 0.01 is one percent. */
export function clockError(runMs: number, runs: number, clockStepMs: number): number {
  return clockStepMs / Math.max(runMs * runs, 1e-6);
}

/** The smallest step that a clock (milliseconds) makes, looked at for a while. */
export function clockStep(now: () => number, spanMs = 30): number {
  let step = Infinity;
  const start = now();
  let last = start;
  while (last - start < spanMs) {
    const next = now();
    if (next > last) step = Math.min(step, next - last);
    last = next;
  }
  return step;
}

const FEWEST_FOR_A_TREND = 20;

/** p50 of the last quarter of the time over p50 of the first: 1.2 is 20 % slower at the end. */
export function slowdown(samples: readonly { at: number; ms: number }[]): number | null {
  if (samples.length < FEWEST_FOR_A_TREND) return null;
  const start = samples[0]!.at;
  const length = samples[samples.length - 1]!.at - start;
  const ms = (from: number, to: number) =>
    samples
      .filter((sample) => sample.at - start >= from * length && sample.at - start <= to * length)
      .map((sample) => sample.ms);
  const [first, last] = [ms(0, 0.25), ms(0.75, 1)];
  if (first.length === 0 || last.length === 0) return null;
  return quantile(last, 0.5) / quantile(first, 0.5);
}
