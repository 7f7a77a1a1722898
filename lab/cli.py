"""The lab from a shell: see COMMANDS in lab.cli_options, or python -m lab --help."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from lab.cli_options import (
    COMMANDS,
    REFUSED,
    Options,
    parse,
    sampler_names,
    sampler_params,
    top,
)

if TYPE_CHECKING:
    import pandas as pd

    from lab.record.trajectory import Trajectory
    from lab.run.recorder import Recorder
    from lab.run.request import RunRequest

OK, FAILED, INTERRUPTED = 0, 1, 130  # exit codes; REFUSED is 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: all went well; 2: refused before any work, 1: it failed, either with a
    message on standard error; 130: interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    try:
        if name == "train":
            from lab.train import main as train

            return train(arguments[1:]) or OK
        if name == "evaluate":
            from lab.train.evaluate import main as evaluate

            return evaluate(arguments[1:]) or OK
        if name == "study":
            from lab.study.study_command import main as study

            return study(arguments[1:])
        if name not in COMMANDS:
            top().parse_args(arguments or ["--help"])
        return _RUN[name](parse(name, arguments[1:])) or OK
    except (ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # whoever read our output has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return FAILED
        print(f"python -m lab: {_line(error)}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except (MemoryError, RuntimeError) as error:
        print(f"python -m lab: the run failed, {type(error).__name__}: {_line(error)}",
              file=sys.stderr)  # fmt: skip
        return FAILED


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _request(
    options: Options, sampler: str, model: Any, prompt: Any = None, **params: Any
) -> "RunRequest":
    from lab.run.request import RunRequest

    prompt = options.prompt if prompt is None else prompt
    return RunRequest(
        sampler, model, "" if prompt is None else prompt,
        template=options.template, gen_length=options.gen_length, seed=options.seed,
        draft=options.draft,
        rows=options.rows, preset=options.preset, device=options.device, **params,
    )  # fmt: skip


def _recorders(options: Options) -> "list[Recorder]":
    """A checked run for each sampler named, or for all that the task or the model serves."""
    import samplers
    from lab.models.catalogue import served, task_names
    from lab.models.load import load
    from lab.run.plan import plan
    from lab.run.recorder import Recorder

    model: Any
    if options.model is not None:
        model = load(options.model, device=options.device, dual_cache=options.dual_cache)
        names = [s.name for s in samplers.SAMPLERS.values() if s.misfit(model.card) is None]
    else:
        task = _task(options, task_names())
        model, names = task, list(served(task))
    if options.samplers:
        names = sampler_names(options)
    shared = _shared(options, names)
    plans = [plan(_request(options, name, model, shared=shared)) for name in names]
    return [Recorder(each) for each in plans]


def _shared(options: Options, names: list[str]) -> dict[str, Any]:
    """The parameters that were typed, for all of these samplers that have them."""
    import samplers

    shared = sampler_params(options)
    for name in names:
        own = {param.name for param in samplers.get(name).params}
        for missing in shared.keys() - own:
            print(f"{name} has no {missing}: left out for it", file=sys.stderr)
    return shared


def _task(options: Options, known: list[str]) -> str:
    task = known[0] if options.task is None else options.task
    if task not in known:
        raise ValueError(f"no task {task!r}; there are {', '.join(known)}")
    return task


def _compare(options: Options) -> None:
    files = _check_files(options, "csv", "json")
    _finish(files, _recorders(options))


def _generate(options: Options) -> None:
    from lab.models.catalogue import task_names
    from lab.models.load import load
    from lab.run.plan import plan
    from lab.run.recorder import Recorder

    files = _check_files(options, "csv", "json")
    model: Any = options.model if options.model is not None else _task(options, task_names())
    if options.dual_cache:
        model = load(model, device=options.device, dual_cache=True)
    request = _request(options, options.sampler, model, params=sampler_params(options))
    _finish(files, [Recorder(plan(request))])


def _bench(options: Options) -> None:
    import torch

    from lab.bench import cost_table

    files = _check_files(options, "csv", "parquet")
    torch.set_num_threads(1)  # one thread's clock is read, and all are compared alike
    lines = _MEASURES[options.measure](options)
    print(_aligned(cost_table.readable(lines)))
    print(f"medians and quartiles of {options.repeats} repeats; {cost_table.one_machine(lines)}")
    for path in files:
        cost_table.write(lines, path)
        print(f"wrote {path}", file=sys.stderr)


def _measure_runs(options: Options) -> "pd.DataFrame":
    from lab.bench import cost_table, costs
    from lab.bench.pairs import pairs, prompt_for
    from lab.bench.peers import peers
    from lab.run.plan import plan

    names = sampler_names(options) if options.samplers else None
    both = pairs(names, options.task, options.model, options.vocabulary, options.device,
                 options.dual_cache, options.size or "small")  # fmt: skip
    shared = _shared(options, list(both))
    plans = []
    for name, model in both.items():
        prompt = prompt_for(model, options.prompt_length, options.prompt)
        request = _request(options, name, model, prompt, shared=shared)
        if options.task is options.model is None and model.card.length:  # it has its own length
            request = replace(request, prompts="", gen_length=None)
        plans.append(plan(request))
    beside = peers(plans, options.against) if options.against else []
    return cost_table.lines(costs.costs(plans, options.repeats, beside))


def _measure_draws(options: Options) -> "pd.DataFrame":
    from lab.bench.draws import draws
    from lab.models.device import CPU, device_map, first_device

    place = device_map(options.device)
    return draws(
        options.vocabulary or 157_184, options.repeats, first_device(place) if place else CPU
    )


def _measure_calls(options: Options) -> "pd.DataFrame":
    from lab.bench.calls import calls

    return calls(options.vocabulary or 8192, options.repeats, options.device)


def _measure_starts(options: Options) -> "pd.DataFrame":
    from lab.bench.starts import starts

    return starts(options.repeats)


def _measure_dual_cache(options: Options) -> "pd.DataFrame":
    from lab.bench.cache_error import MODEL, cache_error

    return cache_error(options.model or MODEL, options.repeats, options.device)


_MEASURES: "dict[str, Callable[[Options], pd.DataFrame]]" = {
    "runs": _measure_runs,
    "draws": _measure_draws,
    "calls": _measure_calls,
    "starts": _measure_starts,
    "dual-cache": _measure_dual_cache,
}


def _check_files(options: Options, *suffixes: str) -> list[str]:
    """The files to write; refused before the run, not after it, where one cannot be written."""
    from lab.record.files import check_target

    paths = {suffix: getattr(options, suffix) for suffix in suffixes}
    for suffix, path in paths.items():
        if path is not None:
            check_target(path, f".{suffix}")
    return [path for path in paths.values() if path is not None]


def _finish(files: list[str], recorders: "list[Recorder]") -> None:
    from lab.record.files import save
    from lab.record.metrics import table

    runs: list[Trajectory] = []
    for recorder in recorders:
        _watch(recorder)
        runs += recorder.trajectories()
    for run in runs:
        print(f"{run.sampler} on {run.model}, row {run.row}:")
        print(f"  {run.text}")
    print(_aligned(table(runs)))
    for path in files:
        save(runs, path)
        print(f"wrote {path}", file=sys.stderr)


def _watch(recorder: "Recorder") -> None:
    """Run to the end; behind a progress bar of filled positions where a person is looking."""
    canvas = recorder.plan.canvas
    total = int(canvas.writable.sum())
    bar: Any = None
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(total=total, desc=recorder.plan.sampler.name, unit="token")
    with bar or nullcontext():
        for frame in recorder:
            if bar is not None:
                masked = (frame.tokens == canvas.mask_id) & canvas.writable.numpy()
                bar.update(total - int(masked.sum()) - bar.n)


def _aligned(table: "pd.DataFrame") -> str:
    """A table whose headings stand in several short lines, so that a line fits a terminal."""
    cells = [[heading.split(" "), *map(str, table[heading])] for heading in table]
    widths = [max(map(len, [*words, *rest])) for words, *rest in cells]
    texts = [table[heading].dtype.kind not in "iuf" for heading in table]

    def line(values: Sequence[str]) -> str:
        parts = (value.ljust(width) if text else value.rjust(width)
                 for value, width, text in zip(values, widths, texts, strict=True))  # fmt: skip
        return "  ".join(parts).rstrip()

    height = max(len(words) for words, *_ in cells)
    heads = zip_longest(*([""] * (height - len(words)) + words for words, *_ in cells))
    return "\n".join([line(values) for values in (*heads, *zip(*(c[1:] for c in cells),
                                                               strict=True))])  # fmt: skip


def _samplers(options: Options) -> None:
    import samplers

    for sampler in samplers.SAMPLERS.values():
        print(f"{sampler.name}: {sampler.title}, {sampler.paper}, guarantee {sampler.guarantee}")
        for param in sampler.params:
            print(f"  --{param.name.replace('_', '-')} = {param.default!r}: {param.rule()}")


_RUN: dict[str, Callable[[Options], None]] = {
    "compare": _compare,
    "generate": _generate,
    "bench": _bench,
    "samplers": _samplers,
}
