/** The models to choose from: the page's own, and what the user brings. */

import { bitsOf, InputError, parseSidecar, stem, type ModelCard } from "../core/card.js";
import { bytes, digits } from "../core/format.js";
import { checkModelFile } from "../core/model_file.js";
import type { ModelSource } from "../core/protocol.js";
import { byId, element, say } from "./dom.js";

const MOST_MODEL_BYTES = 500e6;

export class Models {
  private readonly select = byId<HTMLSelectElement>("model");
  private readonly error = byId("model-error");
  private readonly sources = new Map<string, ModelSource>();

  constructor(private readonly onChange: () => void) {
    this.select.addEventListener("change", () => this.changed());
    const input = byId<HTMLInputElement>("own");
    byId("own-button").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      void this.add([...(input.files ?? [])]);
      input.value = ""; // so that the same file can be chosen again
    });
    this.acceptDrops();
  }

  /** Read the list that the build put beside the page. */
  async load(): Promise<void> {
    const list = (await (await fetched("models/index.json")).json()) as { file: string }[];
    const cards = list.map((card) => parseSidecar(JSON.stringify(card), "index.json", card.file));
    const group = element("optgroup", { label: "Of the project" });
    cards.forEach((card) => this.put(group, card, at(card.file)));
    this.select.append(group);
    this.changed();
  }

  get chosen(): ModelSource {
    const source = this.sources.get(this.select.value);
    if (!source) throw new InputError("Choose a model first.");
    return source;
  }

  get all(): ModelSource[] {
    return [...this.sources.values()];
  }

  /** Files of the user: one .tflite and its .json. */
  async add(files: File[]): Promise<void> {
    try {
      const source = await readOwn(files);
      const label = "Your own";
      const group =
        this.select.querySelector<HTMLElement>(`optgroup[label="${label}"]`) ??
        this.select.appendChild(element("optgroup", { label }));
      this.select.value = this.put(group, source.card, source.content);
      this.changed();
    } catch (error) {
      say(this.error, (error as Error).message);
    }
  }

  private put(group: HTMLElement, card: ModelCard, content: ModelSource["content"]): string {
    const key = `${"url" in content ? "page" : "own"}/${card.file}`;
    if (!this.sources.has(key)) group.append(element("option", { value: key }, card.name));
    this.sources.set(key, { card, content });
    return key;
  }

  private changed(): void {
    say(this.error, null);
    const { card, content } = this.chosen;
    const { psnr, set } = card.quality ?? {};
    byId("model-facts").textContent = [
      card.input ? `${card.input.shape[2]}×${card.input.shape[1]} pixels in` : null,
      card.scale ? `×${card.scale}` : null,
      bitsOf(card),
      card.bytes ? bytes(card.bytes) : null,
      psnr === undefined ? null : `${digits(psnr)} dB on ${set}`,
      "bytes" in content && !card.reference ? "no reference to check its output against" : null,
    ]
      .filter((fact) => fact !== null)
      .join(", ");
    byId("model-made").textContent = card.made
      ? capital(card.made)
      : "Your own file; its JSON does not tell.";
    this.onChange();
  }

  private acceptDrops(): void {
    const over = (on: boolean) => document.body.classList.toggle("dropping", on);
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) over(false);
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length && !files.every((file) => file.type.startsWith("image/"))) void this.add(files);
    });
  }
}

async function readOwn(files: File[]): Promise<ModelSource> {
  const ending = (wanted: string) => files.filter((file) => file.name.toLowerCase().endsWith(wanted));
  const [models, sidecars] = [ending(".tflite"), ending(".json")];
  const others = files.filter((file) => !models.includes(file) && !sidecars.includes(file));
  const model = models[0];
  if (!model) {
    const what = (others[0] ?? sidecars[0])?.name ?? "nothing";
    throw new InputError(
      `${what} is not a model. Choose a .tflite file together with the .json that was written beside it.`,
    );
  }
  if (models.length > 1) {
    throw new InputError(`${models.length} .tflite files at once; choose one with its .json.`);
  }
  const sidecar = sidecars.find((file) => stem(file.name) === stem(model.name)) ?? sidecars[0];
  if (!sidecar) {
    throw new InputError(
      `${model.name} came without its .json. Choose both files together: ` +
        `${model.name} and ${stem(model.name)}.json, which the export wrote beside it.`,
    );
  }
  if (model.size > MOST_MODEL_BYTES) {
    throw new InputError(`${model.name} has ${bytes(model.size)}; a browser takes ${bytes(MOST_MODEL_BYTES)} at most.`);
  }
  const card = parseSidecar(await sidecar.text(), sidecar.name, model.name);
  const content = new Uint8Array(await model.arrayBuffer());
  await checkModelFile(content, card);
  return { card, content: { bytes: content } };
}

async function fetched(path: string): Promise<Response> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} is missing on the server (${response.status}); build the page again.`);
  return response;
}

function at(file: string): ModelSource["content"] {
  return { url: `models/${file}`, cardUrl: `models/${stem(file)}.json` };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
