"""`python -m lab study`: run a spec, report, compare two settings, verify, make the atlas."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd

from lab.study.atlas import ATLAS, atlas_specs
from lab.study.points import read_points, write_points
from lab.study.report import advice, html, markdown
from lab.study.results import read_results
from lab.study.runner import StudyProgress, run_study
from lab.study.summary import compare_settings, summarise
from lab.study.verification import verify

EXAMPLE = """example of a spec (lists span a grid):
  name: sudoku9-orders
  task: sudoku9
  cases: [32, 26]
  instances: 500
  samplers:
    margin: {temperature: [0, 1]}
    threshold: {threshold: [0.7, 0.9]}
    mdlm: {steps: [8, 32, 128]}

results are a folder of them, or one file of points that `pack` wrote from it.
Several processes or machines share one folder:
  accelerate launch -m lab study run spec.yaml --out results/
"""


def parser() -> argparse.ArgumentParser:
    """The command line of the studies."""
    top = argparse.ArgumentParser(
        prog="python -m lab study", description=__doc__, epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = top.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="compute the cells of a spec that a folder lacks")
    run.add_argument("spec", help="a YAML file")
    run.add_argument("--out", required=True, help="folder of the results, resumed where it stands")
    _add_machine(run)
    run.set_defaults(command=_run)
    report = commands.add_parser("report", help="tables with intervals; one HTML file")
    report.add_argument("results", help="a results folder, or a file of points")
    report.add_argument("--html", metavar="FILE", help="write the report with figures as one file")
    report.add_argument("--budget", type=float, help="also say what is best under so many calls")
    report.set_defaults(command=_report)
    compare = commands.add_parser("compare", help="two settings on the same instances")
    compare.add_argument("results", help="a results folder, or a file of points")
    for name in ("task", "case"):
        compare.add_argument(f"--{name}", required=True)
    compare.add_argument("settings", nargs=2, help='as the report names them: "mdlm (steps=8)"')
    compare.set_defaults(command=_compare)
    check = commands.add_parser("verify", help="measure random settings again and compare")
    check.add_argument(
        "results", nargs="?", default=str(ATLAS), help="as above (default: the atlas that ships)"
    )
    check.add_argument("--cells", type=int, default=3, help="how many (default 3)")
    check.add_argument("--seed", type=int, default=0, help="which ones")
    check.set_defaults(command=_verify)
    pack = commands.add_parser("pack", help="results as one small file of points, for the page")
    pack.add_argument("results", help="a results folder")
    pack.add_argument("--out", required=True, help="a .parquet or .csv file")
    pack.set_defaults(command=_pack)
    atlas = commands.add_parser("atlas", help="compute the atlas cell by cell; then pack it")
    atlas.add_argument("--out", required=True, help="folder of the results, resumed")
    atlas.add_argument("--only", help="tasks, comma-separated (default: all)")
    _add_machine(atlas)
    atlas.set_defaults(command=_atlas)
    return top


def _add_machine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threads", type=int, default=1, help="torch threads a process (default 1)"
    )
    command.add_argument(
        "--device", help="where trained models run: cpu, cuda or cuda:1 (default: cpu)"
    )


def main(argv: Sequence[str]) -> int:
    """Run one command; 0 if all went well, 2 after a message, 130 after Ctrl-C."""
    options = parser().parse_args(argv)
    try:
        options.command(options)
    except ValueError as error:
        print(f"python -m lab study: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        print(
            f"python -m lab study: a file could not be written or read ({reason}); finished cells "
            "are kept: mend that, and the same command goes on",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("stopped; finished cells are kept: the same command goes on", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    _study(options.spec, options)


def _study(spec: Any, options: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(options.threads)
    process, processes = share_of_work()
    with _bar(process) as bar:

        def report(progress: StudyProgress) -> None:
            if bar is not None:
                bar.total, bar.n = progress.all_work, progress.work
                bar.set_postfix_str(f"{progress.done}/{progress.cells} cells", refresh=False)
                bar.refresh()

        count = run_study(
            spec, options.out, report,
            process=process, processes=processes, device=options.device,
        )  # fmt: skip
    print(f"computed {count} cells; results in {options.out}", file=sys.stderr)


def share_of_work() -> tuple[int, int]:
    """This process's number and how many there are, as accelerate started them."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 0, 1
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.accelerator.is_available())
    return state.process_index, state.num_processes


def _bar(process: int) -> Any:
    if process or not sys.stderr.isatty():
        return nullcontext()
    from tqdm import tqdm

    return tqdm(unit="work", unit_scale=True, smoothing=0)


def _report(options: argparse.Namespace) -> None:
    points = _points(options.results)
    print(markdown(points))
    if options.budget is not None:
        for task, case in points[["task", "case"]].drop_duplicates().itertuples(index=False):
            print(f"\n{task}, {case}: {advice(points, task, case, options.budget)}")
    if options.html:
        html(points, options.html, Path(options.results).stem)
        print(f"wrote {options.html}", file=sys.stderr)


def _compare(options: argparse.Namespace) -> None:
    points = _points(options.results)
    first, second = options.settings
    outcome = compare_settings(points, options.task, options.case, first, second)
    print(
        f"{first} minus {second}: {outcome.difference.percent()}, p = {outcome.p_value:.3g} "
        "(paired, two-sided)"
    )


def _verify(options: argparse.Namespace) -> None:
    outcome = verify(_points(options.results), options.cells, seed=options.seed)
    print(
        f"{outcome.equal} of {outcome.rows} rows equal in {outcome.points} settings; the rates of "
        f"{outcome.rates_agree} agree within their intervals"
    )


def _pack(options: argparse.Namespace) -> None:
    points = summarise(read_results(options.results))
    write_points(points, options.out)
    size = Path(options.out).stat().st_size
    print(f"{len(points)} points of {points['rows'].sum():,} rows in {options.out}, {size:,} bytes")


def _points(results: str) -> pd.DataFrame:
    """The points of a results folder, or of a file."""
    path = Path(results)
    return read_points(path) if path.is_file() else summarise(read_results(path))


def _atlas(options: argparse.Namespace) -> None:
    for spec in atlas_specs(options.only.split(",") if options.only else None):
        _study(spec, options)
