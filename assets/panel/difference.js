// How the run of a panel differs from another panel's: where their last tokens do, and since when.
const films = () => (window.labFilms ||= []);
const same = (one, other, position) =>
  position < one.tokens.length && position < other.tokens.length
  && one.tokens[position] === other.tokens[position];

const makeDifference = () => {
  let key = '', found = null;
  // {positions, parted: the first step after which they are not equal}; null beside no other run.
  return (film, other) => {
    if (!other || other === film || !other.frames.length || !film.frames.length) return null;
    const now = [film.run, film.count(), other.run, other.count()].join();
    if (now === key) return found;
    const columns = [...Array(film.canvas.columns).keys()];
    const [mine, theirs] = [film, other].map(one => one.frames[one.last()]);
    let parted = 0;
    while (parted <= Math.min(film.last(), other.last())
      && columns.every(position => same(film.frames[parted], other.frames[parted], position))) parted++;
    key = now;
    found = { positions: columns.filter(position => !same(mine, theirs, position)), parted };
    return found;
  };
};

const tellDifference = (found, film, number) => {
  if (!found) return '';
  const count = found.positions.length;
  if (!count) return `The same text as panel ${number}`;
  return `${count} of ${film.canvas.columns} tokens differ from panel ${number}; `
    + (found.parted ? `parted at step ${found.parted}` : 'they began otherwise');
};
