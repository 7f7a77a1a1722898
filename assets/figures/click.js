// A click on a figure of a panel (a cell of its heatmap, a mark of its order) brings the panel to
// that step, with that position looked at.
() => {
  const show = (plot, { points: [point] }) => {
    const panel = +(/-(\d)$/.exec(plot.closest('[id^=confidence-], [id^=order-], [id^=uncertainty-]')?.id)?.[1] || 0);
    if (!panel || point.data.type === 'bar') return;  // a bar is of all steps
    [...document.querySelectorAll('[role=tab]')].find(tab => tab.textContent.trim() === 'Tokens')?.click();
    const detail = { panel, step: Math.round(point.y), position: Math.round(point.x) };
    requestAnimationFrame(() => window.dispatchEvent(new CustomEvent('lab:show', { detail })));
  };
  // A plot that is drawn anew may have lost its listener: it gets one as the pointer comes to it.
  document.addEventListener('pointerover', event => {
    const plot = event.target.closest?.('.js-plotly-plot');
    if (!plot?.on || plot.contains(event.relatedTarget)) return;
    plot.removeAllListeners('plotly_click');
    plot.on('plotly_click', clicked => show(plot, clicked));
  });
}
