/** The tab that measures: one button, a live plot, and the figures. */

import type { Measured, Sample, Stage } from "../core/protocol.js";
import { duration } from "../core/format.js";
import { makeResult, type Result } from "../core/result.js";
import { describeDevice, javascriptBytes, keepAwake } from "./device.js";
import { byId, say } from "./dom.js";
import { Cancelled, start, type Job } from "./engine.js";
import type { Models } from "./models.js";
import { plot } from "./plot.js";
import { resultView } from "./result_view.js";
import type { Settings } from "./settings.js";

declare const LITERT_VERSION: string;
const PAGE_VERSION = "1";

const STAGES: Record<Stage, string> = {
  model: "reading the model",
  runtime: "loading the runtime",
  compile: "compiling",
  "first run": "first run, checked against the host",
  "warm-up": "warming up",
  timing: "timing",
};

export function benchmarkPanel(
  models: Models,
  settings: Settings,
  onResult: (result: Result) => void,
): void {
  const startButton = byId<HTMLButtonElement>("benchmark-start");
  const cancelButton = byId<HTMLButtonElement>("benchmark-cancel");
  const progress = byId("benchmark-progress");
  const bar = progress.querySelector("progress")!;
  const stage = byId("benchmark-stage");
  const error = byId("benchmark-error");
  const live = byId("benchmark-live");
  const view = byId("benchmark-result");
  let job: Job<Measured> | null = null;

  const busy = (on: boolean) => {
    startButton.disabled = on;
    cancelButton.hidden = !on;
    progress.hidden = !on;
    live.hidden = !on;
    if (on) cancelButton.focus();
    else if (document.activeElement === document.body) startButton.focus();
  };

  const measure = async () => {
    let wasHidden = document.hidden;
    const watch = () => (wasHidden ||= document.hidden);
    document.addEventListener("visibilitychange", watch);
    say(error, null);
    view.hidden = true;
    live.replaceChildren();
    bar.removeAttribute("value");
    busy(true);
    const release = await keepAwake();
    const samples: Sample[] = [];
    try {
      const model = models.chosen;
      job = start<Measured>(
        { kind: "benchmark", model, engine: settings.engine, seconds: settings.seconds },
        (report) => {
          if (report.kind === "stage") stage.textContent = STAGES[report.stage];
          if (report.kind !== "samples") return;
          samples.push(...report.samples);
          bar.value = report.share;
          const last = report.samples.at(-1);
          if (!last) return;
          stage.textContent = `timing: ${duration(last.ms)} a run`;
          live.replaceChildren(plot([{ name: model.card.name, samples }]));
        },
      );
      const measured = await job.result;
      const result = makeResult(model.card, measured, {
        id: `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`,
        date: new Date().toISOString(),
        app: { page: PAGE_VERSION, runtime: LITERT_VERSION },
        device: await describeDevice(),
        javascriptBytes: javascriptBytes(),
        wasHidden,
      });
      view.replaceChildren(resultView(result));
      view.hidden = false;
      onResult(result);
    } catch (failure) {
      if (failure instanceof Cancelled) stage.textContent = "";
      else say(error, (failure as Error).message);
    } finally {
      job = null;
      release();
      document.removeEventListener("visibilitychange", watch);
      busy(false);
    }
  };

  startButton.addEventListener("click", () => void measure());
  cancelButton.addEventListener("click", () => job?.cancel());
}
