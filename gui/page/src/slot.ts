// Which tab may have a stream of its own, besides that of the cluster: the one that was
// looked at last. A browser has six connections to a server, over all tabs and windows, so
// a stream in each window would leave none to load a page or stop a worker by. The others
// ask again and again instead, which holds no connection.
//
// Whoever is looked at says so, and the latest word counts. Nobody is asked and nothing is
// waited for: a tab that has crashed has what nobody else wants, until the next is looked at.

import { signal } from "@preact/signals";
import { visible } from "./visible.ts";

export interface Claim {
  from: string;
  at: number; // ms, but later than any that was heard of
}

export class Slot {
  readonly ours = signal(false);
  private last: Claim = { from: "", at: 0 };

  constructor(
    private readonly me: string,
    private readonly tell: (claim: Claim) => void,
  ) {}

  take(): void {
    this.last = { from: this.me, at: Math.max(Date.now(), this.last.at + 1) };
    this.ours.value = true;
    this.tell(this.last);
  }

  hear(claim: Claim): void {
    const { from, at } = this.last;
    if (claim.at < at || (claim.at === at && claim.from <= from)) return;
    this.last = claim;
    this.ours.value = false;
  }
}

let channel: BroadcastChannel | undefined;
export const slot = new Slot(Math.random().toString(36).slice(2), (claim) => channel?.postMessage(claim));

// startSlot has this tab take part. Where tabs can't hear each other none has a stream.
export function startSlot(): void {
  if (!("BroadcastChannel" in globalThis)) return;
  channel = new BroadcastChannel("rbee-gui-slot");
  channel.onmessage = ({ data }: MessageEvent<Claim>) => slot.hear(data);
  visible.subscribe((is) => is && slot.take());
  addEventListener("focus", () => slot.take());
}
