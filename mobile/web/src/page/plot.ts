/** Latency over time as an SVG: throttling is a slope that a table hides. */

import { duration } from "../core/format.js";
import type { Sample } from "../core/protocol.js";
import { quantile } from "../core/statistics.js";

export interface Series {
  name: string;
  samples: Sample[];
}

const HEIGHT = 220;
const MARGIN = { left: 56, right: 12, top: 12, bottom: 28 };
const MOST_POINTS = 600;

export function plot(series: Series[]): SVGSVGElement {
  const shown = series.filter(({ samples }) => samples.length > 0);
  // One unit is about one pixel, so that the letters keep their size on a small screen.
  const width = Math.min(Math.max(window.innerWidth - 54, 260), 760);
  const root = node("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" }) as SVGSVGElement;
  root.style.maxWidth = `${width}px`;
  const medians = shown.map(({ samples }) => quantile(samples.map(({ ms }) => ms), 0.5));
  const label = shown.map(({ name }, i) => `${name}: median ${duration(medians[i]!)}`).join("; ");
  root.append(text("title", `Latency over the runs. ${label}`));
  if (shown.length === 0) return root;

  const all = shown.flatMap(({ samples }) => samples);
  // A few outliers must not flatten the rest; they are drawn at the upper edge.
  const top = niceCeiling(1.15 * quantile(all.map(({ ms }) => ms), 0.99));
  const end = Math.max(...all.map(({ at, ms }) => at + ms));
  const x = (at: number) => MARGIN.left + (at / end) * (width - MARGIN.left - MARGIN.right);
  const y = (ms: number) =>
    HEIGHT - MARGIN.bottom - (Math.min(ms, top) / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);

  for (const share of [0, 0.5, 1]) {
    const [at, ms] = [share * end, share * top];
    root.append(
      node("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(ms), y2: y(ms) }),
      text("text", ms ? duration(ms) : "0", { x: MARGIN.left - 6, y: y(ms) + 4, "text-anchor": "end" }),
      text("text", `${(at / 1000).toFixed(end < 10_000 ? 1 : 0)} s`, {
        x: x(at),
        y: HEIGHT - 8,
        "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle",
      }),
    );
  }
  shown.forEach(({ samples }, index) => {
    const step = Math.max(1, Math.ceil(samples.length / MOST_POINTS));
    const points = samples
      .filter((_, i) => i % step === 0)
      .map(({ at, ms }) => `M${x(at).toFixed(1)} ${(y(ms) - 2).toFixed(1)}a2 2 0 1 0 .01 0z`)
      .join("");
    const middle = y(medians[index]!);
    root.append(
      node("path", { class: `point series-${index % 4}`, d: points }),
      node("path", {
        class: `median series-${index % 4}`,
        d: `M${MARGIN.left} ${middle}H${width - MARGIN.right}`,
      }),
    );
  });
  return root;
}

/** 1, 2, 5, 10, ... times a power of ten, not below the value. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
  return power * [1, 1.5, 2, 3, 4, 5, 7.5, 10].find((factor) => factor * power >= value)!;
}

function node(tag: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

function text(tag: string, content: string, attributes: Record<string, string | number> = {}): SVGElement {
  const made = node(tag, attributes);
  made.textContent = content;
  return made;
}
