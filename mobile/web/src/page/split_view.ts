/** Two pictures of one size in one place, a line between them, zoom and pan. */

import { byId } from "./dom.js";

const MOST_ZOOM = 8;
const ZOOM_STEP = Math.SQRT2;
const PAN_STEP = 40;
const DIVIDER_STEP = 0.05;

interface Point {
  x: number;
  y: number;
}

export class SplitView {
  private readonly frame = byId("split");
  private readonly stage = this.frame.querySelector<HTMLElement>(".split-stage")!;
  private readonly line = byId("split-line");
  private readonly range = byId<HTMLInputElement>("split-range");
  private readonly pointers = new Map<number, Point>();
  readonly bicubic = byId<HTMLCanvasElement>("split-bicubic");
  readonly network = byId<HTMLCanvasElement>("split-network");
  private size = { width: 1, height: 1 };
  private zoom = 1;
  private left = 0;
  private top = 0;
  /** Where the line is, as a share of the frame's width. */
  private divider = 0.5;
  /** Nobody has zoomed or moved it yet, so it is fitted anew when the frame changes its size. */
  private fitted = true;

  constructor() {
    this.range.addEventListener("input", () => this.divide(Number(this.range.value) / 100));
    byId("zoom-in").addEventListener("click", () => this.zoomTo(this.zoom * ZOOM_STEP));
    byId("zoom-out").addEventListener("click", () => this.zoomTo(this.zoom / ZOOM_STEP));
    byId("zoom-fit").addEventListener("click", () => this.fit());
    this.frame.addEventListener("keydown", (event) => this.key(event));
    this.frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.frame.addEventListener("pointerdown", (event) => this.down(event));
    this.frame.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"] as const) {
      this.frame.addEventListener(kind, ({ pointerId }) => this.pointers.delete(pointerId));
    }
    window.addEventListener("resize", () => (this.fitted ? this.fit() : this.place()));
  }

  /** Make room for pictures of this size; they are empty then. */
  reset(width: number, height: number): void {
    this.size = { width, height };
    for (const canvas of [this.bicubic, this.network]) [canvas.width, canvas.height] = [width, height];
    this.divider = 0.5;
    this.fit();
  }

  /** Give the pictures' memory back. */
  free(): void {
    for (const canvas of [this.bicubic, this.network]) canvas.width = canvas.height = 0;
  }

  fit(): void {
    const { clientWidth, clientHeight } = this.frame;
    const { width, height } = this.size;
    this.zoom = this.fitting();
    this.left = (clientWidth - width * this.zoom) / 2;
    this.top = (clientHeight - height * this.zoom) / 2;
    this.fitted = true;
    this.place();
  }

  private fitting(): number {
    const { clientWidth, clientHeight } = this.frame;
    return Math.min(clientWidth / this.size.width, clientHeight / this.size.height, 1) || 1;
  }

  private zoomTo(zoom: number, at?: Point): void {
    const { clientWidth, clientHeight } = this.frame;
    const fixed = at ?? { x: clientWidth / 2, y: clientHeight / 2 };
    const next = Math.min(Math.max(zoom, this.fitting() / 2), MOST_ZOOM);
    this.left = fixed.x - ((fixed.x - this.left) * next) / this.zoom;
    this.top = fixed.y - ((fixed.y - this.top) * next) / this.zoom;
    this.zoom = next;
    this.fitted = false;
    this.place();
  }

  private pan(dx: number, dy: number): void {
    this.left += dx;
    this.top += dy;
    this.fitted = false;
    this.place();
  }

  private divide(share: number): void {
    this.divider = Math.min(Math.max(share, 0), 1);
    this.place();
  }

  private place(): void {
    const { clientWidth, clientHeight } = this.frame;
    if (!clientWidth) return; // in a hidden tab
    const [width, height] = [this.size.width * this.zoom, this.size.height * this.zoom];
    // A part of the picture always stays in sight.
    const keep = 40;
    this.left = Math.min(Math.max(this.left, keep - width), clientWidth - keep);
    this.top = Math.min(Math.max(this.top, keep - height), clientHeight - keep);
    this.stage.style.transform = `translate(${this.left}px, ${this.top}px) scale(${this.zoom})`;
    const line = this.divider * clientWidth;
    this.line.style.left = `${line}px`;
    const hidden = (line - this.left) / this.zoom;
    this.network.style.clipPath = `inset(0 0 0 ${Math.max(hidden, 0)}px)`;
    this.frame.classList.toggle("pixels", this.zoom * window.devicePixelRatio >= 3);
    this.range.value = String(Math.round(this.divider * 100));
    byId("zoom-value").textContent = `${Math.round(this.zoom * 100)} %`;
  }

  private key(event: KeyboardEvent): void {
    const acts: Record<string, () => void> = {
      ArrowLeft: () => (event.shiftKey ? this.divide(this.divider - DIVIDER_STEP) : this.pan(PAN_STEP, 0)),
      ArrowRight: () => (event.shiftKey ? this.divide(this.divider + DIVIDER_STEP) : this.pan(-PAN_STEP, 0)),
      ArrowUp: () => this.pan(0, PAN_STEP),
      ArrowDown: () => this.pan(0, -PAN_STEP),
      "+": () => this.zoomTo(this.zoom * ZOOM_STEP),
      "-": () => this.zoomTo(this.zoom / ZOOM_STEP),
      "0": () => this.fit(),
    };
    const act = acts[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    this.zoomTo(this.zoom * 2 ** (-event.deltaY / 300), this.inFrame(event));
  }

  private inFrame({ clientX, clientY }: { clientX: number; clientY: number }): Point {
    const { left, top } = this.frame.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  private dividing = false;

  private down(event: PointerEvent): void {
    this.frame.setPointerCapture(event.pointerId);
    if (this.pointers.size === 0) this.dividing = event.target === this.line;
    this.pointers.set(event.pointerId, this.inFrame(event));
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.inFrame(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      // Two fingers: what lies between them stays between them.
      const distance = (a: Point) => Math.hypot(a.x - other.x, a.y - other.y);
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      this.zoomTo((this.zoom * distance(now)) / Math.max(distance(before), 1), middle);
      this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else if (this.dividing) {
      this.divide(now.x / this.frame.clientWidth);
    } else {
      this.pan(now.x - before.x, now.y - before.y);
    }
  }
}
