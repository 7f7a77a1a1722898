// The film of one run: every step as dense arrays, rebuilt from the changes that were sent. Parts
// come in any order: what is known already is passed over, a gap is left for whoever asks again.
const makeFilm = () => {
  const frames = [], steps = [];
  const set = (array, pairs, plain = x => x) => {
    if (!pairs.length) return array;
    const copy = array.slice();
    for (let i = 0; i < pairs.length; i += 2) copy[pairs[i]] = plain(pairs[i + 1]);
    return copy;
  };
  const first = canvas => ({
    tokens: Int32Array.from(canvas.tokens),
    state: Uint8Array.from(canvas.state),
    written: new Int32Array(canvas.columns).fill(-1),
    confidence: new Float32Array(canvas.columns).fill(NaN),
    predicted: new Int32Array(canvas.columns).fill(-1),
    calls: 0, seconds: 0,
  });
  const next = (before, [calls, seconds, tokens, state, written, confidence, predicted]) => ({
    tokens: set(before.tokens, tokens),
    state: set(before.state, state),
    written: set(before.written, written),
    confidence: set(before.confidence, confidence, x => (x === null ? NaN : x)),
    predicted: set(before.predicted, predicted),
    calls, seconds,
  });
  return {
    frames, run: null, canvas: null, pieces: {}, edges: [], settled: [],
    // Another name begins another film; true where it does.
    begin(run) {
      if (run === this.run) return false;
      Object.assign(this, { run, canvas: null, pieces: {}, edges: [], settled: [] });
      frames.length = steps.length = 0;
      return true;
    },
    // A part of this run: {start, steps, film, pieces, edges}.
    take(part) {
      Object.assign(this.pieces, part.pieces);
      if (part.edges.length) this.edges = part.edges;
      if (!this.canvas && part.film) {
        this.canvas = part.film;
        frames.push(first(part.film));
      }
      const skip = this.count() - part.start;
      if (!this.canvas || skip < 0) return;
      for (const step of JSON.parse(part.steps).slice(skip)) {
        frames.push(next(frames[frames.length - 1], step));
        steps.push(step);
      }
      if (this.count() !== part.count) return;
      const end = frames[frames.length - 1];
      this.settled = part.settled;
      if (part.settled.length) frames[frames.length - 1] = { ...end, state: set(end.state, part.settled) };
    },
    // All of it as one part, as `take` takes it.
    whole() {
      const { canvas, pieces, edges, settled } = this;
      const all = { start: 0, count: this.count(), steps: JSON.stringify(steps) };
      return { ...all, film: canvas, pieces, edges, settled };
    },
    // Whether a token of the last step has no text: a part that brought it was lost.
    lacks() {
      return frames.length > 1 && frames[this.last()].tokens.some(id => !(id in this.pieces));
    },
    count: () => Math.max(frames.length - 1, 0),
    last() { return this.count(); },
    // The newest prediction for a position at or before step k, for the draft of a masked one.
    draft: (k, position) => frames[k].predicted[position],
    // The last step whose share of the calls (or of the model's seconds) is within `fraction`.
    at(fraction, by) {
      const total = frames[this.last()]?.[by] || 0;
      let k = this.last();
      while (k > 0 && frames[k][by] > fraction * total + 1e-9) k--;
      return k;
    },
  };
};
