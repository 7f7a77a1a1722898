// One bar for all panels: it only speaks (window events), so panels need not know each other.
const $ = name => element.querySelector(name);
const say = (name, detail) => window.dispatchEvent(new CustomEvent(name, { detail }));
let timer = null;

const seek = () => say('lab:seek', { fraction: $('.scrub').value / 1000, by: $('.by').value });
const halt = () => {
  clearInterval(timer);
  timer = null;
  $('.play').textContent = '▶ All';
  $('.play').setAttribute('aria-pressed', 'false');
};
const play = () => {
  if (+$('.scrub').value >= 1000) $('.scrub').value = 0;
  $('.play').textContent = '❚❚ All';
  $('.play').setAttribute('aria-pressed', 'true');
  seek();
  timer = setInterval(() => {
    $('.scrub').value = Math.min(1000, +$('.scrub').value + 10);
    seek();
    if (+$('.scrub').value >= 1000 || !element.isConnected) halt();
  }, 60);
};

element.addEventListener('click', event => {
  if (!event.target.closest('.play')) return;
  if (timer) halt(); else play();
});
const share = () => {
  window.labOptions = Object.fromEntries(
    [...element.querySelectorAll('.option')].map(box => [box.name, box.checked]));
  window.labOptions.differ = +$('.differ').value;
  say('lab:options', window.labOptions);
};
element.addEventListener('input', event => {
  if (event.target.matches('.scrub, .by')) { halt(); seek(); }
  if (event.target.matches('.option, .differ')) share();
});
share();
