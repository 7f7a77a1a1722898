// The rows of a panel that wrote several texts: one is shown, and each can be.
const drawRows = (box, value) => {
  // A file that plays without a server holds the first row alone.
  const rows = typeof trigger === 'function' ? value.rows || [] : [];
  box.hidden = !rows.length;
  const look = JSON.stringify([rows, value.row]);
  if (box.dataset.look === look) return;
  const focused = box.contains(document.activeElement);
  box.dataset.look = look;
  box.replaceChildren(...rows.map((row, number) => rowButton(row, number, value.row)));
  if (focused) box.children[value.row]?.focus();
};

const rowButton = ({ ok, text, calls }, number, shown) => {
  const mark = { true: '✓', false: '✕' }[ok] ?? '·';
  const said = { true: 'solved, ', false: 'not solved, ' }[ok] ?? '';
  const button = node('button', 'row', mark);
  button.type = 'button';
  button.tabIndex = number === shown ? 0 : -1;
  button.title = `row ${number + 1}: ${said}${calls} calls\n${text}`;
  button.setAttribute('aria-label', `row ${number + 1}: ${said}${calls} calls`);
  button.setAttribute('aria-pressed', String(number === shown));
  Object.assign(button.dataset, { row: number, ok: String(ok) });
  return button;
};

// One row at a time is in the tab order; arrows walk them.
const moveToRow = (box, event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const target = step && box.children[+event.target.dataset.row + step];
  if (!target) return;
  event.preventDefault();
  event.stopPropagation();
  target.focus();
};
