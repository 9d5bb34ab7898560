/** Tabs as the ARIA practices describe them: arrow keys move, one is shown. */

import { byId } from "./dom.js";

export function tabs(): void {
  const all = [...byId("tabs").querySelectorAll<HTMLButtonElement>("[role=tab]")];
  const choose = (chosen: HTMLButtonElement) => {
    for (const tab of all) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      byId(tab.getAttribute("aria-controls")!).hidden = !selected;
    }
    history.replaceState(null, "", `#${chosen.id.replace("tab-", "")}`);
    // What was hidden had no size to lay itself out in.
    window.dispatchEvent(new Event("resize"));
  };
  all.forEach((tab, index) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const target =
        event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : step && index + step;
      if (target === undefined) return;
      event.preventDefault();
      const next = all[(target + all.length) % all.length]!;
      next.focus();
      choose(next);
    });
  });
  const wanted = all.find((tab) => tab.id === `tab-${location.hash.slice(1)}`);
  if (wanted) choose(wanted);
}
