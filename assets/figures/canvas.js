// Parts of a figure on a canvas, at the places and in the colours of lab/record/figures.py.
const ROW = 200, TOP = 46, GAP = 64, BOTTOM = 112, LEFT = 46, RIGHT = 10;  // pixels, as there
const GREY = '#888', BORDER = '#d62728', FAMILY = '"Open Sans", verdana, arial, sans-serif';
const VIRIDIS = ['440154', '48186a', '472d7b', '424086', '3b528b', '33638d', '2c728e', '26828e', '21918c',
  '1fa088', '28ae80', '3fbc73', '5ec962', '84d44b', 'addc30', 'd8e219', 'fde725'];
const rgb = hex => [0, 2, 4].map(at => parseInt(hex.slice(at, at + 2), 16));

// 256 colours of the scale, three bytes each.
const PALETTE = Uint8Array.from([...Array(256).keys()].flatMap(i => {
  const place = i / 255 * (VIRIDIS.length - 1), low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const [one, other] = [rgb(VIRIDIS[low]), rgb(VIRIDIS[low + 1])];
  return one.map((x, k) => Math.round(x + (place - low) * (other[k] - x)));
}));
const shade = x => 3 * Math.round(255 * Math.max(0, Math.min(1, x)));
const colour = x => (Number.isNaN(x) ? GREY : `rgb(${PALETTE.slice(shade(x), shade(x) + 3).join()})`);

// A picture with a pixel a cell: rows are painted as they come, and all of it stretched into a box.
const ROWS = 16384;  // no browser has a taller canvas; later rows wait for the final figure
const makeHeat = () => {
  let image = null, painted = 0;
  const room = (columns, count) => {
    if (image?.height >= count) return;
    const larger = document.createElement('canvas');
    larger.width = columns;
    larger.height = Math.min(ROWS, Math.max(64, 2 * count));
    if (image) larger.getContext('2d').drawImage(image, 0, 0);
    image = larger;
  };
  return {
    again() { painted = 0; },
    // value(row, column): from 0 to 1, NaN for none. The last row may have changed since.
    grow(columns, rows, value) {
      const count = Math.min(rows, ROWS), from = Math.max(0, painted - 1);
      if (!columns || count <= from) return;
      room(columns, count);
      const context = image.getContext('2d'), data = context.createImageData(columns, count - from);
      for (let row = from, at = 0; row < count; row++) {
        for (let column = 0; column < columns; column++, at += 4) {
          const x = value(row, column);
          if (Number.isNaN(x)) continue;
          const place = shade(x);
          for (let part = 0; part < 3; part++) data.data[at + part] = PALETTE[place + part];
          data.data[at + 3] = 255;
        }
      }
      context.putImageData(data, 0, from);
      painted = count;
    },
    draw(context, box) {
      if (!painted) return;
      context.imageSmoothingEnabled = false;
      context.drawImage(image, 0, 0, image.width, painted, box.x, box.y, box.width, box.height);
    },
  };
};

const write = (context, text, x, y, align = 'center', size = 12) => {
  context.font = `${size}px ${FAMILY}`;
  context.textAlign = align;
  context.textBaseline = 'middle';
  context.fillStyle = GREY;
  context.fillText(text, x, y);
};
const along = ([from, to], low, high) => x => low + (x - from) / (to - from) * (high - low);
const ticks = ([from, to], most, least) => {
  const [low, high] = [Math.min(from, to), Math.max(from, to)], rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, [1, 2, 5, 10].map(k => k * power).find(x => x >= rough * 0.999));
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return found;
};

// Two axes with numbers and names round a box; scales from values to pixels come back.
const axes = (context, box, xRange, yRange, names, share = false) => {
  const x = along(xRange, box.x, box.x + box.width);
  const y = along(yRange, box.y, box.y + box.height), bottom = box.y + box.height;
  context.fillStyle = GREY;
  context.fillRect(box.x, box.y, 1, box.height);
  context.fillRect(box.x, bottom, box.width, 1);
  for (const tick of ticks(xRange, Math.max(2, box.width / 60), 1)) {
    context.fillRect(x(tick), bottom, 1, 5);
    write(context, tick, x(tick), bottom + 13);
  }
  for (const tick of ticks(yRange, Math.max(2, box.height / 36), share ? 0.2 : 1)) {
    context.fillRect(box.x - 5, y(tick), 5, 1);
    write(context, share ? `${Math.round(100 * tick)}%` : tick, box.x - 7, y(tick), 'right');
  }
  write(context, names[0], box.x + box.width / 2, bottom + 31, 'center', 14);
  context.save();
  context.translate(box.x - 36, box.y + box.height / 2);
  context.rotate(-Math.PI / 2);
  write(context, names[1], 0, 0, 'center', 14);
  context.restore();
  return { x, y };
};

// Where blocks begin, as dotted lines.
const borders = (context, box, edges, x) => {
  context.strokeStyle = BORDER;
  context.setLineDash([2, 2]);
  for (const edge of edges) {
    context.beginPath();
    context.moveTo(x(edge - 0.5), box.y);
    context.lineTo(x(edge - 0.5), box.y + box.height);
    context.stroke();
  }
  context.setLineDash([]);
};

// The scale of colours below a box.
const colourBar = (context, box, name, most, numbers) => {
  const top = box.y + box.height + 60, left = box.x + 10, width = box.width - 20;
  write(context, name, left + width / 2, top - 9);
  for (let i = 0; i < width; i++) {
    context.fillStyle = colour(i / width);
    context.fillRect(left + i, top, 1, 10);
  }
  for (const tick of numbers) write(context, tick, left + tick / most * width, top + 21);
};
