// One line on how a run stands. Text from elsewhere (a file's name, a field of it) is only ever text.
const show = () => { element.querySelector('p').textContent = props.value || ''; };
watch('value', show);
show();
