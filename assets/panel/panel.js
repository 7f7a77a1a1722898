// One panel: follows the run while it streams, then plays and scrubs it without the server.
const $ = name => element.querySelector(name);
const film = makeFilm();
const calm = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;
const optionsNow = () => window.labOptions || { draft: false, special_tokens: true, spaces: false };
const alternatives = makeAlternatives(server, () => draw());
const difference = makeDifference();
const branch = makeBranch(props.number, () => draw());
let cursor = 0, chasing = true, playing = false, timer = null, selected = -1, hovered = -1;
let settings = '', fetching = false, shown = null;

// Gradio changes an object that it gave as more comes, whether or not it was read by then; a text
// it can only replace.
const read = () => (typeof props.value === 'string' ? JSON.parse(props.value || 'null') : props.value);

const setText = (selector, text) => writeText($(selector), text || '');

// The head chooses what the next run takes; the title is said where that is another sampler.
const drawTitle = () => {
  const chosen = window.labSamplers?.[props.number - 1]?.title;
  $('.title').classList.toggle('lab-unseen', chosen === shown.title);
};
const drawHead = value => {
  $('.lab-panel').dataset.kind = value.kind;
  $('.lab-panel').dataset.run = value.run;
  setText('.title', value.title);
  drawTitle();
  setText('.subtitle', value.subtitle);
  setText('.message', value.message);
  $('.verdict').dataset.ok = value.verdict ? String(value.verdict.ok) : '';
  $('.notes').replaceChildren(...(value.notes || []).map(text => node('li', '', text)));
  const lines = value.metrics || [];
  $('.metrics').replaceChildren(...lines.map(([name, text, help]) => {
    const pair = node('div', ''), term = node('dt', '', name);
    term.title = help || '';
    const best = (value.best || []).includes(name);
    const number = node('dd', best ? 'best' : '', text);
    if (best) number.title = 'the best of these panels';
    pair.append(term, number);
    return pair;
  }));
  drawRows($('.rows'), value);
};

const draw = () => {
  const value = shown;
  if (!value) return;
  const frame = film.frames[cursor];
  const scrub = $('.scrub');
  scrub.max = film.last();
  scrub.value = cursor;
  scrub.disabled = $('.play').disabled = film.last() === 0;
  if (!frame) {
    $('.grid').replaceChildren();
    $('.inspect').replaceChildren();
    $('.plain').hidden = $('.branch').hidden = true;
    setText('.where', '');
    setText('.difference', '');
    return;
  }
  // The verdict is about the last step, so it waits for the film to get there.
  setText('.verdict', cursor === film.last() ? value.verdict?.text : '');
  // A grid reads best as a grid.
  const text = cursor === film.last() && !film.canvas.board.length ? value.text : '';
  setText('.plain .text', text);
  hide($('.plain'), !text);
  const steps = `step ${cursor}/${film.last()}`;
  setText('.where', `${cursor}/${film.last()} · ${frame.calls} calls`);
  scrub.setAttribute('aria-valuetext', `${steps}, ${frame.calls} calls`);
  const { differ } = optionsNow(), found = differ ? difference(film, films()[differ - 1]) : null;
  setText('.difference', tellDifference(found, film, differ));
  const changes = branch.at(film.run, cursor);
  const options = { ...optionsNow(), changes, differs: found?.positions };
  drawGrid($('.grid'), value, film, cursor, options, selected);
  drawBranch($('.branch'), value, film, cursor, props.number, changes);
  const position = hovered >= 0 ? hovered : selected;
  drawInspect($('.inspect'), value, film, cursor, position, options, alternatives);
};

// A token arrives where a film plays; whoever scrubs sees what stands.
const start = (step, pace) => {
  $('.lab-panel').classList.remove('still');
  timer = setInterval(step, pace);
};
const halt = () => {
  $('.lab-panel').classList.add('still');
  clearInterval(timer);
  timer = null;
  playing = false;
  $('.play').textContent = '▶';
  $('.play').setAttribute('aria-pressed', 'false');
};

// Fast samplers finish before the eye has seen anything: the cursor walks after the run instead
// of jumping, faster the further it is behind. The server's clock is not touched by it.
const chase = () => {
  if (calm()) { cursor = film.last(); draw(); return; }
  if (timer) return;
  const walk = () => {
    const behind = film.last() - cursor;
    if (!element.isConnected || (behind <= 0 && shown?.kind !== 'running')) { halt(); return; }
    if (behind <= 0) return;
    cursor += Math.ceil(behind / 20);
    draw();
  };
  start(walk, 60);
  walk();
};

const play = () => {
  halt();
  chasing = false;
  if (cursor >= film.last()) cursor = 0;
  playing = true;
  $('.play').textContent = '❚❚';
  $('.play').setAttribute('aria-pressed', 'true');
  const pace = Math.min(400, Math.max(50, 5000 / Math.max(film.last(), 1)));
  start(() => {
    if (!element.isConnected || cursor >= film.last()) { halt(); return; }
    cursor += 1;
    draw();
  }, pace);
  draw();
};

const seek = k => {
  halt();
  chasing = false;
  cursor = Math.max(0, Math.min(k, film.last()));
  draw();
};

// A push that was lost (a browser keeps only the newest of those that come at once) leaves a gap:
// what is missing is asked for, as long as that brings the film on.
const catchUp = async () => {
  if (fetching) return;
  fetching = true;
  const run = film.run, before = film.count();
  let part = null;
  try { part = await server.film({ run, start: before }); } catch { /* the server is gone */ }
  fetching = false;
  if (run !== film.run) { follow(); return; }
  if (part && !part.missing) film.take(part);
  $('.lab-panel').classList.toggle('gap', film.count() < shown.count);
  follow(film.count() > before);
};
const follow = (again = true) => {
  if (again && (film.count() < shown.count || film.lacks())) catchUp();
  cursor = Math.min(cursor, film.last());
  draw();
  if (chasing && cursor < film.last()) chase();
};

