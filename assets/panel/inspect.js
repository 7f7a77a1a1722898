// What is known of one position: its token, the five most likely, and what it held over the steps.
const node = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
const number = x => (x === null || x === undefined || Number.isNaN(x) ? '–' : x.toFixed(3));

const history = (value, film, k, position, options) => {
  const runs = [];
  for (let j = 0; j <= k; j++) {
    const cell = cellOf(value, film, j, position, { ...options, draft: true });
    const open = cell.name === 'mask' || cell.name === 'remasked';
    const text = (open ? '░ ' : '') + (open && cell.classes.includes('draft') ? cell.text : '');
    const shown = open ? text.trim() : cell.text;
    const tail = runs[runs.length - 1];
    if (tail && tail.shown === shown) tail.stop = j;
    else runs.push({ shown, start: j, stop: j });
  }
  return runs;
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

const drawInspect = (box, value, film, k, position, options) => {
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
  let look = k;
  while (look > 0 && !(film.seen(look, position)?.top.length)) look--;
  const seen = look > 0 ? film.seen(look, position) : null;
  if (seen && seen.entropy !== null) facts.push(`entropy ${number(seen.entropy)} nats`);
  box.append(head, node('p', 'facts', facts.join(' · ')));
  if (seen) {
    const list = node('ol', 'top');
    list.setAttribute('aria-label', 'Likeliest tokens');
    for (let i = 0; i < seen.top.length; i += 2) {
      const item = node('li', '');
      const bar = node('i', '');
      bar.style.setProperty('--p', seen.top[i + 1]);
      item.append(
        node('span', 'piece', pieceText(value, seen.top[i], { ...options, spaces: true })),
        bar, node('span', 'p', number(seen.top[i + 1])),
      );
      list.appendChild(item);
    }
    box.append(node('p', 'facts', `most likely at step ${look}`), list);
  }
  const past = node('p', 'history');
  past.append(sparkline(film, k, position));
  for (const run of history(value, film, k, position, options).slice(-8)) {
    const span = run.stop > run.start ? `${run.start}–${run.stop}` : `${run.start}`;
    const was = node('span', 'was', run.shown || '░');
    was.append(node('sub', '', ` ${span}`));
    past.append(was);
  }
  box.append(past);
};
