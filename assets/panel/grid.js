// The token grid: one focusable cell a position, always written as text.
const GLYPH = { mask: '░', remasked: '↺' };
const TINTED = new Set(['committed', 'edited']);

const withSpaces = text => text.replace(/ /g, '␣').replace(/\n/g, '⏎').replace(/\t/g, '⇥');
const pieceText = (film, id, options) => {
  if (id === film.canvas.mask) return GLYPH.mask;
  const piece = film.pieces[id] ?? `#${id}`;
  if (options.spaces) return withSpaces(piece);
  // A piece of nothing but white space would be an invisible cell: show it all the same.
  if (!piece.trim()) return withSpaces(piece) || '∅';
  return piece.replace(/\n/g, '⏎').replace(/\t/g, '⇥').trim();
};

const cellOf = (value, film, k, position, options) => {
  const frame = film.frames[k];
  const changed = options.changes?.[position];
  const open = changed && changed.id < 0;
  const name = open ? 'mask' : changed ? 'committed' : film.canvas.states[frame.state[position]];
  const id = changed ? changed.id : frame.tokens[position];
  const now = !changed && k > 0 && frame.written[position] === k && name !== 'mask' && name !== 'remasked';
  const cell = { name, id, now, unread: false, classes: [name], confidence: frame.confidence[position] };
  if (changed && !open) cell.text = changed.text;
  else if (name === 'mask' || name === 'remasked') {
    const draft = options.draft && !changed ? film.draft(k, position) : -1;
    cell.text = draft >= 0 ? pieceText(film, draft, options) : GLYPH[name];
    if (draft >= 0) cell.classes.push('draft');
  } else {
    cell.text = pieceText(film, id, options);
    cell.unread = !(id in film.pieces);
    if (/^[ \n\t]/.test(film.pieces[id] ?? '')) cell.classes.push('spaced');
  }
  if (changed) cell.classes.push('changed');
  if (now) cell.classes.push('now');
  const wrong = k === film.last() && value.verdict?.wrong.includes(position);
  if (wrong) cell.classes.push('wrong');
  if (position > 0 && film.edges.includes(position)) cell.classes.push('edge');
  if (options.differs?.includes(position)) cell.classes.push('differs');
  const [side, height, width] = film.canvas.board;
  if (side) {
    const row = Math.floor(position / side), column = position % side;
    if ((column + 1) % width === 0 && column + 1 < side) cell.classes.push('box-right');
    if ((row + 1) % height === 0 && row + 1 < side) cell.classes.push('box-below');
  }
  const special = name === 'after_eos' || film.canvas.special_ids.includes(id);
  if (special && !options.special_tokens && name !== 'mask' && name !== 'remasked') {
    cell.classes.push('hidden');
  }
  return cell;
};

const describe = cell => {
  const what = { mask: 'still masked', remasked: 'masked again', after_eos: 'after EOS' };
  const state = what[cell.name] || cell.name + (cell.now ? ' now' : '');
  const confidence = Number.isNaN(cell.confidence) ? '' : `, confidence ${cell.confidence.toFixed(2)}`;
  const wrong = cell.classes.includes('wrong') ? ', breaks a rule' : '';
  const changed = cell.classes.includes('changed') ? ', changed by you' : '';
  const differs = cell.classes.includes('differs') ? ', differs' : '';
  return `${cell.text}, ${state}${confidence}${wrong}${changed}${differs}`;
};

// A text node is kept: another in its place makes the browser match rules about children again.
const writeText = (span, text) => {
  if (!span.firstChild) span.textContent = text;
  else if (span.firstChild.data !== text) span.firstChild.data = text;
};

const hide = (target, hidden) => {
  if (target.hidden !== hidden) target.hidden = hidden;
};

// Attributes that are set again cost style and accessibility work each time.
const setAttribute = (span, name, text) => {
  if (span.getAttribute(name) !== text) span.setAttribute(name, text);
};

// Whether a position looks as it did when frame `before` was drawn as step `j`.
const sameCell = (before, j, frame, k, position) =>
  before.tokens[position] === frame.tokens[position]
  && before.state[position] === frame.state[position]
  && before.predicted[position] === frame.predicted[position]
  && Object.is(before.confidence[position], frame.confidence[position])
  && (before.written[position] === j) === (frame.written[position] === k);

// What was drawn last, a grid: most of its cells are the same a step later.
const drawn = new WeakMap();
const drawGrid = (grid, value, film, k, options, selected) => {
  const frame = film.frames[k], before = drawn.get(grid);
  const look = JSON.stringify([film.run, options, selected, film.edges, k === film.last() && value.verdict]);
  const now = { frame, k, look, unread: false };
  drawn.set(grid, now);
  // A cell that was drawn before its token's text was known is drawn again.
  const known = before?.look === look && !before.unread;
  if (known && before.frame === frame && before.k === k) return;
  const side = film.canvas.board[0];
  grid.classList.toggle('lines', Boolean(side));
  grid.classList.toggle('as-text', Boolean(options.text) && !side);
  grid.style.gridTemplateColumns = side ? `repeat(${side}, auto)` : '';
  while (grid.children.length > film.canvas.columns) grid.lastChild.remove();
  while (grid.children.length < film.canvas.columns) {
    const span = document.createElement('span');
    span.setAttribute('role', 'option');
    span.tabIndex = -1;
    grid.appendChild(span);
  }
  for (let position = 0; position < film.canvas.columns; position++) {
    const span = grid.children[position];
    if (known && sameCell(before.frame, before.k, frame, k, position)) continue;
    const cell = cellOf(value, film, k, position, options);
    now.unread ||= cell.unread;
    const classes = cell.classes.join(' ');
    writeText(span, cell.text);
    if (span.className !== classes) span.className = classes;
    // The tint is that of committed tokens; on others it would be restyled unseen at every step.
    const tint = !TINTED.has(cell.name) || Number.isNaN(cell.confidence) ? '0' : cell.confidence.toFixed(2);
    if (span.dataset.tint !== tint) {
      span.dataset.tint = tint;
      span.style.setProperty('--confidence', tint);
    }
    setAttribute(span, 'aria-label', `position ${position}: ${describe(cell)}`);
    setAttribute(span, 'aria-selected', String(position === selected));
    setAttribute(span, 'tabindex', position === Math.max(selected, 0) ? '0' : '-1');
  }
};

// Arrow keys walk the tokens; only one cell at a time is in the tab order (roving tabindex).
const MOVES = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 'line', ArrowUp: 'line' };
const moveFocus = (grid, event) => {
  const cells = [...grid.children].filter(cell => cell.offsetParent !== null);
  const here = cells.indexOf(event.target);
  if (here < 0) return;
  let target = null;
  if (event.key === 'Home') target = cells[0];
  else if (event.key === 'End') target = cells[cells.length - 1];
  else if (MOVES[event.key] === 'line') {
    const box = event.target.getBoundingClientRect();
    const order = event.key === 'ArrowDown' ? cells.slice(here + 1) : cells.slice(0, here).reverse();
    const row = order.find(c => Math.abs(c.getBoundingClientRect().top - box.top) > 4);
    const top = row?.getBoundingClientRect().top;
    const line = order.filter(c => row && Math.abs(c.getBoundingClientRect().top - top) <= 4);
    const gap = c => Math.abs(c.getBoundingClientRect().left - box.left);
    target = line.sort((a, b) => gap(a) - gap(b))[0];
  } else if (MOVES[event.key]) target = cells[here + MOVES[event.key]];
  else return;
  event.preventDefault();
  if (target) target.focus();
};
