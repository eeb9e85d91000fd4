/** Every colour can be read and told apart, also by those who see fewer of them. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

type Rgb = [number, number, number];
type Matrix = [Rgb, Rgb, Rgb];

const css = readFileSync("src/styles.css", "utf8");

function tokens(theme: "dark" | "light"): Map<string, string> {
  const block = new RegExp(`:root\\[data-theme="${theme}"\\] \\{([^}]*)\\}`).exec(css)?.[1] ?? "";
  return new Map([...block.matchAll(/(--[\w-]+): (#[0-9a-f]{6})/g)].map((match) => [match[1]!, match[2]!]));
}

function linear(hex: string): Rgb {
  const channel = (at: number) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

const apply = (matrix: Matrix, rgb: Rgb): Rgb =>
  matrix.map((row) => Math.min(1, Math.max(0, row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]))) as Rgb;

function contrast(a: string, b: string): number {
  const light = (hex: string) => linear(hex).reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at]!, 0);
  const [high, low] = [light(a), light(b)].toSorted((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function lab(rgb: Rgb): Rgb {
  const xyz = apply3([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]], rgb);
  const f = (value: number) => (value > 216 / 24_389 ? Math.cbrt(value) : ((24_389 / 27) * value + 16) / 116);
  const [x, y, z] = [f(xyz[0] / 0.95047), f(xyz[1]), f(xyz[2] / 1.08883)];
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}
const apply3 = (m: Matrix, v: Rgb): Rgb => m.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]) as Rgb;

/** CIEDE2000. */
function difference([l1, a1, b1]: Rgb, [l2, a2, b2]: Rgb): number {
  const rad = Math.PI / 180;
  const meanC = (Math.hypot(a1, b1) + Math.hypot(a2, b2)) / 2;
  const g = 0.5 * (1 - Math.sqrt(meanC ** 7 / (meanC ** 7 + 25 ** 7)));
  const [ap1, ap2] = [a1 * (1 + g), a2 * (1 + g)];
  const [c1, c2] = [Math.hypot(ap1, b1), Math.hypot(ap2, b2)];
  const hue = (a: number, b: number) => (a === 0 && b === 0 ? 0 : (Math.atan2(b, a) / rad + 360) % 360);
  const [h1, h2] = [hue(ap1, b1), hue(ap2, b2)];
  let dh = c1 * c2 === 0 ? 0 : h2 - h1;
  if (dh > 180) dh -= 360;
  if (dh < -180) dh += 360;
  const deltaH = 2 * Math.sqrt(c1 * c2) * Math.sin((dh / 2) * rad);
  const [l, c] = [(l1 + l2) / 2, (c1 + c2) / 2];
  let h = c1 * c2 === 0 ? h1 + h2 : (h1 + h2) / 2;
  if (c1 * c2 !== 0 && Math.abs(h1 - h2) > 180) h += h1 + h2 < 360 ? 180 : -180;
  const t = 1 - 0.17 * Math.cos((h - 30) * rad) + 0.24 * Math.cos(2 * h * rad) + 0.32 * Math.cos((3 * h + 6) * rad) - 0.2 * Math.cos((4 * h - 63) * rad);
  const sl = 1 + (0.015 * (l - 50) ** 2) / Math.sqrt(20 + (l - 50) ** 2);
  const [sc, sh] = [1 + 0.045 * c, 1 + 0.015 * c * t];
  const rt = -Math.sin(60 * Math.exp(-(((h - 275) / 25) ** 2)) * rad) * 2 * Math.sqrt(c ** 7 / (c ** 7 + 25 ** 7));
  const [dl, dc, dhh] = [(l2 - l1) / sl, (c2 - c1) / sc, deltaH / sh];
  return Math.sqrt(dl ** 2 + dc ** 2 + dhh ** 2 + rt * dc * dhh);
}

/** Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB. */
const VISIONS: Record<string, Matrix> = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};
const SERIES = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--other"];

describe.each(["dark", "light"] as const)("the %s theme", (theme) => {
  const color = tokens(theme);
  const of = (name: string) => color.get(name) ?? "";

  it.each(["--text", "--text-2", "--text-3"])("%s can be read on every surface", (name) => {
    for (const surface of ["--bg", "--surface", "--raised"]) expect(contrast(of(name), of(surface))).toBeGreaterThanOrEqual(4.5);
  });
  it.each(["--accent", "--ok", "--warn", "--bad"])("%s can be read on panels", (name) => {
    expect(contrast(of(name), of("--surface"))).toBeGreaterThanOrEqual(4.5);
  });
  it.each([...SERIES, "--line-strong"])("%s stands out from panels", (name) => {
    expect(contrast(of(name), of("--surface"))).toBeGreaterThanOrEqual(3);
  });
  it("has words on the accent that can be read", () => expect(contrast(of("--on-accent"), of("--accent"))).toBeGreaterThanOrEqual(4.5));
  it.each(Object.entries(VISIONS))("tells its series apart with %s vision", (_name, matrix) => {
    const seen = SERIES.map((name) => lab(apply(matrix, linear(of(name)))));
    const all = seen.flatMap((a, at) => seen.slice(at + 1).map((b) => difference(a, b)));
    expect(Math.min(...all)).toBeGreaterThanOrEqual(12);
  });
});

it("leaves the Content-Security-Policy at 'self': nothing inline, nothing from elsewhere", () => {
  const html = readFileSync("index.html", "utf8");
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|https?:\/\//);
});
