/** What the browser tells about the device; much of it only where it wants to. */

import type { Device } from "../core/result.js";

interface Hints {
  brands?: { brand: string; version: string }[];
  platform?: string;
  getHighEntropyValues?(names: string[]): Promise<Record<string, unknown>>;
}
interface Battery {
  level: number;
  charging: boolean;
}
type Extended = Navigator & {
  userAgentData?: Hints;
  deviceMemory?: number;
  getBattery?(): Promise<Battery>;
  gpu?: { requestAdapter(): Promise<Adapter | null> };
};
interface Adapter {
  info?: { vendor?: string; architecture?: string; device?: string; description?: string };
}

const browser = navigator as Extended;

export async function describeDevice(): Promise<Device> {
  const hints = await highEntropy();
  const brand = browser.userAgentData?.brands?.find(({ brand }) => !/not.*brand|chromium/i.test(brand));
  const name = brand ? `${brand.brand} ${brand.version}` : browserFromAgent();
  const system = hints["platform"]
    ? `${hints["platform"]} ${hints["platformVersion"] ?? ""}`.trim()
    : systemFromAgent();
  const device = String(hints["model"] || hints["architecture"] || "").trim();
  return {
    name: [device, system, name].filter(Boolean).join(", "),
    browser: name,
    system,
    userAgent: navigator.userAgent,
    cores: navigator.hardwareConcurrency ?? null,
    memoryGiB: browser.deviceMemory ?? null,
    gpu: await gpuName(),
    screen: `${screen.width}×${screen.height} at ${window.devicePixelRatio}`,
    battery: await battery(),
  };
}

/** Asked once: a second adapter costs time on phones. */
let adapter: Promise<Adapter | null> | null = null;

export function gpuAdapter(): Promise<Adapter | null> {
  adapter ??= browser.gpu?.requestAdapter().catch(() => null) ?? Promise.resolve(null);
  return adapter;
}

async function gpuName(): Promise<string | null> {
  const info = (await gpuAdapter())?.info;
  return info ? [info.vendor, info.architecture, info.description].filter(Boolean).join(" ") || "unnamed" : null;
}

async function highEntropy(): Promise<Record<string, unknown>> {
  const names = ["model", "platform", "platformVersion", "architecture"];
  return (await browser.userAgentData?.getHighEntropyValues?.(names).catch(() => null)) ?? {};
}

async function battery(): Promise<string | null> {
  const state = await browser.getBattery?.().catch(() => null);
  return state ? `${Math.round(state.level * 100)} %, ${state.charging ? "charging" : "on battery"}` : null;
}

function browserFromAgent(): string {
  const agent = navigator.userAgent;
  const found =
    /(Firefox|FxiOS|EdgA?|OPR|CriOS|HeadlessChrome|Chrome)\/([\d]+)/.exec(agent) ??
    /Version\/([\d.]+).*(Safari)/.exec(agent);
  if (!found) return "unknown browser";
  return found[2] === "Safari" ? `Safari ${found[1]}` : `${found[1]} ${found[2]}`;
}

function systemFromAgent(): string {
  return /\(([^)]*)\)/.exec(navigator.userAgent)?.[1] ?? "unknown system";
}

/** Bytes of JavaScript's heap, where the browser says so. */
export function javascriptBytes(): number | null {
  const memory = (performance as { memory?: { usedJSHeapSize: number } }).memory;
  return memory?.usedJSHeapSize ?? null;
}

/** Keep the screen on while something is measured; browsers slow down behind a dark screen. */
export async function keepAwake(): Promise<() => void> {
  const lock = await navigator.wakeLock?.request("screen").catch(() => null);
  return () => void lock?.release();
}
