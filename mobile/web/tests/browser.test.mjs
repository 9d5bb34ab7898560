// The built page in a real headless Chromium, served as by any static host (no special headers).
//
// Needs dist/ (make web) and build/fixtures (tests/make_models.py). CHROMIUM names another browser.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serve } from "../serve.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const FIXTURES = join(HERE, "../build/fixtures");
const SITE = join(HERE, "../build/site");
const SHOTS = join(HERE, "../build/screenshots");
const DOWNLOADS = join(HERE, "../build/downloads");
const MINUTE = 60_000;
const PHONE = { width: 360, height: 740 };

const browserPath =
  process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
let [server, browser, context, page, address] = [];
const requests = [];
const complaints = [];

const launch = (...flags) =>
  chromium.launch({
    executablePath: browserPath,
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...flags,
    ],
  });

before(async () => {
  [SHOTS, DOWNLOADS].forEach((folder) => mkdirSync(folder, { recursive: true }));
  rmSync(SITE, { recursive: true, force: true });
  cpSync(join(HERE, "../dist"), SITE, { recursive: true });
  server = await serve(SITE, { headers: false });
  address = `http://localhost:${server.address().port}/`;
  browser = await launch("--disable-gpu");
  context = await browser.newContext({ viewport: PHONE });
  context.setDefaultTimeout(MINUTE);
  context.on("request", (request) => requests.push(request.url()));
  page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

const fixture = (name) => join(FIXTURES, name);
const text = (selector) => page.textContent(selector);

async function loaded() {
  await page.waitForSelector("#model option", { state: "attached" });
}

async function chooseOwn(...names) {
  await page.setInputFiles("#own", names.map(fixture));
}

async function chooseOwnModel(name) {
  await chooseOwn(`${name}.tflite`, `${name}.json`);
  await page.waitForFunction((value) => document.querySelector("#model").value === value, `own/${name}.tflite`);
}

const chooseBuiltIn = (name) => page.selectOption("#model", `page/${name}.tflite`);

async function benchmark() {
  await page.click("#tab-benchmark");
  await page.selectOption("#seconds", "2");
  await page.click("#benchmark-start");
  await page.waitForFunction(() => !document.querySelector("#benchmark-start").disabled);
  assert.equal(await page.isVisible("#benchmark-error"), false, await text("#benchmark-error"));
  await page.waitForSelector("#benchmark-result article");
  return page.getAttribute("#benchmark-result .verdict", "data-check");
}

async function savedJson(click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  const path = join(DOWNLOADS, download.suggestedFilename());
  await download.saveAs(path);
  return path;
}

async function enlarge(file, size) {
  await page.click("#tab-look");
  await page.setInputFiles("#look-file", fixture(file));
  await page.waitForSelector("#look-start:enabled");
  if (size !== undefined) await page.selectOption("#crop-size", size);
  await page.click("#look-start");
}

async function enlarged() {
  await page.waitForFunction(() => /tiles? of/.test(document.querySelector("#look-facts").textContent), null, {
    timeout: 3 * MINUTE,
  });
}

test("the page loads on a plain static host and lists the project's files", async () => {
  await page.goto(address);
  await loaded();
  const options = await page.$$eval("#model option", (all) => all.map((option) => option.textContent));
  for (const kind of ["8 bit", "4 bit", "float"]) {
    assert.equal(options.filter((option) => option.endsWith(kind)).length, 2, kind);
  }
  assert.match(await text("#model-facts"), /128×128 pixels in, ×4, 8 bit/);
  const policy = await page.getAttribute("meta[http-equiv]", "content");
  assert.match(policy, /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')|https?:|\*/);
});

test("where the clock is coarse, short runs are timed together and the result says so", async () => {
  assert.equal(await page.evaluate(() => self.crossOriginIsolated), false);
  await chooseOwnModel("tiny_8bit");
  assert.equal(await benchmark(), "equal");
  const notes = await page.$$eval("#benchmark-result .message.warning", (all) => all.map((n) => n.textContent).join());
  assert.match(notes, /clock ticks in steps of 0\.100 ms, too coarse for one run: \d+ runs were timed together/);
});

test("after the first visit the service worker isolates the page", async () => {
  await page.waitForSelector("[data-ready=offline]");
  await page.getByRole("button", { name: "Reload for threads" }).click();
  await page.waitForFunction(() => self.crossOriginIsolated);
  await loaded();
  const cores = await page.evaluate(() => navigator.hardwareConcurrency);
  assert.equal(await page.$$eval("#threads option", (all) => all.length), Math.min(cores, 8));
});

for (const bits of [8, 4]) {
  test(`benchmark of a ${bits}-bit file of the converter: equal to LiteRT in Python, exported`, async () => {
    await chooseOwnModel(`tiny_${bits}bit`);
    assert.equal(await benchmark(), "equal");
    const [headline, verdict] = [await text("[data-figure=p50]"), await text("#benchmark-result .verdict")];
    assert.match(headline, /^[\d.]+ ms$/);
    assert.match(verdict, /0 of 12,288 codes differ/);
    const path = await savedJson(() => page.getByRole("button", { name: "Save as JSON" }).first().click());
    const result = JSON.parse(readFileSync(path, "utf8"));
    assert.equal(result.format, "pams_tf benchmark result");
    assert.equal(result.model.recipe.bits, bits);
    assert.equal(result.valid, true);
    assert.equal(result.check.comparison.total, 64 * 64 * 3);
    assert.deepEqual(result.model.input, [1, 32, 32, 3]);
    const { requested, actual, fully_accelerated: full } = result.accelerator;
    assert.deepEqual([requested, actual], ["wasm", "wasm"]);
    // XNNPACK takes every operator of an 8-bit file; coarser grids have some it may not take.
    if (bits === 8) assert.equal(full, true);
    assert.equal(result.notes.some((note) => /only a part of this network/.test(note)), !full);
    const ms = result.latency_ms;
    assert.ok(ms.min > 0 && ms.min <= ms.p50 && ms.p50 <= ms.p90 && ms.p90 <= ms.p99 && ms.p99 <= ms.max);
    assert.ok(Math.abs(result.frames_per_second * ms.mean - 1000) < 1e-6);
    assert.ok(Object.values(result.cold_ms).every((time) => time > 0));
    assert.ok(result.memory_bytes.wasm > 1e6);
    const last = result.samples.at(-1);
    assert.ok(last.at > 1000 && last.at < 10_000, `timed for ${last.at} ms`);
    const line = await page.inputValue("#benchmark-result textarea");
    assert.match(line, new RegExp(`tiny_${bits}bit\\.tflite \\(${bits} bit, 32x32\\) \\| wasm( \\(in part\\))? \\| p50 `));
  });
}

test("two threads compute the same codes", async (t) => {
  if ((await page.evaluate(() => navigator.hardwareConcurrency)) < 2) return t.skip("one core only");
  await chooseOwnModel("tiny_8bit");
  await page.selectOption("#threads", "2");
  assert.equal(await benchmark(), "equal");
  await page.selectOption("#threads", "1");
});

test("all of the page's own files compute what LiteRT computes in Python", async () => {
  await page.reload();
  await loaded();
  await page.click("#tab-check");
  await page.click("#check-all");
  await page.waitForFunction(() => document.querySelectorAll("#check-table tbody tr").length === 6);
  const rows = await page.$$eval("#check-table tbody tr", (all) =>
    all.map((row) => [row.cells[0].textContent, row.dataset.check, row.cells[2].textContent]),
  );
  for (const [name, status, codes] of rows) {
    if (/float/.test(name)) assert.match(status, /equal|within rounding/, name);
    else assert.deepEqual([status, codes], ["equal", "0 of 786,432 (0 %)"], name);
  }
  await page.waitForFunction(() => /ai-edge-litert .*XNNPACK/.test(document.querySelector("#check-stage").textContent));
});

test("a benchmark of wrong results is marked as such, here and in the history", async () => {
  await chooseOwnModel("tampered");
  assert.equal(await benchmark(), "different");
  assert.match(await text("#benchmark-result .verdict"), /Wrong result: 3 of 12,288 codes differ, by 1 at most/);
  assert.match(await page.inputValue("#benchmark-result textarea"), /^WRONG RESULT/);
  await page.click("#tab-history");
  assert.match(await text("#history-table tbody tr:first-child td:last-child"), /wrong/);
});

test("a plain recipe is enough; without a reference nothing is called checked", async () => {
  await chooseOwnModel("plain");
  assert.equal(await benchmark(), "no reference");
  assert.match(await text("#benchmark-result .verdict"), /No reference/);
  await page.click("#tab-check");
  await page.click("#check-start");
  await page.waitForSelector("#check-table tbody tr:last-child[data-check='no reference']");
});

const REFUSED = [
  ["a missing sidecar", ["alone.tflite"], /alone\.tflite came without its \.json.*alone\.json/],
  ["a sidecar alone", ["plain.json"], /plain\.json is not a model/],
  ["a file of the wrong type", ["picture.png"], /picture\.png is not a model/],
  ["a text named .tflite", ["text.tflite", "text.json"], /text\.tflite is not a TensorFlow Lite file/],
  ["a JSON of something else", ["foreign.tflite", "foreign.json"], /foreign\.json is neither a model card nor/],
  ["a file that its card does not know", ["mismatch.tflite", "mismatch.json"], /another SHA-256/],
];
for (const [what, files, message] of REFUSED) {
  test(`refused when chosen: ${what}`, async () => {
    const before = await page.inputValue("#model");
    await chooseOwn(...files);
    await page.waitForSelector("#model-error:not([hidden])");
    assert.match(await text("#model-error"), message);
    assert.equal(await page.inputValue("#model"), before);
    await chooseBuiltIn("edsr_mobile_x4_8bit");
    assert.equal(await page.isVisible("#model-error"), false);
  });
}

for (const [name, message] of [
  ["truncated", /truncated\.tflite cannot be loaded: it is damaged/],
  ["vector", /vector\.tflite has an input of 1x10; an image model of a fixed size/],
]) {
  test(`refused when run: a ${name} model`, async () => {
    await chooseOwnModel(name);
    await page.click("#tab-benchmark");
    await page.click("#benchmark-start");
    await page.waitForSelector("#benchmark-error:not([hidden])");
    assert.match(await text("#benchmark-error"), message);
    await chooseOwnModel("tiny_8bit");
    assert.equal(await benchmark(), "equal");
  });
}

test("a benchmark survives cancelling and a second start", async () => {
  await chooseBuiltIn("edsr_baseline_x4_8bit");
  await page.selectOption("#seconds", "300");
  await page.click("#benchmark-start");
  await page.waitForFunction(() => /timing: /.test(document.querySelector("#benchmark-stage").textContent));
  await page.click("#benchmark-cancel");
  await page.waitForSelector("#benchmark-start:enabled");
  assert.equal(await page.isVisible("#benchmark-error"), false);
  assert.equal(await page.isVisible("#benchmark-result"), false);
  await chooseOwnModel("tiny_4bit");
  assert.equal(await benchmark(), "equal");
});

for (const bits of [8, 4]) {
  test(`a picture enlarged in tiles at ${bits} bits equals LiteRT's whole picture in Python`, async () => {
    await chooseOwnModel(`tiny_${bits}bit`);
    await enlarge("picture.png", "");
    await enlarged();
    const [width, height, rgb] = await page.evaluate(() => {
      const { width, height } = document.querySelector("#split-network");
      const { data } = document.querySelector("#split-network").getContext("2d").getImageData(0, 0, width, height);
      return [width, height, [...data].filter((_, i) => i % 4 !== 3)];
    });
    assert.deepEqual([width, height], [180, 140]);
    const wanted = readFileSync(fixture(`tiny_${bits}bit.rgb`));
    assert.equal(rgb.length, wanted.length);
    assert.equal(rgb.filter((value, i) => value !== wanted[i]).length, 0);
    await page.evaluate(() => (document.querySelector("#look-facts").textContent = ""));
  });
}

test("a photograph of 12 megapixels is enlarged in bounded memory, and the page stays awake", async () => {
  await chooseBuiltIn("edsr_mobile_x4_8bit");
  await page.evaluate(() => {
    window.gaps = [];
    let last = performance.now();
    const tick = () => {
      const now = performance.now();
      window.gaps.push(now - last);
      last = now;
    };
    window.ticking = setInterval(tick, 20);
  });
  await page.click("#tab-look");
  await page.setInputFiles("#look-file", fixture("large.png"));
  await page.waitForFunction(() => /of 4000×3000/.test(document.querySelector("#crop-text").textContent));
  await page.selectOption("#crop-size", "");
  assert.match(
    await text("#crop-text"),
    /1000×750 of 4000×3000 becomes 4000×3000\. All of it would be 192 megapixels, more than a browser holds/,
  );
  await page.evaluate(() => (window.gaps = []));
  await page.click("#look-start");
  await page.waitForFunction(() => /^tile [5-9] of \d+/.test(document.querySelector("#look-stage").textContent));
  assert.equal(await page.isVisible("#look-cancel"), true);
  await enlarged();
  assert.match(await text("#look-facts"), /^4000×3000 in .* 80 tiles of 128×128 on wasm$/);
  const [gaps, heap] = await page.evaluate(() => {
    clearInterval(window.ticking);
    return [window.gaps.sort((a, b) => a - b), performance.memory.usedJSHeapSize];
  });
  // The page ticks every 20 ms; a tile takes several times that, and would show if it ran here.
  const [median, longest] = [gaps[Math.floor(gaps.length / 2)], gaps.at(-1)];
  assert.ok(median < 40 && longest < 3000, `the page stood still for ${median}, at most ${longest} ms`);
  assert.ok(heap < 200e6, `${heap} bytes of JavaScript`);
});

test("enlarging survives cancelling and a second start; the result is saved as PNG", async () => {
  await chooseBuiltIn("edsr_mobile_x4_8bit");
  await enlarge("large.png", "");
  await page.waitForFunction(() => /^tile [2-9] of/.test(document.querySelector("#look-stage").textContent));
  await page.click("#look-cancel");
  await page.waitForFunction(() => document.querySelector("#look-facts").textContent === "Cancelled.");
  await page.selectOption("#crop-size", "128");
  await page.click("#look-start");
  await enlarged();
  assert.match(await text("#look-facts"), /^512×512 in .* 1 tile of 128×128/);
  const path = await savedJson(() => page.click("#look-download"));
  assert.match(path, /large_edsr_mobile_x4_8bit\.png$/);
  const png = readFileSync(path);
  assert.equal(png.toString("latin1", 1, 4), "PNG");
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [512, 512]);
});

test("a file that is no picture is refused", async () => {
  await page.click("#tab-look");
  await page.setInputFiles("#look-file", fixture("text.tflite"));
  await page.waitForSelector("#look-error:not([hidden])");
  assert.match(await text("#look-error"), /text\.tflite cannot be read as a picture/);
});

test("keyboard: tabs, divider, zoom and the part to enlarge", async () => {
  await page.focus("#tab-look");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.getAttribute("#tab-check", "aria-selected"), "true");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.isVisible("#panel-look"), true);

  await page.focus("#split-range");
  const clip = () => page.$eval("#split-network", (canvas) => canvas.style.clipPath);
  const before = await clip();
  await page.keyboard.press("End");
  assert.notEqual(await clip(), before);

  await page.focus("#split");
  const zoom = async () => parseInt(await text("#zoom-value"));
  const fitted = await zoom();
  await page.keyboard.press("+");
  assert.ok((await zoom()) > fitted);
  await page.keyboard.press("0");
  assert.equal(await zoom(), fitted);

  await page.setInputFiles("#look-file", fixture("large.png"));
  await page.waitForFunction(() => /of 4000×3000/.test(document.querySelector("#crop-text").textContent));
  await page.focus("#crop");
  const left = () => page.$eval("#crop-frame", (frame) => parseFloat(frame.style.left));
  const start = await left();
  await page.keyboard.press("ArrowRight");
  assert.ok((await left()) > start);
});