const show = value => {
  if (!value || !value.kind) return;
  shown = value;
  drawHead(value);
  const fresh = film.begin(value.run);
  const title = `${value.title} on ${(value.subtitle || '').split(' · ')[0]}`;
  films()[props.number - 1] = Object.assign(film, { kind: value.kind, title });
  if (fresh) {
    halt();
    cursor = 0;
    chasing = true;
    selected = hovered = -1;
    settings = settingsNow();
    alternatives.clear();
  }
  film.take(value);
  drawStale();
  if (fresh && value.play && !calm()) play();
  else follow();
  const detail = { number: props.number, value, film };
  window.dispatchEvent(new CustomEvent('lab:value', { detail }));
  if (optionsNow().differ === props.number) window.dispatchEvent(new CustomEvent('lab:options'));
};
// What the page itself puts in the panel: Gradio knows of it, so that the server can put it back.
const put = value => {
  props.value = JSON.stringify(value);
  show(value);
};

element.addEventListener('input', event => {
  if (event.target.matches('.scrub')) seek(+event.target.value);
});
element.addEventListener('click', event => {
  if (event.target.closest('.play')) {
    if (playing) { halt(); draw(); } else play();
  }
  if (event.target.closest('.copy')) copy();
  const change = event.target.closest('.change')?.dataset;
  if (change) {
    if (change.id === '') branch.keep(+change.position);
    else branch.put(+change.position, +change.id, change.put);
    $('.grid').children[+change.position]?.focus();
  }
  const row = event.target.closest('.rows > .row');  // Gradio has rows, too
  if (row) showRow(+row.dataset.row);
  if (event.target.closest('.forget')) branch.clear();
  if (event.target.closest('.go')) {
    const panel = +$('.target').value;
    const stays = $('.stays').value;
    trigger('select', { run: film.run, step: cursor, changes: branch.list(), panel, stays });
  }
});
// Another row of a run that is over: the same panel, with that row's film at its end.
const showRow = async number => {
  const { run } = shown;
  let part = null;
  try { part = await server.row({ run, row: number }); } catch { return; }
  if (!part || run !== shown.run) return;
  if (part.missing) { setText('.message', 'This run is not kept any more: run it again.'); return; }
  put({ ...shown, ...part, play: false });
  seek(film.last());
};
const copy = async () => {
  try { await navigator.clipboard.writeText($('.plain .text').textContent); } catch { return; }
  setText('.copy', 'Copied');
  setTimeout(() => setText('.copy', 'Copy'), 1500);
};
const positionOf = target => [...$('.grid').children].indexOf(target);
element.addEventListener('mouseover', event => {
  if (event.target.getAttribute?.('role') !== 'option') return;
  hovered = positionOf(event.target);
  draw();
});
element.addEventListener('mouseleave', () => { hovered = -1; draw(); });
element.addEventListener('focusin', event => {
  if (event.target.getAttribute?.('role') !== 'option') return;
  selected = positionOf(event.target);
  hovered = -1;
  draw();
});
element.addEventListener('keydown', event => {
  if (event.target.getAttribute?.('role') === 'option') moveFocus($('.grid'), event);
  if (event.target.matches?.('.row')) moveToRow($('.rows'), event);
});

// The playback bar speaks to all panels at once.
listen('lab:seek', detail => seek(film.at(detail.fraction, detail.by)));
listen('lab:options', () => draw());
listen('lab:recent', panels => {
  const empty = { start: 0, count: 0, steps: '[]', film: null, pieces: {}, edges: [], settled: [] };
  put(panels[props.number - 1] || { ...empty, kind: 'empty', run: 'idle' });
});
listen('lab:show', ({ panel, step, position }) => {
  if (panel !== props.number) return;
  // Figures count positions from where the output begins.
  const begins = film.canvas?.state.findIndex(state => film.canvas.states[state] !== 'prompt') ?? 0;
  selected = begins + position;
  hovered = -1;
  seek(step);
  $('.grid').children[selected]?.focus();
});
// A panel that nothing ran in shows what was selected for it; others say where that has changed.
const settingsNow = () => {
  const form = window.labSettings;
  return form ? JSON.stringify([form.task, form.shared, form.panels[props.number - 1]]) : '';
};
const drawStale = () => {
  const ran = shown && !shown.run.startsWith('idle') && shown.kind !== 'empty';
  $('.lab-panel').classList.toggle('stale', Boolean(ran && settings && settings !== settingsNow()));
  drawForecast();
};
// What Run would do stands where nothing ran, or where what ran is out of date.
const drawForecast = () => {
  const next = window.labForecast?.panels?.[props.number - 1];
  const due = shown?.run.startsWith('idle') || $('.lab-panel').classList.contains('stale');
  $('.forecast').classList.toggle('problem', Boolean(next?.problem));
  setText('.forecast', !next || !due ? '' : next.problem
    || `Next: at most ${next.calls} calls of ${next.model} · ${next.guarantee}`);
};
listen('lab:forecast', () => drawForecast());
listen('lab:settings', ({ samplers }) => {
  drawStale();
  if (shown?.title) drawTitle();
  const next = read();  // may be a run's by now, and not be shown yet
  if (!next?.run.startsWith('idle')) return;
  const sampler = samplers[props.number - 1];
  const value = { ...next, run: `idle ${sampler?.name}` };
  put(sampler ? { ...value, kind: 'idle', title: sampler.title, message: 'Press Run.',
    subtitle: sampler.paper } : { ...value, kind: 'empty' });
});

watch('value', () => show(read()));
show(read());
