// How numbers and times are written, for people.

export const none = "–";

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return none;
  let i = 0;
  let v = Math.abs(n);
  while (v >= 1023.95 && i < units.length - 1) {
    v /= 1024;
    i++;
  }
  const digits = i === 0 || v >= 99.95 ? 0 : 1;
  return `${n < 0 ? "-" : ""}${v.toFixed(digits)} ${units[i]}`;
}

// count is a number of parameters and the like: 7.6B, 494M.
export function count(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return none;
  for (const [size, unit] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]] as const) {
    if (n >= size) {
      const v = n / size;
      return `${v.toFixed(v >= 99.95 ? 0 : 1).replace(/\.0$/, "")}${unit}`;
    }
  }
  return String(n);
}

// duration says at most two units, the smaller of which is rounded down.
export function duration(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return none;
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return s % 60 && m < 10 ? `${m} min ${s % 60} s` : `${m} min`;
  const h = Math.floor(m / 60);
  if (h < 24) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
  const d = Math.floor(h / 24);
  return h % 24 && d < 10 ? `${d} d ${h % 24} h` : `${d} d`;
}

// seconds is a short span, with a decimal while it is short.
export function seconds(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return none;
  return ms < 10_000 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : duration(ms);
}

// when is the time in ms, undefined for none and for Go's zero time.
export function when(time: string | undefined): number | undefined {
  if (!time) return undefined;
  const t = Date.parse(time);
  return Number.isFinite(t) && t > 0 ? t : undefined;
}

const pad = (n: number) => String(n).padStart(2, "0");

export function clock(time: string | undefined): string {
  const t = when(time);
  if (t === undefined) return none;
  const d = new Date(t);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

// day is the date where it is not today's.
export function day(time: string | undefined, now = Date.now()): string {
  const t = when(time);
  if (t === undefined) return "";
  const d = new Date(t);
  const today = new Date(now);
  if (d.toDateString() === today.toDateString()) return "";
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

// model is the short name of one: the last part of a path, without its ending.
export function modelName(model: string | undefined): string {
  if (!model) return none;
  if (!/[/\\]/.test(model) || !/\.(gguf|safetensors)$/i.test(model)) return model;
  return (model.split(/[/\\]/).pop() ?? model).replace(/\.(gguf|safetensors)$/i, "");
}
