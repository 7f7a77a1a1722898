// Keys for the whole page: Ctrl+Enter runs, 1 to 4 go to a panel, Space plays all, arrows scrub all,
// ? shows this. Letters typed into a field stay what they are.
() => {
  const press = (scope, name) => [...document.querySelectorAll(`${scope} button`)]
    .find(one => one.textContent.trim() === name && !one.disabled)?.click();
  const typing = target => target.closest('input, textarea, select, button, summary, [role=option], [role=tab], [contenteditable]');
  const help = () => {
    const dialog = document.querySelector('#lab-keys') || document.body.appendChild(build());
    if (dialog.open) dialog.close(); else dialog.showModal();
  };
  const KEYS = [['Ctrl + Enter', 'Run'], ['Esc', 'Stop'], ['1 … 4', 'go to a panel'],
    ['Space', 'play or pause all panels'], ['← →', 'one step back or on, all panels'],
    ['← → ↑ ↓ on a token', 'the next token'], ['?', 'these keys']];
  const build = () => {
    const dialog = document.createElement('dialog'), list = document.createElement('dl');
    dialog.id = 'lab-keys';
    dialog.setAttribute('aria-label', 'Keys');
    for (const [key, means] of KEYS) {
      const term = document.createElement('dt'), text = document.createElement('dd');
      term.textContent = key;
      text.textContent = means;
      list.append(term, text);
    }
    const close = document.createElement('button');
    close.textContent = 'Close';
    close.addEventListener('click', () => dialog.close());
    dialog.append(list, close);
    return dialog;
  };
  const toPanel = number => {
    const panel = document.querySelector(`#panel-${number} .lab-panel`);
    if (!panel || panel.dataset.kind === 'empty') return;
    (panel.querySelector('[role=option][tabindex="0"]') || panel.querySelector('select'))?.focus();
    panel.scrollIntoView({ block: 'nearest' });
  };
  const scrub = by => {
    const bar = document.querySelector('#playback .scrub');
    if (!bar) return;
    bar.value = +bar.value + by * 10;
    bar.dispatchEvent(new Event('input', { bubbles: true }));
  };
  document.addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      press('.lab-actions', 'Run');
      return;
    }
    if (document.querySelector('#lab-keys')?.open) {
      if (event.key === '?') help();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const acts = {
      ' ': () => document.querySelector('#playback .play')?.click(),
      ArrowLeft: () => scrub(-1), ArrowRight: () => scrub(1),
      '?': help, Escape: () => press('.lab-actions', 'Stop'),
    };
    const act = acts[event.key] || (/^[1-4]$/.test(event.key) ? () => toPanel(event.key) : null);
    if (!act) return;
    event.preventDefault();
    act();
  });
  const skip = document.createElement('a');
  skip.href = '#panel-1';
  skip.className = 'lab-skip';
  skip.textContent = 'Skip to the panels';
  skip.addEventListener('click', event => { event.preventDefault(); toPanel(1); });
  document.body.prepend(skip);
}
