// A board to type in, in place of its template. value: the text, which the cells are drawn from and
// which they change; boards: {task: [side, height and width of a box]}.
const box = element.querySelector('.lab-board'), cells = element.querySelector('.cells');
const area = () => document.querySelector('#text textarea');
const shape = () => props.boards[window.labSettings?.task];

// One entry a cell, '' where it is masked; null for a text that is no such board.
const parse = (text, count) => {
  const found = [];
  const rest = text.replace(/ ?\[MASK\](?:\*(\d{1,3}))?| ?([1-9])/g, (_, many, digit) => {
    if (digit) found.push(digit);
    else found.push(...Array(Math.min(+(many || 1), count + 1)).fill(''));
    return '';
  });
  return rest.trim() || found.length !== count ? null : found;
};
const compose = entries => {
  let text = '', masked = 0;
  const close = () => {
    if (masked) text += masked > 1 ? `[MASK]*${masked}` : '[MASK]';
    masked = 0;
  };
  for (const entry of entries) {
    if (!entry) { masked++; continue; }
    close();
    text += (text ? ' ' : '') + entry;
  }
  close();
  return text;
};

const addCells = (side, height, width) => {
  cells.replaceChildren(...Array.from({ length: side * side }, (_, k) => {
    const input = document.createElement('input'), row = Math.floor(k / side), column = k % side;
    input.inputMode = 'numeric';
    input.autocomplete = 'off';
    input.setAttribute('aria-label', `row ${row + 1}, column ${column + 1}`);
    input.classList.toggle('box-right', (column + 1) % width === 0 && column + 1 < side);
    input.classList.toggle('box-below', (row + 1) % height === 0 && row + 1 < side);
    return input;
  }));
  cells.style.gridTemplateColumns = `repeat(${side}, minmax(0, 1fr))`;
  cells.style.maxWidth = `${34 * side}px`;
};
const draw = () => {
  const board = shape(), entries = board && parse(props.value || '', board[0] ** 2);
  box.hidden = !entries;
  if (!entries) return;
  if (cells.children.length !== entries.length) addCells(...board);
  entries.forEach((entry, k) => {
    if (cells.children[k].value !== entry) cells.children[k].value = entry;
  });
};

cells.addEventListener('input', event => {
  const side = shape()[0], typed = event.target.value.replace(/\D/g, '').slice(-1);
  event.target.value = +typed >= 1 && +typed <= side ? typed : '';
  const text = compose([...cells.children].map(input => input.value));
  props.value = text;
  // Svelte hears of a change as of one that was typed.
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(area(), text);
  area().dispatchEvent(new Event('input', { bubbles: true }));
});
const STEPS = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 'line', ArrowUp: 'line' };
cells.addEventListener('keydown', event => {
  const side = shape()[0], here = [...cells.children].indexOf(event.target);
  if (!(event.key in STEPS)) return;
  const step = STEPS[event.key] === 'line' ? (event.key === 'ArrowDown' ? side : -side) : STEPS[event.key];
  event.preventDefault();
  cells.children[here + step]?.focus();
  cells.children[here + step]?.select();
});
listen('lab:settings', () => draw());
watch('value', draw);
draw();
