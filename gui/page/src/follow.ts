// Whether a box that grows at its end shows that end. Only the reader's own scrolling
// upwards ends it, and being back at the end begins it again: how far the end is tells
// nothing, since the box may have grown since it was last scrolled.

export interface Box {
  scrollTop: number;
  readonly scrollHeight: number;
  readonly clientHeight: number;
}

const near = 24; // px that count as the end

export class Following {
  on = true;
  private top = 0; // where it was scrolled to last

  // scrolled is to be called whenever the box was, by whomever.
  scrolled(box: Box): void {
    const left = box.scrollHeight - box.scrollTop - box.clientHeight;
    if (box.scrollTop < this.top - 1) this.on = this.on && left <= 2; // at the end: it was made larger, or has shrunk
    else if (left <= near && box.scrollTop > this.top) this.on = true;
    this.top = box.scrollTop;
  }

  // grown is to be called when the box has other contents, or another size.
  grown(box: Box): void {
    if (this.on) box.scrollTop = box.scrollHeight;
    this.top = box.scrollTop;
  }
}
