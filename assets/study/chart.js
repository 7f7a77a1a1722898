// Quality against cost as SVG: points with intervals, one line a sampler through what it does best.
const SVG = 'http://www.w3.org/2000/svg';
const MARKS = {
  circle: r => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  diamond: r => `M0,${-1.3 * r}L${1.3 * r},0L0,${1.3 * r}L${-1.3 * r},0Z`,
  square: r => `M${-r},${-r}H${r}V${r}H${-r}Z`,
  star: r => `M${[...Array(10).keys()].map(i => {
    const reach = (i % 2 ? 0.75 : 1.9) * r, turn = Math.PI * (i / 5 - 0.5);
    return `${(reach * Math.cos(turn)).toFixed(2)},${(reach * Math.sin(turn)).toFixed(2)}`;
  }).join('L')}Z`,
};
const draw = (parent, tag, attributes, text) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
};

// A scale maps numbers to pixels: at(x); ticks: numbers with their labels.
const plain = x => (x >= 1000 ? `${+(x / 1000).toPrecision(3)}k` : String(+x.toPrecision(3)));
const logScale = (low, high, from, to, base) => {
  const [a, b] = [Math.log(low), Math.log(high)];
  const ticks = [];
  if (base === 2) {
    for (let x = 2 ** Math.ceil(Math.log2(low)); x <= high; x *= 2) ticks.push(x);
  } else {
    const few = Math.log10(high / low) < 2 ? [1, 2, 5] : [1];
    for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
      ticks.push(...few.map(k => k * power).filter(x => x >= low && x <= high));
    }
  }
  const at = x => from + (Math.log(x) - a) / (b - a || 1) * (to - from);
  return { at, ticks: ticks.map(x => [x, plain(x)]) };
};
const linearScale = (low, high, from, to, share) => {
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map(k => k * power).find(x => x >= 0.95 * rough) || power;
  const ticks = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + 1e-9; x += step) {
    ticks.push([x, share ? `${Math.round(x * 100)} %` : plain(Math.abs(x) < 1e-9 ? 0 : x)]);
  }
  return { at: x => from + (x - low) / (high - low || 1) * (to - from), ticks };
};

const yScale = (points, y, from, to) => {
  if (y.share) return linearScale(0, 1.02, from, to, true);
  const ends = points.flatMap(p => p.y[y.name]).filter(x => x !== null);
  const low = Math.min(...ends), high = Math.max(...ends);
  if (y.log) return logScale(low / 1.2, high * 1.2, from, to, 10);
  const room = (high - low) * 0.06 || 0.1;
  return linearScale(low - room, high + room, from, to, false);
};
const xScale = (points, x, from, to) => {
  const all = points.map(p => p.x[x.name]), low = Math.min(...all), high = Math.max(...all);
  if (!x.log) return linearScale(low - 0.05, high + 0.05, from, to, false);
  return logScale(low / 1.15, high * 1.15, from, to, x.name === 'calls' ? 2 : 10);
};

// What nothing of the same sampler beats: cheaper and better, in the order of cost.
const outline = (points, x, y) => {
  const sign = y.lower ? -1 : 1;
  const sorted = [...points].sort((a, b) => a.x[x] - b.x[x] || sign * (b.y[y.name][0] - a.y[y.name][0]));
  let top = -Infinity;
  return sorted.filter(p => sign * p.y[y.name][0] > top && ((top = sign * p.y[y.name][0]), true));
};

