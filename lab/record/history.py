"""What became of every position, worked out from the tokens and predictions of a run's steps."""

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

STATES = ("prompt", "mask", "noise", "committed", "edited", "remasked", "after_eos")
PROMPT, MASK, NOISE, COMMITTED, EDITED, REMASKED, AFTER_EOS = range(len(STATES))


class History(NamedTuple):
    """What became of every position; state and committed_step [S+1, L], the rest bool [S, L]."""

    state: ndarray  # int8, an index into STATES
    committed_step: ndarray  # int32, -1 for none
    commits: ndarray
    edits: ndarray
    remasks: ndarray


def follow(tokens: ndarray, predicted: ndarray, writable: ndarray, card: dict[str, Any]) -> History:
    """Work out the states of tokens [S+1, L] from the predictions [S, L] and writable [L].

    Under absorbing corruption every written token was chosen by the sampler. Under hybrid and
    uniform corruption one that is not the step's prediction (-1 included) was placed by the
    corruption: `noise`, until a step predicts or writes a token there. Noise is to those
    processes what a mask is to absorbing: a choice made over it is a commit, and an EOS is not
    settled while noise stands before it, the last line excepted, which follows Canvas.finished as
    `output` does.
    """
    mask_id, eos_ids = card.get("mask_id"), list(card.get("eos_ids") or ())
    masked = writable & (tokens == (-1 if mask_id is None else mask_id))
    before, now = masked[:-1], masked[1:]
    changed = writable & (tokens[1:] != tokens[:-1])
    agrees = predicted == tokens[1:]
    chosen = agrees | (card.get("corruption", "absorbing") == "absorbing")

    noise = _hold(changed | agrees, (writable & ~masked)[0], ~now & ~chosen & writable)
    event = changed | (noise[:-1] & ~noise[1:])
    fresh = np.where(before | noise[:-1], COMMITTED, EDITED)
    fresh = np.where(now, REMASKED, np.where(noise[1:], NOISE, fresh))
    first = np.where(writable, np.where(masked[0], MASK, NOISE), PROMPT)
    state = _hold(event, first, fresh).astype(np.int8)
    written = np.arange(1, len(tokens), dtype=np.int32)[:, None]
    step = _hold(event, np.zeros(tokens.shape[1], np.int32), written)
    step = np.where(writable & ~masked, step, np.int32(-1))

    unsettled = masked | noise
    generated = writable & ~noise
    if len(predicted):
        unsettled[-1], generated[-1] = masked[-1], writable
    end = generated & np.isin(tokens, eos_ids) & (unsettled.cumsum(1) == 0)
    after = writable & (end.cumsum(1) - end > 0)
    return History(
        np.where(after, np.int8(AFTER_EOS), state),
        step,
        event & (fresh == COMMITTED),
        event & (fresh == EDITED),
        event & (fresh == REMASKED),
    )


def _hold(event: ndarray, first: ndarray, value: ndarray) -> ndarray:
    """Hold the value [S, L] of the latest event [S, L], `first` [L] before any: [S+1, L]."""
    index = np.zeros((len(event) + 1, event.shape[1]), np.int32)
    index[1:] = np.where(event, np.arange(1, len(index))[:, None], 0)
    np.maximum.accumulate(index, out=index)
    values = np.concatenate([first[None], np.broadcast_to(value, event.shape)])
    return np.take_along_axis(values, index, 0)
