/** Where the model runs: accelerator, threads, time; each with the reason where it cannot. */

import type { Engine } from "../core/protocol.js";
import { gpuAdapter } from "./device.js";
import { byId, element } from "./dom.js";

export class Settings {
  private readonly accelerator = byId<HTMLSelectElement>("accelerator");
  private readonly threads = byId<HTMLSelectElement>("threads");
  private readonly seconds_ = byId<HTMLSelectElement>("seconds");
  private readonly reasons: string[] = [];

  constructor() {
    const cores = self.crossOriginIsolated ? (navigator.hardwareConcurrency ?? 1) : 1;
    for (let count = 1; count <= Math.min(cores, 8); count++) {
      this.threads.append(element("option", { value: String(count) }, String(count)));
    }
    if (!self.crossOriginIsolated) {
      this.reasons.push("Threads and a fine clock need an isolated page; see above.");
    }
    this.accelerator.addEventListener("change", () => this.update());
    this.update();
    void this.lookForGpu();
  }

  get engine(): Engine {
    const accelerator = this.accelerator.value as Engine["accelerator"];
    return { accelerator, threads: accelerator === "wasm" ? Number(this.threads.value) : 1 };
  }

  get seconds(): number {
    return Number(this.seconds_.value);
  }

  private async lookForGpu(): Promise<void> {
    if (await gpuAdapter()) return;
    const option = this.accelerator.querySelector<HTMLOptionElement>("[value=webgpu]")!;
    option.disabled = true;
    option.textContent += ": not in this browser";
  }

  private update(): void {
    const gpu = this.accelerator.value === "webgpu";
    this.threads.disabled = gpu || this.threads.length < 2;
    byId("engine-hint").textContent = gpu
      ? "On a GPU codes may differ from the host's; the check says by how much."
      : this.reasons.join(" ");
  }
}
