/** The little of a framework that this page needs. */

export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found as T;
}

type Child = Node | string | null;

/** element("p", { class: "hint" }, "text", otherNode) */
export function element(
  tag: string,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElement {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Show a message in an element made for it; null hides it. */
export function say(node: HTMLElement, message: string | null): void {
  node.textContent = message ?? "";
  node.hidden = message === null;
}

/** Button with a text and what it does. */
export function button(text: string, act: () => void): HTMLButtonElement {
  const node = element("button", { type: "button" }, text) as HTMLButtonElement;
  node.addEventListener("click", act);
  return node;
}

export function download(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // Some browsers read the address after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
