"""The lab from a shell: python -m lab compare | generate | bench | samplers | train | evaluate."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch

import samplers
from lab.models.catalogue import tasks
from lab.record.files import save
from lab.record.metrics import table
from lab.record.trajectory import Trajectory
from lab.run.plan import Plan, plan
from lab.run.recorder import Recorder
from samplers.registry import Param, Sampler

SAMPLING = {"greedy": 0.0, "multinomial": 1.0}
EXAMPLE = "python -m lab compare --task capitals --samplers mdlm,llada2 --steps 8 --seed 3"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 if all went well, 2 after a message on standard error if not."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["train"]:
        from lab.train import main as train

        return train(arguments[1:]) or 0
    if arguments[:1] == ["evaluate"]:
        from lab.train.evaluate import main as evaluate

        return evaluate(arguments[1:]) or 0
    options = parser().parse_args(arguments)
    try:
        options.command(options)
    except (ValueError, OSError) as error:
        print(f"python -m lab: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line; every sampler parameter is a flag, read from the registry."""
    top = argparse.ArgumentParser(prog="python -m lab", description=__doc__, epilog=EXAMPLE)
    commands = top.add_subparsers(required=True, metavar="command")
    compare = commands.add_parser("compare", help="several samplers on one prompt", epilog=EXAMPLE)
    compare.set_defaults(command=_compare)
    generate = commands.add_parser("generate", help="one sampler on one model")
    generate.add_argument("--model", default=None, help="model, task or checkpoint folder")
    generate.add_argument("--sampler", required=True, help=", ".join(samplers.SAMPLERS))
    generate.set_defaults(command=_generate)
    bench = commands.add_parser("bench", help="what samplers cost beside their model's calls")
    bench.add_argument("--repeats", type=_number, default=5, help="how often each side is timed")
    bench.set_defaults(command=_bench)
    listing = commands.add_parser("samplers", help="list samplers, their guarantees and parameters")
    listing.set_defaults(command=_samplers)
    for name in ("train", "evaluate"):
        commands.add_parser(name, help=f"see python -m lab {name} --help", add_help=False)
    for command in (compare, bench):
        command.add_argument("--task", default=next(iter(tasks())), help="which models")
        command.add_argument("--samplers", help="names, comma-separated (default: all)")
    for command in (compare, generate, bench):
        _add_settings(command)
    for command in (compare, generate):
        command.add_argument("--csv", metavar="FILE", help="write the trajectories")
        command.add_argument("--json", metavar="FILE", help="write the trajectories")
    bench.add_argument("--csv", metavar="FILE", help="write the table")
    return top


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--prompt", default=None, help="text to continue")
    command.add_argument(
        "--template", default=None, help="text with [MASK] or [MASK]*8 as masked positions"
    )
    command.add_argument("--gen-length", type=_number, default=None, help="tokens to generate")
    command.add_argument("--seed", type=_number, default=0)
    command.add_argument("--rows", type=_number, default=1, help="copies, each with its own noise")
    command.add_argument("--preset", default=None, help="a sampler's named settings")
    command.add_argument(
        "--sampling", choices=list(SAMPLING), default=None, help="short for --temperature 0 or 1"
    )
    group = command.add_argument_group("sampler parameters (those a sampler lacks are named)")
    for name, owners in _parameters().items():
        first = owners[0][1]
        names = ", ".join(owner.name for owner, _ in owners)
        group.add_argument(
            "--" + name.replace("_", "-"), dest="param_" + name, metavar="VALUE",
            help=f"{first.rule()}. {first.help} [{names}]".replace("%", "%%"),
        )  # fmt: skip


def _parameters() -> dict[str, list[tuple[Sampler, Param]]]:
    found: dict[str, list[tuple[Sampler, Param]]] = {}
    for sampler in samplers.SAMPLERS.values():
        for param in sampler.params:
            found.setdefault(param.name, []).append((sampler, param))
    return found


def _number(text: str) -> Any:
    # Left as text where it is no number, so that one check words the error.
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _value(text: str) -> Any:
    words = {"none": None, "off": None, "true": True, "false": False}
    return words[text.lower()] if text.lower() in words else _number(text)


def _params(options: argparse.Namespace, sampler: Sampler) -> dict[str, Any]:
    owned = {param.name for param in sampler.params}
    given = {
        name.removeprefix("param_"): _value(text)
        for name, text in vars(options).items()
        if name.startswith("param_") and text is not None
    }
    if options.sampling is not None:
        if "temperature" in given:
            raise ValueError("--sampling is short for a temperature: leave one of the two out")
        given["temperature"] = SAMPLING[options.sampling]
    for name in given.keys() - owned:
        print(f"{sampler.name} has no {name}: left out for it", file=sys.stderr)
    return {name: value for name, value in given.items() if name in owned}


def _plan(options: argparse.Namespace, name: str, model: str) -> Plan:
    sampler = samplers.get(name)
    return plan(
        name, model, "" if options.prompt is None else options.prompt, template=options.template,
        gen_length=options.gen_length, seed=options.seed, rows=options.rows,
        preset=options.preset, params=_params(options, sampler),
    )  # fmt: skip


def _plans(options: argparse.Namespace) -> list[Plan]:
    """A plan for each sampler named, or for all that the task serves."""
    known = tasks()
    if options.task not in known:
        raise ValueError(f"no task {options.task!r}; there are {', '.join(known)}")
    names = options.samplers.split(",") if options.samplers else list(known[options.task])
    return [_plan(options, name.strip(), options.task) for name in names]


def _compare(options: argparse.Namespace) -> None:
    _finish(options, [Recorder(plan) for plan in _plans(options)])


def _bench(options: argparse.Namespace) -> None:
    from lab.run import bench

    torch.set_num_threads(1)  # one thread's clock is read, and samplers are compared alike
    costs = bench.costs(_plans(options), options.repeats)
    told = bench.table(costs)
    print(told.to_string(index=False))
    if options.csv:
        told.to_csv(options.csv, index=False)
        print(f"wrote {options.csv}", file=sys.stderr)


def _generate(options: argparse.Namespace) -> None:
    model = options.model or next(iter(tasks()))
    _finish(options, [Recorder(_plan(options, options.sampler, model))])


def _finish(options: argparse.Namespace, runs: list[Recorder]) -> None:
    done: list[Trajectory] = []
    for run in runs:
        _show(run)
        done += run.trajectories()
    for trajectory in done:
        print(f"{trajectory.sampler} on {trajectory.model}, row {trajectory.row}:")
        print(f"  {trajectory.text}")
    print(table(done).to_string(index=False))
    for path in filter(None, (options.csv, options.json)):
        save(done, path)
        print(f"wrote {path}", file=sys.stderr)


def _show(run: Recorder) -> None:
    """Run to the end behind a progress bar of filled masked positions; no bar where nobody
    watches."""
    canvas = run.plan.canvas
    masked = int(canvas.writable.sum())
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(total=masked, desc=run.plan.sampler.name, unit="token")
    else:
        bar = None
    with bar or nullcontext():
        for frame in run:
            if bar is not None:
                masks = (frame.tokens == canvas.mask_id) & canvas.writable.numpy()
                bar.update(masked - int(masks.sum()) - bar.n)


def _samplers(options: argparse.Namespace) -> None:
    for sampler in samplers.SAMPLERS.values():
        print(f"{sampler.name}: {sampler.title}, {sampler.paper}, guarantee {sampler.guarantee}")
        for param in sampler.params:
            print(f"  --{param.name.replace('_', '-')} = {param.default!r}: {param.rule()}")
