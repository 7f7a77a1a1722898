"""The films of a page's panels as one animated GIF: for slides, mails and messages."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lab.record.history import AFTER_EOS, COMMITTED, EDITED, MASK, NOISE, PROMPT, REMASKED
from lab.record.trajectory import Trajectory
from lab.ui.page_runs import PageRuns, PanelRecord
from lab.ui.safe_text import visible

FRAMES = 64  # at most; each shows as many calls of every panel as is its share
MILLISECONDS, LAST = 120, 3000  # how long one is shown, and the last one
WIDTH, MARGIN, HEADER, LINE = 300, 10, 46, 21  # pixels
CELL, BOX = 24, 4  # of a board: the side of a cell, and what parts boxes
WIDEST = 14  # characters of a token
LEVELS = 5  # shades of confidence
Colour = tuple[int, int, int]
PAPER, INK, QUIET, OPEN = (255, 255, 255), (31, 41, 55), (107, 114, 128), (225, 228, 234)
ACCENT, EDIT, WRONG = (79, 70, 229), (217, 119, 6), (194, 38, 75)


def save(path: Path, comparison: PageRuns) -> None:
    """Write the file. ValueError where no panel has made a step."""
    films = [_Film(one, k) for k, one in enumerate(_finished(comparison))]
    if not films:
        raise ValueError("no panel has made a step yet: run it first")
    count = min(FRAMES, max(len(film.run.calls) for film in films))
    size = (WIDTH * len(films), max(film.height for film in films))
    image, colours = Image.new("RGB", size, PAPER), _palette()
    pen, frames = ImageDraw.Draw(image), []
    for number in range(count + 1):
        for film in films:
            film.draw(pen, number / count)
        frames.append(image.quantize(palette=colours, dither=Image.Dither.NONE))
    first, *others = frames
    first.save(path, save_all=True, append_images=others, loop=0,
               duration=[*[MILLISECONDS] * count, LAST])  # fmt: skip


def _finished(comparison: PageRuns) -> list[PanelRecord]:
    panels = (panel for panel in comparison.panels if panel and panel.trajectory is not None)
    return [panel for panel in panels if len(panel.trajectory.calls)]  # type: ignore[union-attr]


class _Film:
    """One panel: where its cells stand, and how each looks at a share of its calls."""

    def __init__(self, panel: PanelRecord, column: int):
        head: dict[str, Any] = dict(panel.head or {})
        assert panel.trajectory is not None and panel.film.first is not None
        self.run: Trajectory = panel.trajectory
        self.title = str(head.get("title") or self.run.sampler)
        self.wrong = set((head.get("verdict") or {}).get("wrong", ()))
        self._left, self._font = column * WIDTH + MARGIN, ImageFont.load_default(13)
        self._texts = {
            i: (visible(self.run.piece(i)).strip() or "·")[:WIDEST]
            for i in np.unique(self.run.tokens).tolist()
        }
        board = panel.film.first["board"]
        self._boxes = self._board(*board) if board else self._lines()
        self.height = max(bottom for _, _, _, bottom in self._boxes) + MARGIN
        self._drawn: dict[int, Any] = {}

    def _board(self, side: int, height: int, width: int) -> list[tuple[int, int, int, int]]:
        boxes = []
        for row, column in (divmod(k, side) for k in range(self.run.tokens.shape[1])):
            x = self._left + column * CELL + column // width * BOX
            y = HEADER + row * CELL + row // height * BOX
            boxes.append((x, y, x + CELL - 2, y + CELL - 2))
        return boxes

    def _lines(self) -> list[tuple[int, int, int, int]]:
        """Every position has room for the widest token that ever stands there."""
        boxes, x, y = [], self._left, HEADER
        for ids in self.run.tokens.T:
            texts = [self._texts[i] for i in np.unique(ids).tolist() if i != self._mask]
            width = 8 + int(max((self._font.getlength(text) for text in texts), default=8.0))
            if x + width > self._left + WIDTH - 2 * MARGIN and x > self._left:
                x, y = self._left, y + LINE
            boxes.append((x, y, x + width - 2, y + LINE - 3))
            x += width
        return boxes

    @property
    def _mask(self) -> int:
        mask = self.run.card.get("mask_id")
        return -1 if mask is None else mask

    def draw(self, pen: ImageDraw.ImageDraw, share: float) -> None:
        """Draw what differs from the share drawn before."""
        calls = self.run.calls
        step = int(np.searchsorted(calls, share * calls[-1] + 1e-9, side="right"))
        said = f"{int(calls[step - 1]) if step else 0} calls"
        self._put(pen, -1, (self._left, 8, self._left + WIDTH - 2 * MARGIN, 22), self.title, INK)
        self._put(pen, -2, (self._left, 24, self._left + WIDTH - 2 * MARGIN, 40), said, QUIET)
        for position, box in enumerate(self._boxes):
            look = self._look(step, position)
            if self._drawn.get(position) != look:
                self._drawn[position] = look
                self._cell(pen, box, *look)

    def _put(self, pen: ImageDraw.ImageDraw, key: int, box: Any, text: str, colour: Colour) -> None:
        if self._drawn.get(key) != text:
            self._drawn[key] = text
            pen.rectangle(box, fill=PAPER)
            pen.text(box[:2], text, fill=colour, font=self._font)

    def _look(self, step: int, position: int) -> tuple[str, Colour, Colour, Colour | None]:
        """Text, its colour, the cell's colour and its frame's."""
        run = self.run
        state, written = int(run.state[step, position]), int(run.committed_step[step, position])
        text = self._texts[int(run.tokens[step, position])]
        if state in (MASK, REMASKED):
            return "", INK, OPEN, EDIT if state == REMASKED else None
        if state in (PROMPT, NOISE, AFTER_EOS):
            return text, INK if state == PROMPT else QUIET, PAPER, None
        confidence = float(run.confidence[written - 1, position]) if written > 0 else 0.0
        level = 0 if np.isnan(confidence) else round(confidence * (LEVELS - 1))
        frame = EDIT if state == EDITED else None
        if written == step and state in (COMMITTED, EDITED):
            frame = ACCENT
        if step == len(run.calls) and position in self.wrong:
            frame = WRONG
        return text, INK, _shade(level), frame

    def _cell(
        self, pen: ImageDraw.ImageDraw, box: Any, text: str, ink: Colour, fill: Colour,
        frame: Colour | None,
    ) -> None:  # fmt: skip
        pen.rectangle(box, fill=fill, outline=frame or fill, width=2)
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        pen.text(middle, text, fill=ink, font=self._font, anchor="mm")


def _shade(level: int) -> Colour:
    return _blend(PAPER, (165, 161, 240), level / (LEVELS - 1))


def _blend(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _palette() -> Image.Image:
    """Every colour of a cell, and those between it and a letter."""
    grounds = [OPEN, *map(_shade, range(LEVELS))]
    colours = [ACCENT, EDIT, WRONG]
    colours += [
        _blend(one, ink, k / 8) for one in grounds for ink in (INK, QUIET) for k in range(9)
    ]
    image = Image.new("P", (1, 1))
    image.putpalette([part for colour in dict.fromkeys(colours) for part in colour])
    return image