test("the line between the pictures can be dragged", async () => {
  await page.locator("#split").scrollIntoViewIfNeeded();
  const box = await page.locator("#split-line").boundingBox();
  // At its left: with the line at the very end, its middle lies on the frame's edge.
  const [grip, height] = [box.x + 10, box.y + 60];
  await page.mouse.move(grip, height);
  await page.mouse.down();
  await page.mouse.move(grip - 100, height, { steps: 4 });
  await page.mouse.up();
  // The line jumps to the pointer when it is dragged: its middle is where the pointer was left.
  const moved = await page.locator("#split-line").boundingBox();
  assert.ok(Math.abs(moved.x + moved.width / 2 - (grip - 100)) < 2, `from ${box.x} to ${moved.x}`);
});

test("every control has a name, and no two share an id", async () => {
  const nameless = await page.$$eval("button, select, input, textarea, [tabindex], [role=img], progress", (all) =>
    all
      .filter((node) => {
        const labels = [...(node.labels ?? [])].map((label) => label.textContent).join("");
        const by = document.getElementById(node.getAttribute("aria-labelledby"))?.textContent;
        return !(node.ariaLabel || labels || by || node.querySelector("title")?.textContent || node.textContent).trim();
      })
      .map((node) => node.outerHTML),
  );
  assert.deepEqual(nameless, []);
  const ids = await page.$$eval("[id]", (all) => all.map(({ id }) => id));
  assert.equal(new Set(ids).size, ids.length);
});

