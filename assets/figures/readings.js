// What films say, read step by step as they grow, and the sketch of it. Each has a height in pixels,
// `grow`, which takes what is new, and `draw`; both get the films, one a panel.
const span = film => {
  const { state, states } = film.canvas, prompt = states.indexOf('prompt');
  const begins = state.findIndex(each => each !== prompt);
  const stop = state.length - [...state].reverse().findIndex(each => each !== prompt);
  return begins < 0 ? { begins: 0, columns: 0 } : { begins, columns: stop - begins };
};
const edgesOf = (film, { begins, columns }) =>
  film.edges.map(edge => edge - begins).filter(edge => edge > 0 && edge < columns);
// Which numbers of a film's states these are, as a table.
const oneOf = (film, names) => film.canvas.states.map(state => names.includes(state));
const STANDING = ['committed', 'edited', 'noise'], OPEN = ['mask', 'remasked', 'noise'];
const QUARTERS = [0, 0.25, 0.5, 0.75, 1];
const boxOf = (width, top = TOP, height = ROW) => ({ x: LEFT, y: top, width: width - LEFT - RIGHT, height });
const titled = (context, film) => write(context, film.title.slice(0, 44), LEFT, TOP - 12, 'left', 13);

const readConfidence = () => {
  const heat = makeHeat();
  return {
    height: ROW + TOP + BOTTOM,
    grow([film]) {
      const { begins, columns } = span(film), standing = oneOf(film, STANDING);
      heat.grow(columns, film.count(), (row, column) => {
        const frame = film.frames[row + 1], position = begins + column;
        return standing[frame.state[position]] ? frame.confidence[position] : NaN;
      });
    },
    draw(context, width, [film]) {
      const box = boxOf(width), here = span(film);
      titled(context, film);
      heat.draw(context, box);
      const rows = [0.5, film.count() + 0.5];
      const { x } = axes(context, box, [-0.5, here.columns - 0.5], rows, ['position', 'step']);
      borders(context, box, edgesOf(film, here), x);
      colourBar(context, box, 'confidence', 1, QUARTERS);
    },
  };
};

const MARK = {
  committed: path => path.arc(0, 0, 4, 0, 7),
  edited: path => { path.moveTo(0, -5); path.lineTo(5, 0); path.lineTo(0, 5); path.lineTo(-5, 0); path.closePath(); },
  remasked: path => { path.moveTo(0, -5); path.lineTo(4.5, 3); path.lineTo(-4.5, 3); path.closePath(); },
  noise: path => { path.moveTo(-4, -4); path.lineTo(4, 4); path.moveTo(4, -4); path.lineTo(-4, 4); },
};
const readOrder = () => {
  const ever = { edited: new Set(), remasked: new Set() };
  let read = 0;
  return {
    height: ROW + TOP + BOTTOM,
    grow([film]) {
      const { states } = film.canvas;
      for (; read < film.count(); read++) {
        film.frames[read + 1].state.forEach((state, position) => ever[states[state]]?.add(position));
      }
    },
    draw(context, width, [film]) {
      const box = boxOf(width), here = span(film), last = film.frames[film.last()];
      titled(context, film);
      const rows = [-0.5, film.count() + 0.5];
      const { x, y } = axes(context, box, [-0.5, here.columns - 0.5], rows, ['position', 'step']);
      borders(context, box, edgesOf(film, here), x);
      for (let column = 0; column < here.columns; column++) {
        const position = here.begins + column, state = film.canvas.states[last.state[position]];
        if (!STANDING.includes(state)) continue;
        const step = last.written[position];
        const kind = state === 'noise' ? state : ['remasked', 'edited'].find(one => ever[one].has(position));
        const path = new Path2D();
        MARK[kind || 'committed'](path);
        context.save();
        context.translate(x(column), y(step));
        context.fillStyle = colour(step > 0 ? film.frames[step].confidence[position] : NaN);
        context.strokeStyle = GREY;
        context.fill(path);
        context.stroke(path);
        context.restore();
      }
      colourBar(context, box, 'confidence', 1, QUARTERS);
    },
  };
};

