import assert from "node:assert/strict";
import test from "node:test";
import { largestCrop, cropAround, MOST_OUTPUT_PIXELS, MOST_OUTPUT_SIDE } from "../../src/core/crop.js";
import { duration, percent } from "../../src/core/format.js";
import { makeResult, MOST_SAMPLES, pasteLine, type Circumstances } from "../../src/core/result.js";
import type { Check, Measured } from "../../src/core/protocol.js";

const EQUAL: Check = {
  status: "equal",
  comparison: { total: 1200, differing: 0, share: 0, largest: 0, psnr: null },
  reference: "LiteRT",
};
const WRONG: Check = {
  status: "different",
  comparison: { total: 1200, differing: 7, share: 7 / 1200, largest: 2, psnr: 60 },
  reference: "LiteRT",
};
const AROUND: Circumstances = {
  id: "a",
  date: "2026-01-02T03:04:05.000Z",
  app: { page: "1", runtime: "9.9.9" },
  device: { name: "Phone", browser: "B", system: "S", userAgent: "U", cores: 8, memoryGiB: 8, gpu: null, screen: "1", battery: null },
  javascriptBytes: null,
  wasHidden: false,
};
const CARD = { name: "Tiny", file: "tiny.tflite", recipe: { method: "pams", bits: 4 }, halo: 8 };

function measured(changes: Partial<Measured> = {}): Measured {
  return {
    facts: {
      inputShape: [1, 16, 20, 3],
      outputShape: [1, 32, 40, 3],
      dtype: "int8",
      bytes: 1000,
      accelerator: { requested: "wasm", actual: "wasm", full: true },
      threads: 1,
    },
    cold: { runtime: 1, model: 2, compile: 3, firstRun: 4 },
    samples: Array.from({ length: 100 }, (_, i) => ({ at: i * 10, ms: 10 })),
    clock: { step: 0.005, runsPerSample: 1, error: 0.0005, isolated: true },
    memory: { wasm: 1e6 },
    check: EQUAL,
    steady: true,
    ...changes,
  };
}

test("a sound result is valid and needs no note", () => {
  const result = makeResult(CARD, measured(), AROUND);
  assert.ok(result.valid);
  assert.deepEqual(result.notes, []);
  assert.equal(result.frames_per_second, 100);
  assert.equal(
    pasteLine(result),
    "Phone | tiny.tflite (4 bit, 20x16) | wasm | p50 10.0 ms, p90 10.0 ms, p99 10.0 ms, mean 10.0 ms ± 0 ms " +
      "(100 samples) | 100 fps | 0 of 1,200 codes differ | LiteRT.js 9.9.9 | 2026-01-02",
  );
});

test("a wrong result is marked wherever it goes", () => {
  const result = makeResult(CARD, measured({ check: WRONG }), AROUND);
  assert.ok(!result.valid);
  assert.match(result.notes.join(), /times are those of a wrong result/);
  assert.match(pasteLine(result), /^WRONG RESULT \| .*7 of 1,200 codes differ, by 2 at most/);
  assert.ok(!makeResult(CARD, measured({ steady: false }), AROUND).valid);
});

test("without a reference nothing is called checked", () => {
  const check: Check = { status: "no reference", comparison: null, reference: null };
  const result = makeResult(CARD, measured({ check }), AROUND);
  assert.ok(result.valid);
  assert.match(pasteLine(result), /no reference/);
});

test("notes tell of a coarse clock, few runs, heat, fallback and a hidden page", () => {
  const notes = (changes: Partial<Measured>, around = AROUND) =>
    makeResult(CARD, measured(changes), around).notes.join(" ");
  const short = Array.from({ length: 100 }, (_, i) => ({ at: i * 10, ms: 0.3 }));
  const clock = { step: 0.1, runsPerSample: 34, error: 0.01, isolated: false };
  assert.match(notes({ samples: short, clock }), /steps of 0\.100 ms, too coarse .* 34 runs were timed together/);
  assert.match(notes({ samples: short, clock: { ...clock, runsPerSample: 1 } }), /uncertainty of 33\.3 %/);
  assert.match(notes({ samples: short.slice(0, 5) }), /Only 5 samples/);
  const warm = short.map(({ at }) => ({ at, ms: at > 700 ? 13 : 10 }));
  assert.match(notes({ samples: warm }), /30\.0 % slower/);
  const facts = { ...measured().facts, accelerator: { requested: "webgpu", actual: "wasm", full: true } };
  assert.match(notes({ facts }), /webgpu was asked for, but it ran on wasm/);
  assert.match(notes({}, { ...AROUND, wasHidden: true }), /out of sight/);
});

test("a long run is thinned out for storage, its figures are not", () => {
  const samples = Array.from({ length: 10_001 }, (_, i) => ({ at: i, ms: i === 5000 ? 99 : 1 }));
  const result = makeResult(CARD, measured({ samples }), AROUND);
  assert.ok(result.samples.length <= MOST_SAMPLES);
  assert.equal(result.latency_ms.count, 10_001);
  assert.equal(result.latency_ms.max, 99);
});

test("the part of a photograph that can be enlarged is bounded", () => {
  for (const [width, height] of [[4000, 3000], [12000, 200], [640, 480], [1, 5000]] as const) {
    for (const scale of [2, 3, 4]) {
      const crop = largestCrop(width, height, scale);
      assert.ok(crop.width * crop.height * scale ** 2 <= MOST_OUTPUT_PIXELS);
      assert.ok(Math.max(crop.width, crop.height) * scale <= MOST_OUTPUT_SIDE);
      assert.ok(crop.width >= 1 && crop.width <= width && crop.height >= 1 && crop.height <= height);
    }
  }
  assert.deepEqual(largestCrop(640, 480, 4), { width: 640, height: 480 });
  assert.deepEqual(largestCrop(4000, 3000, 4), { width: 1000, height: 750 });
});

test("a crop stays inside the photograph", () => {
  const photo = { width: 100, height: 80 };
  assert.deepEqual(cropAround({ x: 0, y: 80 }, { width: 30, height: 20 }, photo), { left: 0, top: 60, width: 30, height: 20 });
  assert.deepEqual(cropAround({ x: 50, y: 40 }, { width: 300, height: 20 }, photo), { left: 0, top: 30, width: 100, height: 20 });
});

test("numbers read well", () => {
  assert.deepEqual([0.2914, 4.4, 71.25, 1530, 12345].map(duration), ["0.291 ms", "4.40 ms", "71.3 ms", "1.53 s", "12.3 s"]);
  assert.deepEqual([0, 0.00001, 0.022].map(percent), ["0 %", "< 0.01 %", "2.20 %"]);
});
