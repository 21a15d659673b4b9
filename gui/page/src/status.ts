// What a status means, in a word and a tone. The tone decides colour and shape together,
// so that neither has to be seen alone.

import type { Component, Operation } from "./wire.ts";

export type Tone = "good" | "busy" | "warn" | "bad" | "off";

const tones: Record<string, Tone> = {
  online: "good", ready: "good", connected: "good", succeeded: "good", back: "good", started: "busy", registered: "busy",
  starting: "busy", restarting: "busy", stopping: "busy", settling: "busy", running: "busy", updated: "good", restarted: "good",
  unhealthy: "warn", orphaned: "warn", stalled: "warn", away: "bad",
  offline: "bad", lost: "bad", failed: "bad", expired: "bad",
  exited: "off", stopped: "off", left: "off", gone: "off", none: "off",
};

export function tone(word: string | undefined): Tone {
  return (word && tones[word.toLowerCase()]) || "off";
}

export function statusOf(c: Component): string {
  return c.gone ? "gone" : c.status || "unknown";
}

// registryWord: one word for it everywhere.
export function registryWord(state: string): string {
  return state === "connected" ? "online" : state === "away" ? "offline" : state;
}

export const statusRank: Record<Tone, number> = { bad: 0, warn: 1, busy: 2, good: 3, off: 4 };

// happeningTone: what changes something is as good as what comes of it.
export function happeningTone(what: string, status: string | undefined): Tone {
  return status && ["started", "registered", "restarted", "back", "updated"].includes(what) ? tone(status) : what === "registered" ? "good" : tone(what);
}

export function operationTone(o: Operation): Tone {
  return o.error?.stopped ? "off" : tone(o.status); // which somebody wanted
}

export function mayAct(c: Component): boolean {
  // A hive's base is for what it is the parent of; itself it can't stop.
  return !c.gone && !!c.acts && (c.kind !== "hive" || !c.acts.startsWith("/api/hives/"));
}

export function whyNot(c: Component): string {
  if (c.gone) return "It is no longer there.";
  if (c.why_not) return `${c.why_not[0]?.toUpperCase()}${c.why_not.slice(1).replace(/\.$/, "")}.`;
  if (c.kind === "hive") return "A hive is stopped on its own machine.";
  return "Neither this machine's launcher nor a hive is its parent.";
}

// isHeard: it beats, and the registry hears that.
export function isHeard(c: Component): boolean {
  return !c.gone && (c.status === "online" || c.status === "ready") && !!c.registered_at;
}

// canTalk: workers that answer in words. Of one that says nothing of its type, it is tried.
export function canTalk(c: Component): boolean {
  if (c.kind !== "worker" || (c.status !== "online" && c.status !== "ready")) return false;
  return !["comfy", "comfyui", "whisper", "stable-diffusion", "sd", "tts", "stt", "image"].includes(c.worker_type ?? "");
}

export function hiveOf(c: Component): string {
  return c.hive ?? (c.kind === "hive" ? c.id : "");
}
