// What all panels share, in sight above them: settings.js draws the controls into it.
// value = {panels: [{model, guarantee, calls, problem} | null], note}: what Run would do.
const $ = name => element.querySelector(name);
const button = name => [...document.querySelectorAll('.lab-actions button')]
  .find(one => one.textContent.trim() === name);
const LIVE_SECONDS = 2;  // longer runs do not start by themselves
let lasted = 0, due = null;

const update = () => {
  const value = props.value || {};
  window.labForecast = value;
  window.dispatchEvent(new CustomEvent('lab:forecast'));
  $('.said').textContent = value.note || '';
};

// Live: the run before is stopped, and a run begins once the page would take it.
const runAgain = () => {
  const run = button('Run');
  if (!run.disabled) { due = null; run.click(); return; }
  button('Stop')?.click();
  due = setTimeout(runAgain, 100);
};
const watchRun = () => {
  const run = button('Run');
  if (!run) { requestAnimationFrame(watchRun); return; }
  new MutationObserver(() => {
    if (run.disabled) return;
    lasted = +(document.querySelector('#status').innerText.match(/([\d.]+) s$/)?.[1] || 0);
    $('.live small').textContent = lasted > LIVE_SECONDS ? `waits: the last run took ${lasted} s` : '';
  }).observe(run, { attributes: true, attributeFilter: ['disabled'] });
};
const changed = event => {
  if (!element.isConnected) { document.removeEventListener('change', changed); return; }
  if (!$('.live .on').checked || lasted > LIVE_SECONDS) return;
  if (!event.target.closest('.lab-settings, .choose, #text, #seed') || event.target.matches('.on')) return;
  clearTimeout(due);
  due = setTimeout(runAgain, 150);
};
document.addEventListener('change', changed);
element.addEventListener('click', event => {
  if (event.target.closest('.set')) trigger('select', { calls: +$('.calls').value });
});
if (window.innerWidth < 768) $('.lab-strip').open = false;

watch('value', update);
update();
watchRun();
