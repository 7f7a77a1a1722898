"""The card of a model: what samplers need to know of it, as data."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelCard:
    """What a model is, as data; samplers say what they need in the same words.

    context: most columns it reads; length: its fixed length (tables, oracles) or None.
    attention: full, block_causal, causal or any (an oracle fits every need). corruption:
    absorbing, hybrid or uniform. posterior: full (conditions on a token's own value) or loo.
    schedule, p_uniform, noise_ids (None: every id but the mask): the process it was trained under.
    draft_length: tokens of its draft model's block, its first, verified one counted; None: no
    draft model. joint_length: the same of a causal model's own block mode. leave_one_out: whether
    one call can answer for each column as if its own token were unknown. self_conditioning: whether
    it also sees the answer of the call before. frequencies: whether it is known how often each
    token occurs. rewards: by which names texts have a worth. quality_head: whether a call can also
    say how likely each written token is right. dual_cache: whether its answers are approximate,
    from keys and values of an earlier call. revision: the commit of a hub's checkpoint.
    """

    name: str
    vocab_size: int
    task: str = ""
    mask_id: int | None = None
    pad_id: int | None = None
    bos_id: int | None = None
    eos_ids: tuple[int, ...] = ()
    context: int = 2048
    length: int | None = None
    attention: str = "full"
    corruption: str = "absorbing"
    posterior: str = "full"
    schedule: str = "loglinear"
    p_uniform: float = 0.0
    noise_ids: tuple[int, ...] | None = None
    time_conditioned: bool = False
    block_lengths: tuple[int, ...] | None = None
    draft_length: int | None = None
    # What an adapter can do decides no answer: it stays out of repr, so out of fingerprints.
    joint_length: int | None = field(default=None, repr=False)
    leave_one_out: bool = field(default=False, repr=False)
    self_conditioning: bool = field(default=False, repr=False)
    frequencies: bool = field(default=False, repr=False)
    rewards: tuple[str, ...] = field(default=(), repr=False)
    quality_head: bool = field(default=False, repr=False)
    dual_cache: bool = field(default=False, repr=False)  # it does, and stands in the name as well
    revision: str | None = None
