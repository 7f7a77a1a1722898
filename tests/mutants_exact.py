"""Break the exact models, samplers and checkers, a rule at a time: each must turn a test red.

`python tests/mutants_exact.py [number ...]` (half a minute each) works on a copy, so it never
touches the checkout. A mutant: file, test file, `-k`, what stands there, what replaces it.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAWS, ORACLE = "tests/test_laws_exact.py", "tests/test_oracle.py"
ORDERS = "tests/test_laws_orders.py"
TABLES, ERRORS = "tests/test_tables.py", "tests/test_oracle_errors.py"

# fmt: off
MUTANTS = [
    ("samplers/mdlm.py", LAWS, "mdlm",
        "stay = cleaner / noisy if s > 0 else 0.0",
        "stay = cleaner if s > 0 else 0.0"),
    ("samplers/mdlm.py", LAWS, "mdlm", "mixed = weights * (1 - stay)", "mixed = weights * 1.0"),
    ("samplers/mdlm.py", LAWS, "mdlm or infill",
        "stale = (stale & ~rows) | changed",
        "stale = (stale & ~rows) | (changed & False)"),
    ("samplers/schedules.py", LAWS, "test_mdlm",
        "lambda t, e: 1 - torch.cos(_QUARTER * (1 - (1 - e) * t)),",
        "lambda t, e: torch.cos(_QUARTER * t),"),
    ("samplers/schedules.py", LAWS, "test_mdlm",
        "return [(1 - i / steps) ** GRIDS[name] for i in range(steps + 1)]",
        "return [(1 - i / (steps+1)) ** GRIDS[name] for i in range(steps + 1)][:-1]+[0.0]"),
    ("samplers/hybrid.py", LAWS, "mixture and 4",
        'if denoise.card.posterior == "full":',
        "if False:"),
    ("samplers/hybrid.py", LAWS, "mixture and 4",
        "noised = (uniform_t - kept * uniform_s) * spread[z]",
        "noised = uniform_t * spread[z]"),
    ("samplers/hybrid.py", LAWS, "mixture and 4",
        "return list(pairwise(schedules.grid(grid, steps)))",
        "return [(t, s or 1e-2) for t, s in pairwise(schedules.grid(grid, steps))]"),
    ("samplers/hybrid.py", LAWS, "mixture and 4",
        "spread[list(ids)] = 1 / len(ids)",
        "spread[list(ids)] = 1 / (len(ids) + 1)"),
    ("samplers/remdm.py", ORDERS, "remdm and 0.18688",
        "    if not published and move_t < 1:", "    if False:"),
    ("samplers/remdm.py", ORDERS, "remdm and 0.0374",
        "    if not published and move_t < 1:", "    if move_t < 1:"),
    ("samplers/mdlm.py", ORDERS, "remdm and 0.0374",
        "    if hole.any():\n", "    if False:\n"),
    ("samplers/remdm.py", ORDERS, "remdm and 0.223",
        "if t > t_off if published else s >= t_off:", "if s >= t_off:"),
    ("samplers/remdm.py", ORDERS, "remdm and 0.0812",
        "most = min(1.0, s / (1 - t)) if t < 1 else 1.0", "most = 1.0 - t"),
    ("samplers/remdm.py", "tests/test_conformance_params.py", "together and remdm",
        "move_s = move_s if s > 0 else 0.0", "move_s = move_s * 1.0"),
    ("samplers/uniform.py", ORDERS, "corrector",
        "then[0] * clean + then[2] * spread", "clean + 0 * spread"),
    ("samplers/uniform.py", ORDERS, "corrector",
        "clean = clean_at(x, then)", "clean = clean_at(x, now)"),
    ("samplers/core.py", ORDERS, "corrector",
        'if card.corruption == "absorbing" and not', "if not"),
    ("samplers/noise.py", LAWS, "random_subsets",
        "free = (where & ~chosen).double()[:, None]",
        "free = ((where & ~chosen).cumsum(-1) == 1).double()[:, None]"),
    ("samplers/bd3lm.py", LAWS, "first_hitting",
        "logits = denoise(x, window=window, rows=rows, t=time)",
        "logits = denoise(canvas.tokens, window=window, rows=rows, t=time)"),
    ("samplers/bd3lm.py", LAWS, "random_subsets or first_hitting",
        "-(-count // left)",
        "count // left"),
    ("samplers/llada2.py", LAWS, "low_conf or threshold",
        "quota = share(count, steps, step)",
        "quota = share(count, steps, step) * 2"),
    ("samplers/llada2.py", LAWS, "low_conf or threshold",
        "sure = sure.where(hole, -torch.inf)",
        "sure = logits.softmax(-1).amax(-1).double().where(hole, -torch.inf)"),
    ("samplers/llada2.py", LAWS, "threshold",
        "fast = sure > threshold if threshold is not None else torch.zeros_like(hole)",
        "fast = sure < threshold if threshold is not None else torch.zeros_like(hole)"),
    ("samplers/noise.py", LAWS, "noise_follows",
        "target = torch.minimum(u * coarse[:, -1], _below(coarse[:, -1]))",
        "target = torch.minimum(u * u * coarse[:, -1], _below(coarse[:, -1]))"),
    ("samplers/noise.py", LAWS, "noise_follows",
        "index = self._count[purpose][:, None] + cells.cumsum(-1)",
        "index = self._count[purpose][:, None] + cells.cumsum(-1) * 0 + 1"),
    ("lab/adapters/oracle.py", ORACLE, "pads",
        "message = torch.where(visible[:, i, None], onward, message)",
        "message = onward"),
    ("lab/adapters/exact.py", ORACLE, "pinned",
        "pinned = torch.zeros_like(visible) if cache is None else cache[rows]",
        "pinned = torch.zeros_like(visible)"),
    ("lab/adapters/exact.py", ORACLE, "posterior_of or full_is",
        'if self.card.posterior == "loo":',
        "if True:"),
    ("lab/adapters/exact.py", ORACLE, "posterior_of or full_is",
        'if self.card.posterior == "loo":',
        "if False:"),
    ("lab/adapters/exact.py", ORACLE, "posterior_of or floor",
        "stuck = seen & (scores.amax(-1, keepdim=True) == -torch.inf)",
        "stuck = seen & (scores.amax(-1, keepdim=True) < 0).any(1, keepdim=True)"),
    ("lab/adapters/exact.py", ORACLE, "floor",
        "rows = stuck.any(1).flatten()",
        "rows = stuck.any(1).flatten() & False"),
    ("lab/adapters/exact.py", ORACLE, "floor",
        "scores[rows] = torch.where(stuck[rows], floor, scores[rows])",
        "scores[rows] = floor"),
    ("lab/adapters/exact.py", ORACLE, "posterior_of",
        "spread = noise / size",
        "spread = noise / (size - 1)"),
    ("lab/adapters/exact.py", ORACLE, "posterior_of",
        "keep, spread = one * (1 - p), one * p / size",
        "keep, spread = one * (1 - p), one * p"),
    ("lab/adapters/table.py", ORACLE, "table",
        "others_never = never.sum(1)[:, None] - never[:, window].long()",
        "others_never = never.sum(1)[:, None] + never[:, window].long() * 0"),
    ("lab/adapters/table.py", ORACLE, "table",
        "without = total[:, None] - own[:, window]",
        "without = total[:, None] + 0 * own[:, window]"),
    ("lab/adapters/table.py", ORACLE, "pads",
        "place = (visible.cumsum(-1) - 1).clamp(min=0)",
        "place = (torch.ones_like(visible).cumsum(-1) - 1).clamp(max=self.sequences.shape[1]-1)"),
    ("lab/adapters/oracle.py", ORACLE, "long",
        "if bool(((shifted == -torch.inf) | (shifted > -600)).all()):",
        "if True:"),
    ("lab/adapters/oracle.py", ORACLE, "posterior_of",
        "backward[::-1][window]",
        "backward[window]"),
    ("lab/adapters/oracle.py", ORACLE, "hidden",
        "return _log_matmul(states.flatten(0, 1), self.emission).view(*states.shape[:2], -1)",
        "return states[..., [0, 1, 1]]"),
    ("lab/adapters/words.py", TABLES, "special",
        "if word not in known or word in self.all_special_tokens:",
        "if word not in known:"),
    ("lab/adapters/words.py", TABLES, "",
        "backend.normalizer = normalizers.NFC()",
        "backend.normalizer = normalizers.NFD()"),
    ("lab/adapters/words.py", TABLES, "", "cleanup=not letters", "cleanup=False"),
    ("lab/tables.py", TABLES, "sudoku4_lists", "return pair is None or len", "return True or len"),
    ("lab/checks.py", TABLES, "",
        "    return list(words[: words.index(EOS)]) if EOS in words else list(words)",
        "    return list(words)"),
    ("lab/checks.py", TABLES, "grid",
        'for unit in ("row", "column", "box"):',
        'for unit in ("row", "column"):'),
    ("lab/checks.py", TABLES, "false",
        "while stop > start and tail > start and said[stop - 1] == truth[tail - 1]:",
        "while False:"),
    ("lab/adapters/exact.py", ERRORS, "", "if float((total - 1).abs().max()) > 1e-6:", "if False:"),
    ("lab/adapters/exact.py", ERRORS, "", "if longest > card.length:", "if False:"),
]
# fmt: on


def red(folder: Path, name: str, tests: str, chosen: str, old: str, new: str) -> bool:
    """Whether the tests fail once `old` is `new`. ValueError where `old` stands no more."""
    path = folder / name
    source = path.read_text(encoding="utf-8")
    if old not in source:
        raise ValueError(f"{name} has no {old!r}")
    path.write_text(source.replace(old, new, 1), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", tests]
    if chosen:
        command += ["-k", chosen]
    try:
        return subprocess.run(command, cwd=folder, capture_output=True).returncode == 1
    finally:
        path.write_text(source, encoding="utf-8")


def main(numbers: list[int]) -> int:
    """Try these mutants (none named: all); return how many survived."""
    alive = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for part in ("samplers", "lab", "tests"):
            shutil.copytree(ROOT / part, folder / part)
        (folder / "assets").mkdir()
        for file in ("pyproject.toml", "assets/capitals.tsv"):
            shutil.copy(ROOT / file, folder / file)
        for number in numbers or range(len(MUTANTS)):
            seen = red(folder, *MUTANTS[number])
            alive += not seen
            print(
                number,
                "red" if seen else "ALIVE",
                MUTANTS[number][0],
                MUTANTS[number][-1],
                flush=True,
            )
    return alive


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