// Draws into `box`; returns where each point is: [{point, x, y}].
const drawChart = (box, points, view, styles) => {
  box.querySelector('svg')?.remove();
  const width = Math.max(280, box.clientWidth), height = width < 560 ? 330 : 440;
  const frame = { left: 62, right: width - 12, top: 10, bottom: height - 42 };
  const svg = draw(box, 'svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': `${view.y.label} against ${view.x.label}: ${points.length} settings; the table below has them all` });
  const x = xScale(points, view.x, frame.left + 10, frame.right - 10);
  const y = yScale(points, view.y, frame.bottom, frame.top);
  const grid = draw(svg, 'g', { class: 'grid' });
  for (const [value, label] of y.ticks) {
    draw(grid, 'line', { x1: frame.left, x2: frame.right, y1: y.at(value), y2: y.at(value) });
    draw(grid, 'text', { x: frame.left - 6, y: y.at(value) + 4, 'text-anchor': 'end' }, label);
  }
  let last = -99;
  for (const [value, label] of x.ticks) {
    if (x.at(value) - last < 30) continue;
    last = x.at(value);
    draw(grid, 'line', { x1: last, x2: last, y1: frame.bottom, y2: frame.bottom + 4 });
    draw(grid, 'text', { x: last, y: frame.bottom + 17, 'text-anchor': 'middle' }, label);
  }
  draw(svg, 'text', { class: 'name', x: (frame.left + frame.right) / 2, y: height - 6, 'text-anchor': 'middle' }, view.x.label);
  const middle = (frame.top + frame.bottom) / 2;
  draw(svg, 'text', { class: 'name', transform: `translate(12,${middle}) rotate(-90)`, 'text-anchor': 'middle' }, view.y.label);
  if (view.floor) {
    const at = y.at(view.floor.value);
    draw(svg, 'line', { class: 'floor', x1: frame.left, x2: frame.right, y1: at, y2: at });
    draw(svg, 'text', { class: 'floor', x: frame.right - 4, y: at - 5, 'text-anchor': 'end' }, view.floor.label);
  }
  if (view.budget) {
    const at = Math.max(frame.left, Math.min(frame.right, x.at(view.budget)));
    draw(svg, 'rect', { class: 'beyond', x: at, y: frame.top, width: frame.right - at, height: frame.bottom - frame.top });
    draw(svg, 'line', { class: 'limit', x1: at, x2: at, y1: frame.top, y2: frame.bottom });
  }
  const places = [];
  const seen = points.filter(p => !view.hidden.has(p.sampler));
  for (const sampler of Object.keys(styles)) {
    const own = seen.filter(p => p.sampler === sampler);
    if (!own.length) continue;
    const group = draw(svg, 'g', { class: 'series', style: `--c: ${styles[sampler].colour}`, 'data-sampler': sampler });
    const line = outline(own.filter(p => !p.own), view.x.name, view.y);
    draw(group, 'path', { class: 'line', d: line.map((p, i) =>
      `${i ? 'L' : 'M'}${x.at(p.x[view.x.name]).toFixed(1)},${y.at(p.y[view.y.name][0]).toFixed(1)}`).join('') });
    for (const point of own) {
      const [value, low, high] = point.y[view.y.name];
      const px = x.at(point.x[view.x.name]), py = y.at(value);
      if (low !== null && high !== null) {
        draw(group, 'line', { class: 'bar', x1: px, x2: px, y1: y.at(low), y2: y.at(high) });
      }
      const classes = ['mark'];
      if (!line.includes(point)) classes.push('aside');
      if (point.own) classes.push('own');
      if (view.same.has(point.name)) classes.push('same');
      if (point.name === view.best) classes.push('best');
      if (point.name === view.picked) classes.push('picked');
      draw(group, 'path', { class: classes.join(' '), d: MARKS[point.own ? 'star' : styles[sampler].mark](4.5),
        transform: `translate(${px.toFixed(1)},${py.toFixed(1)})`, 'data-name': point.name });
      places.push({ point, x: px, y: py });
    }
  }
  return places;
};
const nearest = (places, x, y, reach) => {
  let best = null, least = reach * reach;
  for (const place of places) {
    const distance = (place.x - x) ** 2 + (place.y - y) ** 2;
    if (distance < least) [best, least] = [place, distance];
  }
  return best;
};
