// One position: its token, the five most likely, and what it held over the steps.
const node = (tag, className, text) => {
  const created = document.createElement(tag);
  if (className) created.className = className;
  if (text !== undefined) created.textContent = text;
  return created;
};
const number = x => (x === null || x === undefined || Number.isNaN(x) ? '–' : x.toFixed(3));

const history = (value, film, k, position, options) => {
  const runs = [];
  for (let j = 0; j <= k; j++) {
    const cell = cellOf(value, film, j, position, { ...options, draft: true });
    const open = cell.name === 'mask' || cell.name === 'remasked';
    const text = (open ? '░ ' : '') + (open && cell.classes.includes('draft') ? cell.text : '');
    const line = open ? text.trim() : cell.text;
    const tail = runs[runs.length - 1];
    if (tail && tail.line === line) tail.stop = j;
    else runs.push({ line, start: j, stop: j });
  }
  return runs;
};

// What the model thought of a position is not streamed: it is asked for when somebody looks, once
// the cursor has rested, and kept for as long as the run is shown.
const makeAlternatives = (server, redraw) => {
  const cache = new Map();
  let timer = null;
  return {
    clear() { cache.clear(); clearTimeout(timer); },
    of(run, step, position) {
      if (step === 0) return null;
      const key = `${run} ${step} ${position}`;
      if (cache.has(key)) return cache.get(key);
      clearTimeout(timer);
      timer = setTimeout(async () => {
        let answer = null;
        try { answer = await server.alternatives({ run, step, position }); } catch { /* no server */ }
        cache.set(key, answer && !answer.missing && answer.step ? answer : null);
        redraw();
      }, 100);
      return null;
    },
  };
};

const sparkline = (film, k, position) => {
  const space = 'http://www.w3.org/2000/svg', width = 120, height = 22;
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('aria-hidden', 'true');
  const last = Math.max(film.last(), 1);
  const points = [];
  for (let j = 1; j <= k; j++) {
    const confidence = film.frames[j].confidence[position];
    if (!Number.isNaN(confidence)) points.push([j / last * width, (1 - confidence) * (height - 2) + 1]);
  }
  const line = document.createElementNS(space, 'polyline');
  line.setAttribute('points', points.map(p => p.map(x => x.toFixed(1)).join(',')).join(' '));
  svg.appendChild(line);
  return svg;
};

// A probability, and for who hears it which of two it is.
const share = (probability, which) => {
  const text = node('span', probability === 0 ? 'p out' : 'p');
  if (which) text.append(node('span', 'lab-unseen', `${which} filters `));
  text.append(probability === 0 && which ? '–' : number(probability));
  if (probability === 0 && which) text.title = 'filtered out';
  return text;
};

// One column of probabilities, or where the token was drawn through filters two: before and after.
const drawAlternatives = (box, answer, position, free) => {
  const list = node('ol', answer.after ? 'top two' : 'top');
  list.setAttribute('aria-label', 'Most likely tokens');
  answer.tokens.forEach(([text, probability, id], k) => {
    const item = node('li', ''), bar = node('i', ''), piece = withSpaces(text) || '∅';
    bar.style.setProperty('--p', probability);
    item.append(free ? changeButton(piece, `Put ${piece} here`, position, id, text.trim() || piece)
      : node('span', 'piece', piece), bar, share(probability, answer.after && 'before'));
    if (answer.after) {
      bar.style.setProperty('--after', answer.after[k]);
      item.append(share(answer.after[k], 'after'));
    }
    list.appendChild(item);
  });
  const entropy = answer.entropy === null ? '' : ` · entropy ${number(answer.entropy)} nats`;
  box.append(node('p', 'facts', `most likely at step ${answer.step}${entropy}`));
  if (answer.filters) box.append(node('p', 'facts filters', answer.filters));
  if (answer.after) {
    const heads = node('p', 'columns');
    heads.setAttribute('aria-hidden', 'true');
    heads.append(node('span', '', 'before'), node('span', '', 'after'));
    box.append(heads);
  }
  box.append(list);
};

// A token that stands is looked at in the call that wrote it, what is open in the latest one.
const lookedAt = (film, k, position, cell) => {
  const written = film.frames[k].written[position];
  return written > 0 && !['mask', 'remasked', 'noise'].includes(cell.name) ? written : k;
};

const drawInspect = (box, value, film, k, position, options, alternatives) => {
  if (position < 0 && box.querySelector('.hint')) return;  // nothing is looked at, as before
  box.replaceChildren();
  if (!film.frames.length) return;
  if (position < 0) {
    box.appendChild(node('p', 'hint', 'Hover a token, or walk them with the arrow keys.'));
    return;
  }
  box.classList.add('used');
  const frame = film.frames[k], cell = cellOf(value, film, k, position, options);
  const head = node('p', 'head');
  head.append(node('b', '', cell.text), node('span', '', ` ${cell.name.replace('_', ' ')}`));
  const written = frame.written[position];
  const facts = [`position ${position}`];
  if (written >= 0 && cell.name !== 'mask') facts.push(`written at step ${written}`);
  if (!Number.isNaN(frame.confidence[position])) {
    facts.push(`confidence ${number(frame.confidence[position])}`);
  }
  const free = mayBranch(value, film);
  if (free && options.changes?.[position]) {
    head.append(changeButton('Keep', 'Keep what stood here', position, ''));
  } else if (free && cell.name !== 'mask' && cell.name !== 'remasked') {
    head.append(changeButton('Mask', 'Mask this token', position, -1));
  }
  box.append(head, node('p', 'facts', facts.join(' · ')));
  const answer = alternatives.of(film.run, lookedAt(film, k, position, cell), position);
  if (answer) drawAlternatives(box, answer, position, free);
  const past = node('p', 'history');
  past.append(sparkline(film, k, position));
  for (const run of history(value, film, k, position, options).slice(-8)) {
    const span = run.stop > run.start ? `${run.start}–${run.stop}` : `${run.start}`;
    const was = node('span', 'was', run.line || '░');
    was.append(node('sub', '', ` ${span}`));
    past.append(was);
  }
  box.append(past);
};
