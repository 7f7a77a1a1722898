// Figures are drawn by the browser alone: each is saved by the button of its own toolbar.
const exportFigures = format => {
  const plots = [...document.querySelectorAll('[id] .js-plotly-plot')].filter(plot => plot.offsetParent);
  if (!plots.length) return 'No figure is in sight: open Confidence, Decoding order or Uncertainty first';
  for (const plot of plots) {
    plot._context.toImageButtonOptions = { ...plot._context.toImageButtonOptions, format };
    plot.querySelector('.modebar-btn[data-title^="Download"]').click();
  }
  return `Exported ${plots.length} figure${plots.length > 1 ? 's' : ''} as ${format.toUpperCase()}`;
};
// value: whether there is something to export.
const menu = element.querySelector('select');
const show = () => { menu.disabled = !props.value; };
menu.addEventListener('change', async () => {
  const suffix = menu.value;
  menu.value = '';
  if (!suffix) return;
  const said = ['png', 'svg'].includes(suffix) ? exportFigures(suffix) : await exportRuns(suffix);
  window.dispatchEvent(new CustomEvent('lab:said', { detail: said }));
});
watch('value', show);
show();
