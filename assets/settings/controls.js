// One control a parameter, made from its description; `bind` says where the value lives.
const make = (tag, className, text) => {
  const created = document.createElement(tag);
  if (className) created.className = className;
  if (text !== undefined) created.textContent = text;
  return created;
};
const field = (type, label) => {
  const input = make('input');
  input.type = type;
  input.setAttribute('aria-label', label);
  return input;
};

// A wide range (steps to 5000) makes a slider useless: it covers the usual part, and the number
// box beside it takes all that is allowed.
const numberControl = (param, label, read, write) => {
  const slider = field('range', `${label} slider`), box = field('number', label);
  for (const input of [slider, box]) { input.min = param.low; input.step = param.step; }
  slider.max = param.slider_high;
  box.max = param.high;
  const take = input => { if (input.value !== '' && !Number.isNaN(+input.value)) write(+input.value); };
  slider.addEventListener('input', () => take(slider));
  box.addEventListener('input', () => take(box));
  const show = value => {
    if (value === null || value === undefined) return;
    if (document.activeElement !== box) box.value = value;
    if (document.activeElement !== slider) slider.value = value;
  };
  return { parts: [slider, box], inputs: [slider, box], show, read };
};
const choiceControl = (param, label, read, write) => {
  const select = make('select');
  select.setAttribute('aria-label', label);
  for (const name of param.choices) select.appendChild(new Option(name, name));
  select.addEventListener('change', () => write(select.value));
  return { parts: [select], inputs: [select], show: value => { select.value = value; }, read };
};
const flagControl = (param, label, read, write) => {
  const box = field('checkbox', label);
  box.addEventListener('change', () => write(box.checked));
  return { parts: [box], inputs: [box], show: value => { box.checked = value; }, read };
};

// read() -> {value, source}; write(value) sets, write(undefined) goes back to what was inherited.
const parameterRow = (param, label, read, write) => {
  const row = make('div', `row ${param.kind}`);
  const name = make('span', 'name', param.name);
  const kinds = { choice: choiceControl, flag: flagControl };
  const control = (kinds[param.kind] || numberControl)(param, label, read, write);
  const reset = make('button', 'reset', '↺');
  reset.type = 'button';
  reset.setAttribute('aria-label', `${label}: back to the inherited value`);
  reset.addEventListener('click', () => write(undefined));
  const off = param.optional ? field('checkbox', `${label} on`) : null;
  if (off) {
    const fallback = param.default ?? param.suggested;
    off.addEventListener('change', () => write(off.checked ? fallback : null));
    name.prepend(off);
  }
  const tag = make('small', 'source');
  name.appendChild(tag);
  const help = make('p', 'help', param.help);
  name.title = param.help;
  row.append(name, ...control.parts, reset, help);
  const refresh = () => {
    const { value, source } = read();
    row.dataset.source = source;
    tag.textContent = { own: '● changed', shared: 'from all panels', preset: 'from the preset' }[source] || '';
    reset.hidden = source !== 'own';
    if (off) off.checked = value !== null;
    for (const input of control.inputs) input.disabled = value === null;
    control.show(value);
  };
  return { row, refresh };
};

// A shared control is off until somebody ticks it: each sampler then has its own default.
const sharedRow = (param, read, write, users) => {
  const row = make('div', 'row shared-row');
  const on = field('checkbox', `one ${param.name} for all panels`);
  const name = make('label', 'name');
  name.append(on, document.createTextNode(` ${param.name}`));
  name.title = param.help;
  const control = numberControl(param, param.name, read, write);
  on.addEventListener('change', () => write(on.checked ? +control.inputs[0].value : undefined));
  const note = make('p', 'note');
  row.append(name, ...control.parts, note);
  const refresh = () => {
    const value = read(), { using, ignoring } = users();
    on.checked = value !== undefined;
    on.disabled = !using.length;
    row.dataset.source = value === undefined ? 'default' : 'own';
    row.classList.toggle('ignored', !using.length);
    for (const input of control.inputs) input.disabled = !using.length;
    row.classList.toggle('resting', value === undefined);
    const resting = value === undefined;
    control.show(value ?? using.find(([, own]) => own !== null)?.[1] ?? param.suggested);
    const box = control.inputs[1];
    box.placeholder = resting ? 'own' : '';
    if (resting && document.activeElement !== box) box.value = '';
    const others = using.filter(([, x]) => x !== value);
    const own = [...new Set(others.map(([name, x]) => `${name} ${x === null ? 'none' : x}`))];
    note.textContent = !using.length ? `no selected sampler uses ${param.name}`
      : [own.join(', '), ignoring.length ? `not used by ${ignoring.join(', ')}` : '']
        .filter(Boolean).join(' · ');
  };
  return { row, refresh };
};
