/** The tab that enlarges a photograph and lays it beside bicubic. */

import type { Crop } from "../core/crop.js";
import type { Part, Upscaled } from "../core/protocol.js";
import { count, duration } from "../core/format.js";
import { stem } from "../core/card.js";
import { CropChooser } from "./crop_chooser.js";
import { keepAwake } from "./device.js";
import { byId, download, say } from "./dom.js";
import { Cancelled, start, type Job } from "./engine.js";
import type { Models } from "./models.js";
import { Photo } from "./photo.js";
import type { Settings } from "./settings.js";
import { SplitView } from "./split_view.js";

const SAMPLE = "models/sample.png";
/** Of a model whose JSON does not say: the largest that the project has, to be safe. */
const DEFAULT_SCALE = 4;

export class LookPanel {
  private readonly chooser = new CropChooser();
  private readonly split = new SplitView();
  private readonly error = byId("look-error");
  private readonly startButton = byId<HTMLButtonElement>("look-start");
  private readonly cancelButton = byId("look-cancel");
  private readonly progress = byId("look-progress");
  private readonly bar = this.progress.querySelector("progress")!;
  private readonly stage = byId("look-stage");
  private photo: Photo | null = null;
  private job: Job<Upscaled> | null = null;
  private fileName = "";

  constructor(
    private readonly models: Models,
    private readonly settings: Settings,
  ) {
    for (const [opener, input] of [
      ["look-pick", "look-file"],
      ["look-camera", "look-capture"],
    ] as const) {
      const chooser = byId<HTMLInputElement>(input);
      byId(opener).addEventListener("click", () => chooser.click());
      chooser.addEventListener("change", () => {
        const file = chooser.files?.[0];
        if (file) void this.open(file);
        chooser.value = "";
      });
    }
    byId("look-sample").addEventListener("click", () => void this.open(SAMPLE));
    this.startButton.addEventListener("click", () => void this.enlarge());
    this.cancelButton.addEventListener("click", () => this.job?.cancel());
    byId("look-download").addEventListener("click", () => this.save());
    document.addEventListener("drop", (event) => {
      const file = [...(event.dataTransfer?.files ?? [])].find(({ type }) => type.startsWith("image/"));
      if (file && event.dataTransfer?.files.length === 1) void this.open(file);
    });
  }

  modelChanged(): void {
    this.chooser.setScale(this.models.chosen.card.scale ?? DEFAULT_SCALE);
  }

  private async open(source: File | string): Promise<void> {
    say(this.error, null);
    try {
      const photo = await Photo.open(source);
      byId("look-source").hidden = false;
      await this.chooser.open(photo, this.models.chosen.card.scale ?? DEFAULT_SCALE);
      this.photo = photo;
      if (!this.job) this.startButton.disabled = false;
    } catch (failure) {
      say(this.error, (failure as Error).message);
    }
  }

  private async enlarge(): Promise<void> {
    const crop = this.chooser.crop;
    if (!this.photo || !crop) return;
    const source = this.models.chosen;
    say(this.error, null);
    this.busy(true);
    const release = await keepAwake();
    try {
      // Reading the pixels can fail for lack of memory; that is told as well.
      const picture = await this.photo.pixels(crop);
      this.fileName = `${stem(this.photo.name.split("/").at(-1)!)}_${stem(source.card.file)}.png`;
      this.split.free();
      let began = 0;
      this.job = start<Upscaled>(
        { kind: "upscale", model: source, engine: this.settings.engine, picture },
        (report) => {
          if (report.kind === "tiles") {
            began = performance.now();
            this.stage.textContent = `tile 1 of ${report.total}`;
            this.makeRoom(crop, report.scale, source.card.name);
          }
          if (report.kind !== "tile") return;
          this.draw(report.part);
          this.bar.value = report.done / report.total;
          const left = ((performance.now() - began) / report.done) * (report.total - report.done);
          this.stage.textContent = `tile ${report.done} of ${report.total}, ${duration(left)} left`;
        },
        [picture.data.buffer],
      );
      const { tiles, milliseconds, facts } = await this.job.result;
      const [, height, width] = facts.inputShape;
      byId("look-facts").textContent =
        `${this.split.network.width}×${this.split.network.height} in ${duration(milliseconds)}, ` +
        `${count(tiles)} tile${tiles > 1 ? "s" : ""} of ${width}×${height} on ${facts.accelerator.actual}`;
      byId<HTMLButtonElement>("look-download").disabled = false;
    } catch (failure) {
      if (failure instanceof Cancelled) byId("look-facts").textContent = "Cancelled.";
      else say(this.error, (failure as Error).message);
    } finally {
      this.job = null;
      release();
      this.busy(false);
    }
  }

  private makeRoom(crop: Crop, scale: number, network: string): void {
    byId("look-result").hidden = false;
    byId("look-facts").textContent = "";
    byId("split-name").textContent = network;
    byId<HTMLButtonElement>("look-download").disabled = true;
    this.split.reset(crop.width * scale, crop.height * scale);
  }

  private draw(part: Part): void {
    for (const kind of ["bicubic", "network"] as const) {
      const image = new ImageData(part[kind], part.width, part.height);
      this.split[kind].getContext("2d")!.putImageData(image, part.left, part.top);
    }
  }

  private save(): void {
    this.split.network.toBlob((blob) => {
      if (blob) download(this.fileName, blob);
      else say(this.error, "The picture is too large for this browser to save; enlarge a smaller part.");
    }, "image/png");
  }

  private busy(on: boolean): void {
    this.startButton.disabled = on;
    this.cancelButton.hidden = !on;
    this.progress.hidden = !on;
    this.bar.value = 0;
    this.stage.textContent = on ? "loading the model" : "";
    if (on) this.cancelButton.focus();
  }
}
