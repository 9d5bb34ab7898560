/** Is this a .tflite file, and the one that its card speaks of? Asked before the runtime is. */

import { InputError, type ModelCard } from "./card.js";

/** Throws an InputError that says what is wrong with the file. */
export async function checkModelFile(bytes: Uint8Array<ArrayBuffer>, card: ModelCard): Promise<void> {
  if (bytes.length < 8) {
    throw new InputError(`${card.file} is empty or cut short. Export or copy it again.`);
  }
  if (new TextDecoder("latin1").decode(bytes.subarray(4, 8)) !== "TFL3") {
    throw new InputError(`${card.file} is not a TensorFlow Lite file.`);
  }
  if (card.bytes !== undefined && card.bytes !== bytes.length) {
    throw new InputError(
      `${card.file} has ${bytes.length} bytes, but its card says ${card.bytes}: ` +
        "it is damaged, or the card belongs to another file.",
    );
  }
  // Web cryptography is missing where the page came neither by https nor from localhost.
  if (card.sha256 === undefined || !globalThis.crypto?.subtle) return;
  if ((await sha256(bytes)) !== card.sha256) {
    throw new InputError(
      `${card.file} is not the file its card was made for (another SHA-256): ` +
        "it is damaged, or the card belongs to another file.",
    );
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Undo what the card does to its reference: base64 of zlib. */
export async function unpack(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
