"""diffusers' BlockRefinementScheduler and `llada2` on one model, each round its own loop."""

import torch
from diffusers import BlockRefinementScheduler

import lab
from tests.kit import tiny
from tests.kit.laws import check, record

V, T, EOS, MASK = 24, 24, 2, 23


def network(seed=0, scale=1.0):
    """Logits [B, T, V] that depend on every token that is there; the mask is never predicted."""
    random = torch.Generator().manual_seed(seed)
    weights = scale * torch.randn(T, V, T, V, generator=random)

    def answer(ids):
        columns = torch.arange(ids.shape[1])
        logits = torch.stack([weights[columns, row].sum(0)[: len(row)] for row in ids])
        return logits.index_fill(-1, torch.tensor([MASK]), -torch.inf)

    return answer


def theirs(answer, rows, prompt=0, *, gen_length, block_length, steps, threshold=2.0, editing=None,
           max_post_steps=16, limit=200, **options):  # fmt: skip
    """Their pipeline's loop round their scheduler: the canvas [B, T] after every step.

    threshold 2: never confident enough, their way to switch it off.
    """
    scheduler = BlockRefinementScheduler(editing_threshold=editing)
    scheduler.set_timesteps(steps, block_length=block_length)
    length = -(-(prompt + gen_length) // block_length) * block_length
    x = torch.full((len(rows), length), MASK)
    x[:, :prompt] = torch.tensor(rows)[:, :prompt]
    seen, nobody = [x], torch.zeros(len(rows), dtype=torch.bool)
    for start in range(prompt // block_length * block_length, length, block_length):
        block, step, posts, more = slice(start, start + block_length), 0, 0, True
        fixed = torch.arange(start, block.stop) < prompt
        while more and len(seen) < limit:
            masks = (x[:, block] == MASK).any()
            posts += not masks
            out = scheduler.step(
                answer(x[:, : block.stop])[:, block], step, x[:, block], mask_token_id=MASK,
                threshold=threshold, editing_threshold=editing, prompt_mask=fixed, **options,
            )  # fmt: skip
            x = x.clone()
            x[:, block] = out.prev_sample
            seen.append(x)
            step += int(masks)
            more = scheduler.check_block_should_continue(
                step, masks, editing is not None and editing > 0, out.editing_transfer_index,
                posts, max_post_steps, nobody,
            )  # fmt: skip
    return torch.stack(seen)


def ours(answer, rows, eos_ids=(), **settings):
    """The run of `llada2` on the same model."""
    card = tiny.card(V, eos_ids=eos_ids, corruption="hybrid")
    run = record("llada2", lab.wrap(tiny.Fake(answer), card), rows, **settings)
    check(run)
    return run


def canvases(run):
    return torch.tensor([frame.tokens.tolist() for frame in run.frames])


def changes(canvases):
    """Each canvas [S, B, T] that differs from the one before it."""
    moved = (canvases[1:] != canvases[:-1]).flatten(1).any(-1)
    return torch.cat([canvases[:1], canvases[1:][moved]])


def endless(ids):
    """A model that is never content: 6 becomes 7 becomes 6."""
    return torch.nn.functional.one_hot(torch.where(ids == 6, 7, 6), V).float() * 10
