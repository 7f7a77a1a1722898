// value: whether there is something to export.
const menu = element.querySelector('select');
const show = () => { menu.disabled = !props.value; };
menu.addEventListener('change', async () => {
  const suffix = menu.value;
  menu.value = '';
  if (!suffix) return;
  const said = await exportRuns(suffix);
  window.dispatchEvent(new CustomEvent('lab:said', { detail: said }));
});
watch('value', show);
show();
