// The sampler settings, one JSON value out: the controls of all panels in the strip above them, what
// a panel runs in its head, and every panel's own settings here.
// value = {shared: {name: x}, panels: [{sampler, preset, params: {name: x}} | null], fits, task}
const catalog = JSON.parse(props.catalog);
const $ = name => element.querySelector(name);
let rows = [];

const value = () => props.value;
const commit = change => {
  const next = structuredClone(value());
  change(next);
  props.value = next;
  rows.forEach(row => row.refresh());
  announce();
};
// Panels that nothing ran in yet show what was selected for them; others may be out of date.
const announce = () => {
  window.labSettings = value();
  window.labSamplers = value().panels.map(panel => panel && catalog.samplers[panel.sampler]);
  window.dispatchEvent(new CustomEvent('lab:settings', { detail: { samplers: window.labSamplers } }));
};
const paramOf = (sampler, name) => sampler.params.find(p => p.name === name);

const stripBox = () => document.querySelector('#strip .shared');
const headOf = index => document.querySelector(`#panel-${index + 1} .choose`);

const drawShared = () => {
  const box = stripBox();
  if (!box) return;
  box.replaceChildren(box.querySelector('legend'));
  for (const param of catalog.shared) {
    const users = () => {
      const using = [], ignoring = new Set();
      value().panels.forEach((panel, index) => {
        if (!panel) return;
        const own = paramOf(catalog.samplers[panel.sampler], param.name);
        if (own) using.push([panel.sampler, effective(index, own).value]);
        else ignoring.add(panel.sampler);
      });
      return { using, ignoring: [...ignoring] };
    };
    const row = sharedRow(param, () => value().shared[param.name], x => commit(next => {
      if (x === undefined) delete next.shared[param.name]; else next.shared[param.name] = x;
    }), users);
    box.appendChild(row.row);
    rows.push(row);
  }
};

const effective = (index, param) => {
  const panel = value().panels[index];
  if (!panel) return { value: param.default, source: 'default' };
  const preset = catalog.samplers[panel.sampler]?.presets[panel.preset] || {};
  if (param.name in panel.params) return { value: panel.params[param.name], source: 'own' };
  if (param.name in value().shared) return { value: value().shared[param.name], source: 'shared' };
  if (param.name in preset) return { value: preset[param.name], source: 'preset' };
  return { value: param.default, source: 'default' };
};

const chooser = (label, names, current, act) => {
  const select = make('select');
  select.setAttribute('aria-label', label);
  for (const [name, title] of names) select.appendChild(new Option(title, name));
  select.value = current;
  select.addEventListener('change', () => act(select.value));
  return select;
};

// What fits the task first; the rest can be chosen, and says why it does not fit.
const samplerNames = () => {
  const fits = value().fits || {};
  const names = Object.values(catalog.samplers).map(s =>
    [s.name, fits[s.name] ? `${s.title} (does not fit)` : s.title]);
  return names.sort((a, b) => Boolean(fits[a[0]]) - Boolean(fits[b[0]]));
};
const samplerChooser = (label, index) => chooser(label, [['', 'No panel'], ...samplerNames()],
  value().panels[index]?.sampler || '', name => {
    commit(next => { next.panels[index] = name ? { sampler: name, preset: null, params: {} } : null; });
    redraw();
    document.querySelector(`[aria-label="${label}"]`)?.focus();
  });
const presetChooser = (label, index) => {
  const panel = value().panels[index];
  const presets = Object.keys(catalog.samplers[panel.sampler].presets);
  return presets.length ? chooser(label, [['', 'No preset'], ...presets.map(p => [p, p])],
    panel.preset || '', name => {
      commit(next => { next.panels[index].preset = name || null; });
      redraw();
      document.querySelector(`[aria-label="${label}"]`)?.focus();
    }) : null;
};

// A panel's head is its control: what stands in it is what the next run takes.
const drawHead = index => {
  const box = headOf(index);
  if (!box) return;
  const parts = [samplerChooser(`Panel ${index + 1}: sampler`, index)];
  const preset = value().panels[index] && presetChooser(`Panel ${index + 1}: preset`, index);
  box.replaceChildren(...parts, ...(preset ? [preset] : []));
};

const drawPanel = index => {
  const box = make('div', 'panel-settings');
  const panel = value().panels[index];
  const fits = value().fits || {};
  const head = make('div', 'head');
  head.append(make('b', '', String(index + 1)), samplerChooser(`Sampler of panel ${index + 1}`, index));
  box.appendChild(head);
  if (!panel) return box;
  const sampler = catalog.samplers[panel.sampler];
  if (fits[sampler.name]) box.appendChild(make('p', 'misfit', fits[sampler.name]));
  const details = make('details');
  details.open = opened.has(index);
  details.addEventListener('toggle', () => opened[details.open ? 'add' : 'delete'](index));
  const summary = make('summary');
  details.append(summary, make('p', 'about', `${sampler.help} ${sampler.paper}, ${sampler.guarantee}.`));
  const preset = presetChooser(`Preset of panel ${index + 1}`, index);
  if (preset) {
    const line = make('div', 'row choice');
    line.append(make('span', 'name', 'Preset'), preset);
    details.appendChild(line);
  }
  for (const param of sampler.params) {
    const row = parameterRow(param, `${param.name} of panel ${index + 1}`,
      () => effective(index, param), x => commit(next => {
        const params = next.panels[index].params;
        if (x === undefined) delete params[param.name]; else params[param.name] = x;
      }));
    details.appendChild(row.row);
    rows.push(row);
  }
  rows.push({ refresh: () => {
    const count = Object.keys(value().panels[index]?.params || {}).length;
    summary.textContent = count ? `Settings · ● ${count} changed` : 'Settings';
  } });
  box.appendChild(details);
  return box;
};

const opened = new Set();
const redraw = () => {
  rows = [];
  $('.panels').replaceChildren(make('legend', '', 'Settings of each panel'));
  drawShared();
  for (let index = 0; index < value().panels.length; index++) {
    $('.panels').appendChild(drawPanel(index));
    drawHead(index);
  }
  rows.forEach(row => row.refresh());
};
// The strip and the heads are other components of the page, which may come after this one.
const settle = () => {
  const there = stripBox() && value().panels.every((_, index) => headOf(index));
  if (there || !element.isConnected) redraw(); else requestAnimationFrame(settle);
};
watch('value', () => { redraw(); announce(); });
redraw();
announce();
settle();
