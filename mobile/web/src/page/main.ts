/** Puts the page together. */

import type { Result } from "../core/result.js";
import { benchmarkPanel } from "./benchmark_panel.js";
import { checkPanel } from "./check_panel.js";
import { byId, say } from "./dom.js";
import { HistoryPanel } from "./history_panel.js";
import { LookPanel } from "./look_panel.js";
import { Models } from "./models.js";
import { registerServiceWorker } from "./offline.js";
import { Settings } from "./settings.js";
import { tabs } from "./tabs.js";

declare const LITERT_VERSION: string;

async function main(): Promise<void> {
  tabs();
  void registerServiceWorker();
  byId("versions").textContent = `LiteRT.js ${LITERT_VERSION}`;
  const settings = new Settings();
  const history = new HistoryPanel();
  // The look panel asks for the chosen model, and hears when another is chosen.
  let look: LookPanel | null = null;
  const models = new Models(() => look?.modelChanged());
  look = new LookPanel(models, settings);
  benchmarkPanel(models, settings, (result: Result) => history.add(result));
  checkPanel(models, settings);
  await models.load();
}

main().catch((error: Error) => say(byId("page-error"), `The page could not start: ${error.message}`));
