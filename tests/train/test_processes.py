"""Training over several processes: one clock, one set of weights, data of its own for each."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoConfig

from tests.kit import stories, tiny

ROOT = Path(__file__).parents[2]
# One process' clock runs away, and each writes down where it ended.
WORKER = """
import json, os, sys, time
from pathlib import Path
rank, clock = int(os.environ["RANK"]), time.perf_counter
time.perf_counter = lambda: clock() * (1 + 30 * rank)
from lab.train import command

follow, windows = command.follow, []

def report(run, *more):
    draw = run.windows
    run.windows = lambda *how: windows.append(draw(*how)) or windows[-1]
    follow(run, *more)
    ends = {"step": run.progress.step, "seconds": run.progress.seconds,
            "tokens": run.progress.tokens, "drawn": sum(int(w.sum()) for w in windows),
            "weights": [float(v.double().sum()) for v in run.network.parameters()],
            "average": [float(v.double().sum()) for v in run.average.module.parameters()]}
    Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(ends))

command.follow = report
sys.exit(command.main(sys.argv[2:]))
"""


@pytest.mark.parametrize("objective", ["mdlm", "dflash"])
def test_two_processes_save_and_end_together_with_same_weights(objective, tmp_path):
    data, work = stories.write(tmp_path / "stories.jsonl"), tmp_path / "work"
    flags = stories.command(data, work, "--steps", "12", "--save-every", "0.01")
    if objective == "dflash":
        target = tiny.write(work / "models" / "target", "causal-absorbing")
        flags += ["--objective", "dflash", "--init-from", str(target), "--draft-length", "4"]
        flags += ["--tokenizer", str(target)]
    (tmp_path / "worker.py").write_text(WORKER)
    # The flag says several processes; where there is no GPU they share the CPU.
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launch += ["--main_process_port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false",
                   "PYTHONPATH": str(ROOT)}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, *launch, str(tmp_path / "worker.py"), str(tmp_path), *flags],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _, errors = process.communicate(timeout=120)
    finally:  # two that wait for each other wait for ever
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors[-2000:]
    one, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert one.pop("drawn") != other.pop("drawn"), "each process sees data of its own"
    assert one == other and one["step"] == 12 and one["tokens"] == 12 * 64 * 2
    card = (stories.folder(work) / "README.md").read_text("utf-8")
    assert "2 x 1 |" in card and "accelerate launch --multi_gpu --num_processes 2 -m lab" in card
    assert AutoConfig.from_pretrained(stories.folder(work)).architectures