test("the history outlives a reload; marked results stand side by side; marked ones are deleted", async () => {
  await page.reload();
  await loaded();
  await page.click("#tab-history");
  const boxes = page.locator("#history-table tbody input");
  const count = await boxes.count();
  assert.ok(count >= 6, `${count} results`);
  await boxes.nth(0).check();
  await boxes.nth(1).check();
  const head = await page.$$eval("#comparison-table thead th", (all) => all.map((cell) => cell.textContent));
  assert.equal(head.length, 2);
  assert.match(await text("#comparison-table"), /times the first× 1\.00/);
  const path = await savedJson(() => page.click("#history-save"));
  assert.equal(JSON.parse(readFileSync(path, "utf8")).length, 2);
  page.once("dialog", (dialog) => dialog.accept());
  await page.click("#history-delete");
  assert.equal(await boxes.count(), count - 2);
});

test("exported results become a table and a plot (tools/mobile_report.py)", async () => {
  // With nothing marked, all of them are saved.
  const path = await savedJson(() => page.click("#history-save"));
  const out = join(DOWNLOADS, "report");
  const python = process.env.PYTHON ?? join(HERE, "../../../.venv/bin/python");
  const printed = execFileSync(python, [
    join(HERE, "../../../tools/mobile_report.py"),
    `--results=${path}`,
    `--out=${out}`,
  ]).toString();
  assert.match(printed, /tiny_8bit/);
  assert.match(readFileSync(join(out, "report.md"), "utf8"), /\| .*tiny_8bit.* \|/);
  assert.ok(existsSync(join(out, "report.png")));
});

