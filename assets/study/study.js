// The picture of the atlas: chosen, hovered, clicked here; its points and verdicts come from the server.
const $ = name => element.querySelector(name);
const node = (tag, className, text) => {
  const created = document.createElement(tag);
  if (className) created.className = className;
  if (text !== undefined) created.textContent = text;
  return created;
};
let data = null, places = [], answer = null, asked = 0, fetched = 0;
const view = { x: null, y: null, hidden: new Set(), budget: null, best: '', same: new Set(), picked: '', floor: null };

const percent = x => `${(100 * x).toFixed(1)}`;
const written = (y, [value, low, high]) => {
  if (value === null) return '–';
  const form = y.share ? percent : x => x.toPrecision(3);
  const unit = y.share ? ' %' : '';
  return `${form(value)}${unit}` + (low === null ? '' : ` [${form(low)}, ${form(high)}]`);
};
const options = (select, entries, current) => {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
  select.value = entries.some(([value]) => value === current) ? current : entries[0]?.[0] ?? '';
};
const measured = () => data.points.filter(p => p.y[view.y.name] && p.y[view.y.name][0] !== null
  && p.x[view.x.name] !== null);

const redraw = () => {
  if (!data || !$('.chart').clientWidth) return;
  const points = view.x && view.y ? measured() : [];
  $('.chart').hidden = !points.length;
  $('.empty').textContent = points.length ? '' : 'Nothing was measured here yet.';
  view.floor = data.floors[view.y?.name] || null;
  if (points.length) places = drawChart($('.chart'), points, view, data.styles);
};

const drawLegend = () => {
  const names = Object.keys(data.styles).filter(name => data.points.some(p => p.sampler === name));
  const all = node('button', 'all', names.some(n => view.hidden.has(n)) ? 'Show all' : 'Hide all');
  all.type = 'button';
  all.addEventListener('click', () => {
    const show = names.some(n => view.hidden.has(n));
    view.hidden = new Set(show ? [] : names);
    drawLegend();
    redraw();
  });
  $('.legend').replaceChildren(...names.map(name => {
    const style = data.styles[name], button = node('button', '');
    button.type = 'button';
    button.style.setProperty('--c', style.colour);
    button.setAttribute('aria-pressed', String(!view.hidden.has(name)));
    const sign = document.createElementNS(SVG, 'svg');
    sign.setAttribute('viewBox', '-8 -8 16 16');
    sign.setAttribute('aria-hidden', 'true');
    draw(sign, 'path', { d: MARKS[style.mark](5) });
    button.append(sign, node('span', '', name));
    button.title = style.title;
    button.addEventListener('click', () => {
      if (!view.hidden.delete(name)) view.hidden.add(name);
      drawLegend();
      redraw();
      $('.legend').children[names.indexOf(name)].focus();
    });
    for (const [event, on] of [['mouseenter', true], ['mouseleave', false]]) {
      button.addEventListener(event, () => {
        $('.chart svg')?.classList.toggle('dim', on);
        $(`.series[data-sampler="${name}"]`)?.classList.toggle('lit', on);
      });
    }
    return button;
  }), all);
};

const drawTable = () => {
  const table = node('table', ''), head = node('tr', '');
  for (const text of ['sampler', 'setting', view.y.label, view.x.label, 'tokens a call', 'rows', 'into panel']) {
    head.append(node('th', '', text));
  }
  table.append(head);
  const sign = view.y.lower ? 1 : -1;
  for (const point of measured().sort((a, b) => sign * (a.y[view.y.name][0] - b.y[view.y.name][0]))) {
    const line = node('tr', ''), last = node('td', '');
    line.append(node('td', '', point.sampler), node('td', '', point.setting),
      node('td', 'n', written(view.y, point.y[view.y.name])), node('td', 'n', plain(point.x[view.x.name])),
      node('td', 'n', plain(point.tokens_per_call)), node('td', 'n', String(point.rows)));
    last.append(...loaders(point));
    line.append(last);
    table.append(line);
  }
  $('.table .rows').replaceChildren(table);
};
const loaders = point => [1, 2, 3, 4].map(panel => {
  const button = node('button', 'into', String(panel));
  button.type = 'button';
  button.title = `Put these settings into panel ${panel} of Compare`;
  button.setAttribute('aria-label', `${point.name} into panel ${panel}`);
  button.addEventListener('click', () => trigger('select', {
    task: data.task, case: data.case, key: props.value.key, name: point.name, panel,
  }));
  return button;
});

const drawPoint = () => {
  const point = data?.points.find(p => p.name === view.picked), box = $('.point');
  box.hidden = !point;
  if (!point) return;
  const list = node('dl', '');
  const add = (name, text) => { const pair = node('div', ''); pair.append(node('dt', '', name), node('dd', '', text)); list.append(pair); };
  for (const y of data.qualities) if (point.y[y.name]?.[0] != null) add(y.label, written(y, point.y[y.name]));
  for (const x of data.costs) if (point.x[x.name] !== null && !x.text) add(x.label, plain(point.x[x.name]));
  add('Tokens a call', plain(point.tokens_per_call));
  add('Rows', String(point.rows));
  const head = node('p', 'head');
  head.append(node('b', '', point.sampler), node('span', '', ` ${point.setting}`));
  const into = node('p', 'into-line', 'Into panel ');
  into.append(...loaders(point));
  box.replaceChildren(head, node('p', 'quiet', `${data.styles[point.sampler].title}, on ${point.model}`), list, into);
};