const LINES = ['#4c78c8', '#c8783c', '#3c9c6e', '#a35cb8'];
const DASHES = [[], [9, 9], [3, 3], [9, 3, 3, 3]];
const readProgress = () => {
  const lines = [];  // of each film: calls and what was open after them, flat pairs
  return {
    height: ROW + TOP + BOTTOM,
    grow(films) {
      films.forEach((film, k) => {
        const line = lines[k] ||= [], open = oneOf(film, OPEN), { state, states } = film.canvas;
        const writable = state.map(each => states[each] !== 'prompt');
        const most = Math.max(1, writable.filter(Boolean).length);
        for (let step = line.length / 2; step <= film.count(); step++) {
          let left = 0;
          film.frames[step].state.forEach((each, position) => { left += writable[position] && open[each]; });
          line.push(film.frames[step].calls, left / most);
        }
      });
    },
    draw(context, width, films) {
      const box = boxOf(width), calls = Math.max(1, ...lines.map(line => line[line.length - 2]));
      const { x, y } = axes(context, box, [0, calls], [1.02, 0], ['model calls', 'open'], true);
      lines.forEach((line, k) => {
        context.strokeStyle = LINES[k % 4];
        context.lineWidth = 2;
        context.setLineDash(DASHES[k % 4]);
        context.beginPath();
        context.moveTo(x(line[0]), y(line[1]));
        for (let i = 2; i < line.length; i += 2) {
          context.lineTo(x(line[i]), y(line[i - 1]));
          context.lineTo(x(line[i]), y(line[i + 1]));
        }
        context.stroke();
        const top = box.y + box.height + 50 + 16 * k;
        context.beginPath();
        context.moveTo(box.x, top);
        context.lineTo(box.x + 30, top);
        context.stroke();
        write(context, `${k + 1} · ${films[k].title.slice(0, 44)}`, box.x + 36, top, 'left');
      });
      context.setLineDash([]);
      context.lineWidth = 1;
    },
  };
};

// Entropies are no part of a film: they are asked for while this tab is looked at, each once.
const readUncertainty = () => {
  const rows = [], heat = makeHeat(), inner = 2 * ROW + GAP;
  let asking = false, most = 1, changes = null, latest = null;
  const take = (film, { begins, columns }, lines) => {
    changes ||= new Int32Array(columns);
    latest ||= new Int32Array(columns).fill(-1);
    for (const [start, entropies, best] of lines) {
      const row = new Float32Array(columns).fill(NaN);
      entropies.forEach((entropy, i) => {
        const column = start - begins + i;
        if (column < 0 || column >= columns) return;
        if (entropy >= 0) row[column] = entropy / 100;
        if (row[column] > most) { most = row[column]; heat.again(); }
        if (best[i] < 0) return;
        if (latest[column] >= 0 && latest[column] !== best[i]) changes[column]++;
        latest[column] = best[i];
      });
      rows.push(row);
    }
  };
  return {
    height: inner + TOP + BOTTOM,
    async grow([film]) {
      if (asking || rows.length >= film.count()) return;
      asking = true;
      let answer = null;
      try { answer = await server.entropies({ run: film.run, start: rows.length }); } catch { /* gone */ }
      asking = false;
      if (answer?.start === rows.length) take(film, span(film), answer.rows);
    },
    draw(context, width, [film]) {
      const here = span(film), places = [-0.5, here.columns - 0.5];
      const bars = boxOf(width, TOP, 0.22 * inner), box = boxOf(width, TOP + 0.34 * inner, 0.66 * inner);
      heat.grow(here.columns, rows.length, (row, column) => rows[row][column] / most);
      titled(context, film);
      const tallest = Math.max(1, ...(changes || []));
      const { x, y } = axes(context, bars, places, [1.05 * tallest, 0], ['position', 'changes']);
      context.fillStyle = GREY;
      (changes || []).forEach((count, column) => {
        context.fillRect(x(column - 0.4), y(count), x(0.8) - x(0), y(0) - y(count));
      });
      heat.draw(context, box);
      axes(context, box, places, [0.5, Math.max(1, rows.length) + 0.5], ['position', 'step']);
      for (const part of [bars, box]) borders(context, part, edgesOf(film, here), x);
      colourBar(context, box, 'entropy (nats)', most, ticks([0, most], 6, 0.1).map(tick => +tick.toFixed(1)));
    },
  };
};

const READINGS = {
  confidence: readConfidence, order: readOrder, progress: readProgress, uncertainty: readUncertainty,
};