test("WebGPU is offered where the browser has it, and otherwise says why not", async () => {
  const adapter = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter().catch(() => null)));
  await page.waitForFunction(
    (there) => document.querySelector("#accelerator [value=webgpu]").disabled === !there,
    adapter,
  );
  if (!adapter) assert.match(await text("#accelerator [value=webgpu]"), /not in this browser/);
});

test("on WebGPU (drawn by the CPU here) it runs, and is held against the host as well", async (t) => {
  const other = await launch("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader");
  const page = await (await other.newContext()).newPage();
  try {
    await page.goto(address);
    if (!(await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())))) {
      return t.skip("this browser has no software adapter for WebGPU");
    }
    await page.waitForSelector("#model option", { state: "attached" });
    await page.setInputFiles("#own", ["tiny_8bit.tflite", "tiny_8bit.json"].map(fixture));
    await page.selectOption("#accelerator", "webgpu");
    await page.selectOption("#seconds", "2");
    await page.click("#benchmark-start");
    await page.waitForSelector("#benchmark-result article", { timeout: 2 * MINUTE });
    assert.match(await page.inputValue("#benchmark-result textarea"), /\| webgpu \| p50 /);
    const verdict = await page.textContent("#benchmark-result .verdict");
    // A GPU computes integer files in floating point: equal, or marked.
    assert.match(verdict, /equals the host's: 0 of 12,288|Wrong result: [\d,]+ of 12,288 codes differ/);
  } finally {
    await other.close();
  }
});