const budgets = () => {
  const all = measured().map(p => p.x[view.x.name]);
  if (!all.length) return [];
  const low = Math.min(...all), high = Math.max(...all), steps = [];
  if (view.x.name === 'calls') {
    for (const k of [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 512, 1024]) {
      if (k >= low) steps.push(k);
      if (k >= high) break;
    }
    return steps;
  }
  for (let i = 0; i <= 24; i++) steps.push(+(low * (high / low) ** (i / 24) * 1.0001).toPrecision(3));
  return steps;
};
const setBudget = wish => {
  const steps = budgets(), slider = $('.budget');
  slider.max = Math.max(0, steps.length - 1);
  let place = steps.findIndex(step => step >= wish);
  if (place < 0) place = steps.length - 1;
  slider.value = place;
  askBest();
};
const askBest = async () => {
  const usable = Boolean(data && view.x && !view.x.text && view.y?.name === 'score');
  $('.under').hidden = !usable;
  view.budget = usable ? budgets()[+$('.budget').value] ?? null : null;
  view.best = '';
  view.same = new Set();
  if (!usable || view.budget === null) { redraw(); return; }
  $('.amount').textContent = `${plain(view.budget)} ${view.x.unit}`;
  $('.budget').setAttribute('aria-valuetext', $('.amount').textContent);
  redraw();
  const number = ++asked;
  const query = { task: data.task, case: data.case, key: props.value.key, cost: view.x.name, budget: view.budget };
  let reply = null;
  try { reply = await server.best(query); } catch { /* the server is gone */ }
  if (number !== asked || !reply || reply.missing) return;
  answer = reply;
  view.best = reply.best;
  view.same = new Set(reply.same);
  drawAnswer();
  redraw();
};
const drawAnswer = () => {
  const lines = [node('p', 'first', answer.first)];
  if (answer.others.length) {
    const list = node('ol', '');
    for (const other of answer.others) {
      const item = node('li', other.worse ? 'worse' : 'alike');
      item.append(node('b', '', other.name), node('span', '', ` ${other.score}: `), node('span', 'verdict', other.verdict));
      list.append(item);
    }
    lines.push(node('p', 'quiet', 'The next best samplers, each at its best setting within the budget:'), list);
  }
  lines.push(node('p', 'quiet', answer.note));
  $('.answer').replaceChildren(...lines);
};

const settle = () => {
  options($('.task'), data.tasks.map(t => [t.name, t.title]), data.task);
  const task = data.tasks.find(t => t.name === data.task);
  options($('.case'), task.cases, data.case);
  options($('.quality'), data.qualities.map(y => [y.name, y.label]), view.y?.name);
  options($('.cost'), data.costs.map(x => [x.name, x.label]), view.x?.name);
  choose();
};
const choose = () => {
  const before = view.budget;
  view.y = data.qualities.find(y => y.name === $('.quality').value) || null;
  view.x = data.costs.find(x => x.name === $('.cost').value) || null;
  $('.about').textContent = data.about;
  if (!view.y) { redraw(); return; }
  drawLegend();
  drawTable();
  drawPoint();
  setBudget(view.x.name === 'calls' ? before || 12 : Infinity);
};
const fetchPicture = async () => {
  const number = ++fetched;
  let reply = null;
  try { reply = await server.picture({ ...props.value }); } catch { /* the server is gone */ }
  if (number !== fetched) return;
  if (!reply || reply.missing) { $('.empty').textContent = 'The atlas cannot be reached; reload the page.'; return; }
  data = reply;
  Object.assign($('.lab-study').dataset, { task: data.task, case: data.case });
  settle();
};
const pick = (task, name) => {
  view.picked = '';
  view.budget = null;
  props.value = { ...props.value, task, case: name };
  fetchPicture();
};

element.addEventListener('change', event => {
  if (event.target.matches('.task')) {
    const task = data.tasks.find(t => t.name === event.target.value);
    pick(task.name, task.cases[0][0]);
  } else if (event.target.matches('.case')) {
    pick(data.task, event.target.value);
  } else if (event.target.matches('.quality, .cost')) {
    choose();
  }
  if (event.target.closest('.lab-study')) event.stopPropagation();
});
$('.axes').addEventListener('submit', event => event.preventDefault());
$('.budget').addEventListener('input', askBest);
const at = event => {
  const box = $('.chart').getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
const hover = event => {
  const [x, y] = at(event), place = nearest(places, x, y, 22), tip = $('.tip');
  tip.hidden = !place;
  $('.chart').style.cursor = place ? 'pointer' : '';
  if (!place) return;
  const p = place.point;
  tip.replaceChildren(node('b', '', p.sampler), node('span', '', p.setting),
    node('span', '', `${written(view.y, p.y[view.y.name])}, ${p.rows} rows`),
    node('span', '', `${plain(p.x[view.x.name])} ${view.x.unit}, ${plain(p.tokens_per_call)} tokens a call`),
    node('i', '', 'Click for more'));
  const room = $('.chart').clientWidth;
  tip.style.left = `${Math.max(0, Math.min(place.x + 12, room - tip.offsetWidth - 4))}px`;
  tip.style.top = `${place.y + 12 + tip.offsetHeight > $('.chart').clientHeight ? place.y - tip.offsetHeight - 10 : place.y + 12}px`;
};
$('.chart').addEventListener('pointermove', hover);
$('.chart').addEventListener('pointerleave', () => { $('.tip').hidden = true; });
$('.chart').addEventListener('click', event => {
  const place = nearest(places, ...at(event), 22);
  view.picked = place ? place.point.name : '';
  drawPoint();
  redraw();
});
new ResizeObserver(redraw).observe($(".main"));
watch('value', fetchPicture);
fetchPicture();
