// Runs that this browser has seen, kept in it alone and opened without the server: the newest few,
// as many as fit. What is stored is what the panels were sent; it only ever becomes text again.
const KEY = 'sampler-lab-recent', MOST = 8, CHARACTERS = 4_000_000, SETTLED = 600;
const menu = element.querySelector('select');
const ENDED = ['done', 'stopped'];

const stored = () => {
  try {
    const runs = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(runs) ? runs.filter(run => Array.isArray(run?.panels)) : [];
  } catch { return []; }
};
// The oldest go where there is no room for all.
const store = runs => {
  for (let some = runs.slice(0, MOST); ; some = some.slice(0, -1)) {
    const text = JSON.stringify(some);
    if (text.length > CHARACTERS) continue;
    try { localStorage.setItem(KEY, text); return; } catch { if (!some.length) return; }
  }
};

const option = (value, text) => new Option(text, value);
const show = () => {
  const runs = stored();
  menu.disabled = !runs.length;
  menu.replaceChildren(option('', 'Recent'), ...runs.map((run, k) => option(k, String(run.title))));
  if (runs.length) menu.append(option('forget', 'Forget these'));
};

// A run is kept once all of its panels are over; a recorded one, or one from here, is not.
const panels = [];
let timer = null;
const keep = () => {
  const values = [0, 1, 2, 3].map(k => panels[k]?.value).map(value => value || { kind: 'empty' });
  const over = values.filter(({ kind }) => ENDED.includes(kind));
  if (!over.length || values.some(({ kind }) => kind === 'running' || kind === 'waiting')) return;
  const whole = values.map((value, k) => (ENDED.includes(value.kind)
    ? { ...value, ...panels[k].film.whole(), play: true, rows: [] } : null));
  const names = whole.filter(Boolean).map(({ run }) => run).join();
  const runs = stored().filter(run => run.names !== names);
  const time = new Date().toLocaleString([], { dateStyle: 'short', timeStyle: 'short' });
  const samplers = whole.filter(Boolean).map(({ title }) => title).join(', ');
  const title = `${time} · ${window.labSettings?.task || ''}: ${samplers}`;
  store([{ title, names, panels: whole }, ...runs]);
  show();
};
listen('lab:value', ({ number, value, film }) => {
  panels[number - 1] = { value, film };
  if (value.play || !ENDED.includes(value.kind)) return;
  clearTimeout(timer);
  timer = setTimeout(keep, SETTLED);
});

menu.addEventListener('change', () => {
  const chosen = menu.value, run = stored()[chosen];
  menu.value = '';
  if (chosen === 'forget') { store([]); show(); return; }
  if (!run) return;
  window.dispatchEvent(new CustomEvent('lab:recent', { detail: run.panels }));
  const said = `Opened from this browser: ${run.title}`;
  window.dispatchEvent(new CustomEvent('lab:said', { detail: said }));
});
show();
