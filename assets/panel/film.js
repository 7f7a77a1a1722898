// The film of one run: every step as dense arrays, rebuilt from the changes that were sent.
const makeFilm = () => {
  const frames = [];
  const set = (array, pairs) => {
    for (let i = 0; i < pairs.length; i += 2) array[pairs[i]] = pairs[i + 1];
    return array;
  };
  const first = value => ({
    tokens: Int32Array.from(value.start.tokens),
    state: Uint8Array.from(value.start.state),
    written: new Int32Array(value.columns).fill(-1),
    confidence: new Float32Array(value.columns).fill(NaN),
    calls: 0, seconds: 0, window: [0, 0], predicted: [], entropy: [], top: [],
  });
  const next = (before, change) => ({
    tokens: set(before.tokens.slice(), change.tokens),
    state: set(before.state.slice(), change.state),
    written: set(before.written.slice(), change.written),
    confidence: set(before.confidence.slice(), change.confidence.map(x => (x === null ? NaN : x))),
    calls: change.calls, seconds: change.seconds, window: change.window,
    predicted: change.predicted, entropy: change.entropy, top: change.top,
  });
  let run = null;
  return {
    frames,
    // Steps only ever grow within a run, so what was parsed before stays; true: a new run began.
    extend(value) {
      const fresh = value.run !== run;
      if (fresh) { frames.length = 0; run = value.run; }
      if (!value.start) return fresh;
      if (!frames.length) frames.push(first(value));
      for (let k = frames.length - 1; k < value.steps.length; k++) {
        frames.push(next(frames[k], JSON.parse(value.steps[k])));
      }
      return fresh;
    },
    last: () => Math.max(frames.length - 1, 0),
    // What a call said about a position: null where the position was outside its window.
    seen(k, position) {
      const frame = frames[k], at = position - frame.window[0];
      if (k === 0 || at < 0 || position >= frame.window[1]) return null;
      const top = frame.top[at] || [];
      const predicted = frame.predicted[at] ?? -1;
      const entropy = frame.entropy[at] ?? null;
      return { predicted: predicted >= 0 ? predicted : (top[0] ?? -1), top, entropy };
    },
    // The newest call at or before step k that looked at a position, for the draft of a masked position.
    draft(k, position) {
      for (let j = k; j > 0 && j > k - 64; j--) {
        const seen = this.seen(j, position);
        if (seen && seen.predicted >= 0) return seen.predicted;
      }
      return -1;
    },
    // The last step whose share of the calls (or of the model's seconds) is within `fraction`.
    at(fraction, by) {
      const total = frames[this.last()]?.[by] || 0;
      let k = this.last();
      while (k > 0 && frames[k][by] > fraction * total + 1e-9) k--;
      return k;
    },
  };
};
