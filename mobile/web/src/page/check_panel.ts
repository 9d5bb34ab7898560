/** The tab that compares this device's output with the host's. */

import type { Check, Checked, ModelSource } from "../core/protocol.js";
import { count, digits, percent } from "../core/format.js";
import { byId, element, say } from "./dom.js";
import { Cancelled, start, type Job } from "./engine.js";
import type { Models } from "./models.js";
import type { Settings } from "./settings.js";

const VERDICTS: Record<Check["status"], [text: string, style: string]> = {
  equal: ["✓ equal", "good"],
  "within rounding": ["✓ equal within rounding", "good"],
  different: ["✗ different", "bad"],
  "no reference": ["no reference", "unknown"],
};

export function checkPanel(models: Models, settings: Settings): void {
  const buttons = [byId<HTMLButtonElement>("check-start"), byId<HTMLButtonElement>("check-all")];
  const cancelButton = byId("check-cancel");
  const stage = byId("check-stage");
  const error = byId("check-error");
  const table = byId("check-table");
  let job: Job<Checked> | null = null;

  const check = async (sources: () => ModelSource[]) => {
    buttons.forEach((button) => (button.disabled = true));
    cancelButton.hidden = false;
    say(error, null);
    let reference: string | null = null;
    try {
      for (const model of sources()) {
        stage.textContent = `${model.card.name} …`;
        job = start<Checked>({ kind: "check", model, engine: settings.engine }, () => {});
        const { check, facts } = await job.result;
        const on = `${model.card.name}, on ${facts.accelerator.actual}`;
        table.querySelector("tbody")!.append(row(on, check));
        table.hidden = false;
        reference = check.reference ?? reference;
      }
      stage.textContent = reference ? `The reference is the output of ${reference}.` : "";
    } catch (failure) {
      stage.textContent = failure instanceof Cancelled ? "Cancelled." : "";
      if (!(failure instanceof Cancelled)) say(error, (failure as Error).message);
    } finally {
      job = null;
      buttons.forEach((button) => (button.disabled = false));
      cancelButton.hidden = true;
    }
  };

  buttons[0]!.addEventListener("click", () => void check(() => [models.chosen]));
  buttons[1]!.addEventListener("click", () => void check(() => models.all));
  cancelButton.addEventListener("click", () => job?.cancel());
}

function row(name: string, check: Check): HTMLElement {
  const [text, style] = VERDICTS[check.status];
  const found = check.comparison;
  return element(
    "tr",
    { "data-check": check.status },
    element("td", {}, name),
    element("td", { class: style }, text),
    element("td", {}, found ? `${count(found.differing)} of ${count(found.total)} (${percent(found.share)})` : "-"),
    element("td", {}, found ? String(found.largest) : "-"),
    element("td", {}, !found ? "-" : found.psnr === null ? "∞" : `${digits(found.psnr)} dB`),
  );
}
