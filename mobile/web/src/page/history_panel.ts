/** The tab of earlier results: a list, and the marked ones side by side. */

import { bytes, digits, duration } from "../core/format.js";
import { checkText, modelLabel, type Result } from "../core/result.js";
import { byId, element } from "./dom.js";
import { loadResults, storeResults } from "./history_store.js";
import { plotOf, saveResults } from "./result_view.js";

const MOST_COMPARED = 4; // as many as there are colours

export class HistoryPanel {
  private results = loadResults();
  private readonly marked = new Set<string>();
  private readonly note = byId("history-note");

  constructor() {
    byId("history-save").addEventListener("click", () => {
      const chosen = this.chosen();
      saveResults(chosen.length ? chosen : this.results);
    });
    byId("history-delete").addEventListener("click", () => this.deleteMarked());
    this.show();
  }

  add(result: Result): void {
    this.results = [result, ...this.results];
    this.store();
    this.show();
  }

  private chosen(): Result[] {
    return this.results.filter(({ id }) => this.marked.has(id));
  }

  private deleteMarked(): void {
    const count = this.marked.size;
    if (!count) {
      this.note.textContent = "Mark what is to be deleted first.";
      return;
    }
    if (!confirm(`Delete ${count} result${count > 1 ? "s" : ""} from this device?`)) return;
    this.results = this.results.filter(({ id }) => !this.marked.has(id));
    this.marked.clear();
    this.store();
    this.show();
  }

  private store(): void {
    const whole = storeResults(this.results);
    this.note.textContent = whole ? "" : "There is no room for more; the oldest results were not kept.";
  }

  private show(): void {
    const any = this.results.length > 0;
    byId("history-empty").hidden = any;
    byId("history-table").hidden = !any;
    byId("history-actions").hidden = !any;
    byId("history-table").querySelector("tbody")!.replaceChildren(...this.results.map((r) => this.row(r)));
    this.compare();
  }

  private row(result: Result): HTMLElement {
    const when = new Date(result.date);
    const box = element("input", {
      type: "checkbox",
      "aria-label": `Mark ${modelLabel(result)} of ${when.toLocaleString()}`,
    }) as HTMLInputElement;
    box.checked = this.marked.has(result.id);
    box.addEventListener("change", () => {
      if (box.checked) this.marked.add(result.id);
      else this.marked.delete(result.id);
      this.compare();
    });
    return element(
      "tr",
      {},
      element("td", {}, box),
      element(
        "td",
        {},
        modelLabel(result),
        element("small", {}, `${when.toLocaleString([], { dateStyle: "short", timeStyle: "short" })}, ${engineText(result)}`),
      ),
      element("td", {}, duration(result.latency_ms.p50)),
      checkCell(result),
    );
  }

  private compare(): void {
    const chosen = this.chosen().slice(0, MOST_COMPARED);
    const place = byId("comparison");
    place.hidden = chosen.length < 2;
    if (place.hidden) return place.replaceChildren();
    const [first] = chosen as [Result, ...Result[]];
    const rows: [string, (result: Result) => string][] = [
      ["runs on", engineText],
      ["p50", (r) => duration(r.latency_ms.p50)],
      ["times the first", (r) => `× ${digits(r.latency_ms.p50 / first.latency_ms.p50)}`],
      ["p90", (r) => duration(r.latency_ms.p90)],
      ["p99", (r) => duration(r.latency_ms.p99)],
      ["mean", (r) => duration(r.latency_ms.mean)],
      ["spread (std)", (r) => duration(r.latency_ms.deviation)],
      ["frames a second", (r) => digits(r.frames_per_second)],
      ["first run", (r) => duration(r.cold_ms.first_run)],
      ["load and compile", (r) => duration(r.cold_ms.runtime + r.cold_ms.compile)],
      ["memory", (r) => bytes(r.memory_bytes.wasm)],
      ["end to start", (r) => (r.slowdown === null ? "-" : `× ${digits(r.slowdown)}`)],
      ["check", (r) => (r.valid ? checkText(r.check) : `WRONG: ${checkText(r.check)}`)],
    ];
    const head = chosen.map((result, index) =>
      element("th", { scope: "col" }, element("span", { class: `swatch series-${index}` }), modelLabel(result)),
    );
    place.replaceChildren(
      element("h3", {}, "Side by side"),
      this.marked.size > MOST_COMPARED
        ? element("p", { class: "hint" }, `The first ${MOST_COMPARED} of the ${this.marked.size} marked.`)
        : "",
      plotOf(chosen),
      element(
        "div",
        { class: "scroll" },
        element(
          "table",
          { id: "comparison-table" },
          element("thead", {}, element("tr", {}, element("td"), ...head)),
          element(
            "tbody",
            {},
            ...rows.map(([name, value]) =>
              element(
                "tr",
                {},
                element("th", { scope: "row" }, name),
                ...chosen.map((result) => element("td", {}, value(result))),
              ),
            ),
          ),
        ),
      ),
    );
  }
}

function engineText({ accelerator }: Result): string {
  return accelerator.threads > 1 ? `${accelerator.actual}, ${accelerator.threads} threads` : accelerator.actual;
}

function checkCell(result: Result): HTMLElement {
  if (!result.valid) return element("td", { class: "bad" }, "✗ wrong");
  if (result.check.status === "no reference") return element("td", { class: "unknown" }, "no reference");
  return element("td", { class: "good" }, result.check.status === "equal" ? "✓ equal" : "✓ rounding");
}
