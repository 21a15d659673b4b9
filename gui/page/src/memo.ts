// memo is Preact's compat memo without the rest of compat: a component that is drawn
// again only when one of its properties is another one.

import { Component, h, type FunctionComponent } from "preact";

export function memo<P extends object>(draw: (props: P) => preact.VNode | null): FunctionComponent<P> {
  class Memo extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const old = this.props as P;
      const keys = new Set([...Object.keys(old), ...Object.keys(next)]) as Set<keyof P>;
      for (const k of keys) if (old[k] !== next[k]) return true;
      return false;
    }
    render() {
      return h(draw as FunctionComponent<P>, this.props as P);
    }
  }
  return Memo as unknown as FunctionComponent<P>;
}