test("nothing overflows at 360 pixels or on a desktop, light or dark", async () => {
  await chooseBuiltIn("edsr_mobile_x4_8bit");
  await benchmark();
  await page.click("#tab-look");
  await page.click("#look-sample");
  await page.waitForSelector("#look-start:enabled");
  await page.click("#look-start");
  await enlarged();
  for (const [size, viewport] of [["phone", PHONE], ["desktop", { width: 1280, height: 900 }]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      for (const tab of ["benchmark", "look", "check", "history"]) {
        await page.click(`#tab-${tab}`);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(over <= 0, `${tab} is ${over} pixels too wide on a ${size}`);
        await page.screenshot({ path: join(SHOTS, `${tab}-${size}-${colorScheme}.png`), fullPage: true });
      }
    }
  }
  await page.setViewportSize(PHONE);
});

test("a newer version is offered, and taken when asked for", async () => {
  const html = readFileSync(join(SITE, "index.html"), "utf8");
  writeFileSync(join(SITE, "index.html"), html.replace("Super-resolution on this device</h1>", "Newer</h1>"));
  appendFileSync(join(SITE, "service_worker.js"), "\n// newer\n");
  await page.reload();
  assert.equal(await text("h1"), "Super-resolution on this device");
  await page.getByRole("button", { name: "New version: reload" }).click();
  await page.waitForFunction(() => document.querySelector("h1")?.textContent === "Newer");
  await loaded();
});

test("works offline after the first visit", async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  await page.reload();
  await loaded();
  await chooseBuiltIn("edsr_mobile_x4_4bit");
  assert.equal(await benchmark(), "equal");
  await page.click("#tab-look");
  await page.click("#look-sample");
  await page.waitForSelector("#look-start:enabled");
});

test("no request went to any other host, and nothing was complained about", () => {
  const strangers = requests.filter((url) => !url.startsWith(address) && !/^(blob|data):/.test(url));
  assert.deepEqual(strangers, []);
  assert.ok(requests.length > 20);
  assert.deepEqual(complaints, []);
});
