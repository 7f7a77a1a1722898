// The panels of the app, mounted without it: the same scripts on the runs that the file holds.
document.body.classList.toggle('dark', window.matchMedia('(prefers-color-scheme: dark)').matches);
const runs = JSON.parse(document.getElementById('runs').textContent);
// What the app's server answers is in the file: [start of the window, entropies, id and p, what was
// drawn from] a step.
const answers = value => ({
  film: async () => ({ missing: true }),
  alternatives: async ({ step, position }) => {
    for (let k = Math.min(step, value.details.length); k > 0; k--) {
      const [start, entropies, tops, drawn] = value.details[k - 1], top = tops[position - start] || [];
      const entropy = entropies[position - start] ?? null;
      if (!top.length && entropy === null) continue;
      const tokens = [];
      for (let i = 0; i < top.length; i += 2) tokens.push([value.pieces[top[i]] ?? '', top[i + 1], top[i]]);
      const after = drawn[position] ?? null;
      return { step: k, entropy, tokens, after, filters: value.filters[after ? 1 : 0] };
    }
    return { missing: true };
  },
});
document.querySelectorAll('.lab-panels > div').forEach((element, index) => {
  const value = runs[index];
  mountPanel(element, { value, number: index + 1 }, () => {}, answers(value));
});
mountPlayback(document.getElementById('playback'));
