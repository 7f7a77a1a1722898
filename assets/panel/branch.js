// A branch: what a reader changes at one step of a run that is over, and where a run goes on from it.
const makeBranch = (number, redraw) => {
  let changes = {}, place = '';
  return {
    // Changes belong to one step of one run; at another they are forgotten.
    at(run, step) {
      if (place !== `${run} ${step}`) { place = `${run} ${step}`; changes = {}; }
      return changes;
    },
    put(position, id, text) { changes[position] = { id, text }; redraw(); },
    keep(position) { delete changes[position]; redraw(); },
    clear() { changes = {}; redraw(); },
    // [[position, id, or -1 to mask it], ...]
    list: () => Object.entries(changes).map(([position, { id }]) => [+position, id]),
  };
};

// A file that plays without a server has nothing to go on with, and a model without a mask no way.
const mayBranch = (value, film) =>
  typeof trigger === 'function' && ['done', 'stopped'].includes(value.kind) && film.canvas?.mask != null;

// The panels that it may go on in; an empty one first, where there is one.
const drawTargets = (select, number) => {
  const panels = window.labSamplers || [];
  const labels = panels.map((sampler, k) => `panel ${k + 1}: ${sampler?.title || 'empty, the same'}`);
  if (select.dataset.labels === labels.join()) return;
  const free = panels.findIndex((sampler, k) => !sampler && k + 1 !== number) + 1;
  const chosen = select.value || free || (number % panels.length) + 1;
  select.dataset.labels = labels.join();
  select.replaceChildren(...labels.map((label, k) => new Option(label, k + 1)));
  select.value = chosen;
};

const drawBranch = (box, value, film, k, number, changes) => {
  const count = Object.keys(changes).length;
  hide(box, !mayBranch(value, film) || (k === film.last() && !count));
  if (box.hidden) return;
  const said = `Step ${k}${count ? `, ${count} changed` : ''}`;
  writeText(box.querySelector('.what'), said);
  hide(box.querySelector('.forget'), !count);
  drawTargets(box.querySelector('.target'), number);
};

// What may be done with a position, beside what stands there.
const changeButton = (text, label, position, id, put) => {
  const button = node('button', 'change', text);
  button.type = 'button';
  button.setAttribute('aria-label', label);
  Object.assign(button.dataset, { position, id, put: put ?? '' });
  return button;
};
