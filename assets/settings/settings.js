// The sampler settings: shared controls above, four panels below, one JSON value out.
// value = {shared: {name: x}, panels: [{sampler, preset, params: {name: x}} | null], fits, task}
const catalog = props.catalog;
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
  window.dispatchEvent(new CustomEvent('lab:settings', {
    detail: { samplers: value().panels.map(panel => panel && catalog.samplers[panel.sampler]) },
  }));
};
const selectedSamplers = () => value().panels.filter(Boolean).map(p => catalog.samplers[p.sampler]);
const paramOf = (sampler, name) => sampler.params.find(p => p.name === name);

const drawShared = () => {
  const box = $('.shared');
  for (const param of catalog.shared) {
    const users = () => {
      const list = selectedSamplers();
      const using = list.filter(s => paramOf(s, param.name));
      const ignoring = [...new Set(list.filter(s => !paramOf(s, param.name)).map(s => s.name))];
      return { using, ignoring, own: using.length ? paramOf(using[0], param.name).default : null };
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

const drawPanel = index => {
  const box = make('div', 'panel-settings');
  const panel = value().panels[index];
  const fits = value().fits || {};
  const names = Object.values(catalog.samplers).map(s =>
    [s.name, fits[s.name] ? `${s.title} (does not fit)` : s.title]);
  const pick = chooser(`Sampler of panel ${index + 1}`, [['', 'No panel'], ...names],
    panel ? panel.sampler : '', name => {
      commit(next => { next.panels[index] = name ? { sampler: name, preset: null, params: {} } : null; });
      redraw();
      element.querySelector(`[aria-label="Sampler of panel ${index + 1}"]`)?.focus();
    });
  const head = make('div', 'head');
  head.append(make('b', '', String(index + 1)), pick);
  box.appendChild(head);
  if (!panel) return box;
  const sampler = catalog.samplers[panel.sampler];
  if (fits[sampler.name]) box.appendChild(make('p', 'misfit', fits[sampler.name]));
  const details = make('details');
  details.open = opened.has(index);
  details.addEventListener('toggle', () => opened[details.open ? 'add' : 'delete'](index));
  const summary = make('summary');
  details.append(summary, make('p', 'about', `${sampler.help} ${sampler.paper}, ${sampler.guarantee}.`));
  const presets = Object.keys(sampler.presets);
  if (presets.length) {
    const line = make('div', 'row choice');
    line.append(make('span', 'name', 'Preset'), chooser(`Preset of panel ${index + 1}`,
      [['', 'None'], ...presets.map(p => [p, p])], panel.preset || '', name =>
        commit(next => { next.panels[index].preset = name || null; })));
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
  $('.shared').replaceChildren(make('legend', '', 'All panels'),
    make('p', 'note', "Override for all panels (unticked: each sampler's default)"));
  $('.panels').replaceChildren(make('legend', '', 'Panels'));
  drawShared();
  for (let index = 0; index < value().panels.length; index++) $('.panels').appendChild(drawPanel(index));
  rows.forEach(row => row.refresh());
};
watch('value', () => { redraw(); announce(); });
redraw();
announce();
