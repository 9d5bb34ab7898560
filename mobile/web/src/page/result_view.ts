/** One result, with everything that says how far to trust it. */

import { bytes, digits, duration, percent, size } from "../core/format.js";
import { checkText, modelLabel, pasteLine, type Result } from "../core/result.js";
import { button, download, element } from "./dom.js";
import { plot } from "./plot.js";

export function resultView(result: Result): HTMLElement {
  const { latency_ms: ms, cold_ms: cold, accelerator, clock, device, memory_bytes: memory } = result;
  return element(
    "article",
    { "aria-label": `Result of ${modelLabel(result)}` },
    verdict(result),
    element(
      "div",
      { class: "headline" },
      element("p", {}, element("b", { "data-figure": "p50" }, duration(ms.p50)), " median of a warm run"),
      element(
        "p",
        {},
        element("b", {}, digits(result.frames_per_second)),
        ` frames a second, ${size(result.model.input)} to ${size(result.model.output)}`,
      ),
    ),
    ...result.notes.map((note) => element("p", { class: "message warning" }, note)),
    plotOf([result]),
    element("h3", {}, "Warm runs"),
    figures([
      ["p50", duration(ms.p50)],
      ["p90", duration(ms.p90)],
      ["p95", duration(ms.p95)],
      ["p99", duration(ms.p99)],
      ["mean", duration(ms.mean)],
      ["spread (std)", duration(ms.deviation)],
      ["fastest", duration(ms.min)],
      ["slowest", duration(ms.max)],
      ["samples", runs(result)],
      ["end to start", result.slowdown === null ? "too few runs" : `× ${digits(result.slowdown)}`],
    ]),
    element("h3", {}, "Cold start"),
    figures([
      ["read the model", duration(cold.model)],
      ["load the runtime", duration(cold.runtime)],
      ["compile", duration(cold.compile)],
      ["first run", duration(cold.first_run)],
    ]),
    element("h3", {}, "Where it ran"),
    figures([
      ["asked for", accelerator.requested],
      ["ran on", accelerator.actual],
      ["whole graph there", accelerator.fully_accelerated ? "yes" : "no, in part"],
      ["threads", String(accelerator.threads)],
      ["wasm memory, peak", bytes(memory.wasm)],
      ["page's JavaScript", memory.javascript === null ? "not told" : bytes(memory.javascript)],
      ["clock step", `${duration(clock.step_ms)}${clock.isolated ? "" : ", not isolated"}`],
      ["clock error, most", percent(clock.error)],
      ["cores", device.cores === null ? "not told" : String(device.cores)],
      ["device memory", device.memoryGiB === null ? "not told" : `${device.memoryGiB} GiB`],
      ["GPU", device.gpu ?? "none for WebGPU"],
      ["screen", device.screen],
      ["battery", device.battery ?? "not told"],
      ["LiteRT.js", result.app.runtime],
      ["device", device.name, "wide"],
      ["user agent", device.userAgent, "wide"],
    ]),
    sharing(result),
  );
}

/** The check in one line, in the colour of its meaning. */
function verdict(result: Result): HTMLElement {
  const { check } = result;
  if (!result.valid) {
    return element(
      "p",
      { class: "verdict bad", "data-check": check.status },
      `✗ Wrong result: ${check.status === "different" ? checkText(check) : "runs differ from each other"}. ` +
        "The times below do not count.",
    );
  }
  if (check.status === "no reference") {
    return element(
      "p",
      { class: "verdict unknown", "data-check": check.status },
      "? No reference: whether the output is right was not checked.",
    );
  }
  const kind = check.status === "equal" ? "Output equals the host's" : "Output equals the host's within rounding";
  return element(
    "p",
    { class: "verdict good", "data-check": check.status },
    `✓ ${kind}: ${checkText(check)}.`,
  );
}

function runs({ latency_ms, clock }: Result): string {
  return clock.runs_per_sample === 1
    ? `${latency_ms.count} runs`
    : `${latency_ms.count} of ${clock.runs_per_sample} runs`;
}

type Figure = [name: string, value: string, style?: string];

function figures(list: Figure[]): HTMLElement {
  const cells = list.map(([name, value, style]) =>
    element("div", style ? { class: style } : {}, element("dt", {}, name), element("dd", {}, value)),
  );
  return element("dl", { class: "figures" }, ...cells);
}

export function plotOf(results: Result[]): HTMLElement {
  return element(
    "div",
    { class: "plot" },
    plot(results.map((result) => ({ name: modelLabel(result), samples: result.samples }))) as Node,
  );
}

function sharing(result: Result): HTMLElement {
  const line = element("textarea", {
    class: "line-to-paste",
    readonly: "",
    "aria-label": "The result in one line",
  }) as HTMLTextAreaElement;
  line.value = pasteLine(result);
  const note = element("span", { class: "facts", role: "status" });
  const copy = async () => {
    line.select();
    try {
      await navigator.clipboard.writeText(line.value);
      note.textContent = "Copied.";
    } catch {
      note.textContent = "The browser does not let the page copy; the line is marked, copy it yourself.";
    }
  };
  return element(
    "section",
    { class: "share", "aria-label": "Send this result" },
    element("h3", {}, "Send it"),
    line,
    element(
      "div",
      { class: "row" },
      button("Copy the line", () => void copy()),
      button("Save as JSON", () => saveResults([result])),
      note,
    ),
  );
}

export function saveResults(results: Result[]): void {
  const content = results.length === 1 ? results[0] : results;
  const [first] = results;
  const name = results.length === 1 ? first!.model.file.replace(/\.tflite$/, "") : `${results.length}_results`;
  const time = first!.date.slice(0, 19).replace(/[:T]/g, "-");
  const blob = new Blob([JSON.stringify(content, null, 1)], { type: "application/json" });
  download(`pams_${name}_${time}.json`, blob);
}
