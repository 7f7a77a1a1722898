// The figures of one tab while a run goes on: drawn here, from the films that the panels hold, until
// the final figure stands in their place. Nothing is drawn for a tab that nobody looks at.
const PAUSE = 500;  // milliseconds between two drawings
const kind = props.kind;
const tab = () => element.closest('[role=tabpanel]') || document.body;
const place = element.querySelector('.lab-sketches');
// One figure a panel, or one of all.
const units = (kind === 'progress' ? [null] : [0, 1, 2, 3]).map(panel => {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('role', 'img');
  canvas.hidden = true;
  place.append(canvas);
  return { panel, canvas, runs: '', look: '', live: false, reading: null };
});

const filmsOf = ({ panel }) => (window.labFilms || [])
  .filter((film, k) => film && (panel === null || k === panel));
// Whether the final figure is there. One that comes while its run goes on is of the run before.
const finalOf = unit => {
  const place = document.getElementById(unit.panel === null ? kind : `${kind}-${unit.panel + 1}`);
  const running = filmsOf(unit).some(film => film.kind === 'running');
  place?.classList.toggle('lab-stale', running);
  return !running && Boolean(place?.querySelector('.js-plotly-plot .main-svg')?.checkVisibility());
};

const paint = ({ canvas, reading }, films) => {
  const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
  if (!width) return;
  canvas.style.height = `${reading.height}px`;
  canvas.width = Math.round(width * ratio);  // this clears it
  canvas.height = Math.round(reading.height * ratio);
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  reading.draw(context, width, films);
  const steps = films.map(film => `${film.title}, ${film.count()} steps so far`).join('; ');
  canvas.setAttribute('aria-label', `${kind}: ${steps}`);
};

const tick = async unit => {
  const films = filmsOf(unit).filter(film => film.count()), runs = films.map(film => film.run).join();
  if (runs !== unit.runs) {
    Object.assign(unit, { runs, look: '', live: false, reading: READINGS[kind]() });
    unit.canvas.hidden = true;  // it shows the run before
  }
  // Once begun, a sketch stands until the final figure does.
  unit.live ||= films.length > 0 && (window.labFilms || []).some(film => film?.kind === 'running');
  if (!unit.live || finalOf(unit)) {
    unit.canvas.hidden = true;
    return;
  }
  const look = [unit.canvas.clientWidth, ...films.map(film => [film.count(), film.settled.length])].join();
  if (look === unit.look) return;
  await unit.reading.grow(films);
  if (runs !== unit.runs || finalOf(unit)) return;
  unit.canvas.hidden = false;
  paint(unit, films);
  if (kind !== 'uncertainty') unit.look = look;  // its rows come later than the film's
};
// A sketch goes as the final figure comes, not half a second later.
const watcher = new MutationObserver(() => {
  for (const unit of units) if (!unit.canvas.hidden && finalOf(unit)) unit.canvas.hidden = true;
});
let connected = false;
const tickAll = () => {
  if (!element.isConnected) {
    if (connected) { clearInterval(timer); watcher.disconnect(); }
    return;
  }
  if (!connected) watcher.observe(tab(), { childList: true, subtree: true });
  connected = true;
  if (tab().checkVisibility()) units.forEach(tick);
};
const timer = setInterval(tickAll, PAUSE);
tickAll();
