import assert from "node:assert/strict";
import test from "node:test";
import { clockError, clockStep, quantile, runsPerSample, slowdown, summarize } from "../../src/core/statistics.js";

const close = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);

test("quantiles are NumPy's: numpy.percentile([15, 20, 35, 40, 50], q)", () => {
  const values = [50, 15, 40, 20, 35];
  close(quantile(values, 0), 15);
  close(quantile(values, 0.4), 29);
  close(quantile(values, 0.5), 35);
  close(quantile(values, 0.9), 46);
  close(quantile(values, 1), 50);
});

test("a quantile of nothing, or outside 0 to 1, is refused", () => {
  assert.throws(() => quantile([], 0.5), /no values/);
  assert.throws(() => quantile([1], 1.5), /q is 1.5/);
});

test("a summary of 1..100", () => {
  const summary = summarize(Array.from({ length: 100 }, (_, i) => 100 - i));
  assert.equal(summary.count, 100);
  close(summary.mean, 50.5);
  close(summary.p50, 50.5);
  close(summary.p90, 90.1);
  close(summary.p95, 95.05);
  close(summary.p99, 99.01);
  close(summary.min, 1);
  close(summary.max, 100);
  close(summary.deviation, Math.sqrt((100 * 101) / 12)); // of 1..n: n (n + 1) / 12
});

test("one value has no spread", () => {
  const summary = summarize([7]);
  assert.equal(summary.deviation, 0);
  assert.equal(summary.p99, 7);
});

test("long runs are timed one by one, short ones together until the clock is fine enough", () => {
  assert.equal(runsPerSample(12, 0.1), 1);
  assert.equal(runsPerSample(2, 0.005), 1);
  assert.equal(runsPerSample(0.5, 0.1), 20);
  assert.equal(runsPerSample(0, 1), 1000);
  for (const [run, step] of [[0.29, 0.1], [3, 0.1], [0.05, 0.005], [4.4, 1]] as const) {
    assert.ok(clockError(run, runsPerSample(run, step), step) <= 0.01);
  }
});

test("the clock's step is found, whatever the calls in between", () => {
  for (const step of [0.005, 0.1, 1]) {
    let time = 0;
    const now = () => Math.floor((time += 0.0031) / step) * step;
    const found = clockStep(now, 5);
    assert.ok(Math.abs(found - step) < step / 100, `${found} is not ${step}`);
  }
});

test("slowdown compares the last quarter of the time with the first", () => {
  const steady = Array.from({ length: 40 }, (_, i) => ({ at: i * 10, ms: 10 }));
  assert.equal(slowdown(steady), 1);
  const throttled = steady.map(({ at }) => ({ at, ms: at > 250 ? 15 : 10 }));
  assert.equal(slowdown(throttled), 1.5);
  assert.equal(slowdown(steady.slice(0, 19)), null);
});
