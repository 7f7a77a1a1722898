// One line on how a run stands. Text from elsewhere (a file's name, a field of it) is only ever text.
const show = () => { element.querySelector('p').textContent = props.value || ''; };
// What the browser did without the server is said in the same line.
listen('lab:said', text => {
  if (element.closest('#status')) element.querySelector('p').textContent = text;
});
watch('value', show);
show();
