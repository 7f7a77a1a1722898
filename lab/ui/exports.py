"""The runs of a page as files, written when somebody asks for one and removed once it is sent."""

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pandas as pd

from lab.record import files
from lab.record.trajectory import Trajectory
from lab.study.points import write_points
from lab.ui import gif, page_runs, picture, standalone
from lab.ui.error_text import explain, explain_disk
from lab.ui.page_runs import PageRuns

TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "gif": "image/gif",
    "parquet": "application/vnd.apache.parquet",
}
ROUTE = re.compile(r"/lab/export/([0-9a-f]{32})/(csv|json|html|parquet|gif)")
POINTS = re.compile(r"/lab/study/([0-9a-f]{32}|none)/(\w+)/([\w:.-]+)/(csv|parquet)")
CHUNK = 256 * 1024  # bytes sent at a time
Send = Callable[[dict[str, Any]], Awaitable[None]]


def file_name(runs: list[Trajectory], suffix: str) -> str:
    """Named by task and seed, never by text."""
    source = re.sub(r"[^\w.-]", "-", runs[0].task or runs[0].model)
    return f"trajectories-{source}-seed{runs[0].seed}"[:100] + f".{suffix}"


def write(comparison: PageRuns, suffix: str, folder: Path) -> Path:
    """Write all panels into one file. ValueError, OSError where that cannot be."""
    path = folder / file_name(comparison.runs, suffix)
    if suffix == "html":
        standalone.save(path, comparison)
    elif suffix == "gif":
        gif.save(path, comparison)
    elif suffix == "parquet":
        pd.concat([run.to_frame() for run in comparison.runs]).to_parquet(path, index=False)
    else:
        files.save(comparison.runs, path)
    return path


def text(runs: list[Trajectory], suffix: str) -> str:
    """The runs as the text of a CSV or JSON file."""
    with TemporaryDirectory(prefix="sampler-lab-") as folder:
        path = Path(folder) / file_name(runs, suffix)
        files.save(runs, path)
        return path.read_text(encoding="utf-8")


async def serve(path: str, send: Send) -> bool:
    """Answer ROUTE and POINTS: the file, or why there is none; False for any other path."""
    if match := ROUTE.fullmatch(path):
        comparison = page_runs.runs_beside(match[1])
        if comparison is None or not comparison.runs:
            await refuse(send, 404, "This run is no longer kept here; run it again to export it")
            return True
        await _answer(send, match[2], partial(write, comparison, match[2]), "The run is kept")
    elif match := POINTS.fullmatch(path):
        points = picture.points_of(match[2], match[3], match[1])
        if not len(points):
            await refuse(send, 404, "Nothing was measured here; measure or load something first")
            return True
        await _answer(
            send, match[4], partial(_write_points, points, match[4]), "The points are kept"
        )
    else:
        return False
    return True


def _write_points(points: pd.DataFrame, suffix: str, folder: Path) -> Path:
    line = points.iloc[0]
    name = re.sub(r"[^\w.-]", "-", f"points-{line['task']}-{line['case']}")
    write_points(points, path := folder / f"{name}.{suffix}")
    return path


async def _answer(send: Send, suffix: str, write_file: Callable[[Path], Path], rest: str) -> None:
    """Send what `write_file` writes into a folder, which is then removed; rest: what is not lost
    where it cannot be written."""
    folder = None
    try:
        folder = Path(await asyncio.to_thread(mkdtemp, prefix="sampler-lab-"))
        file = await asyncio.to_thread(write_file, folder)
        await _send_file(send, file, TYPES[suffix])
    except OSError as error:
        reason = f"The {suffix.upper()} file could not be written: {explain_disk(error)}"
        await refuse(send, 507, f"{reason}. {rest}; try again later")
    except Exception as error:
        await refuse(send, 422, f"The {suffix.upper()} file cannot be written: {explain(error)}")
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


async def _send_file(send: Send, file: Path, kind: str) -> None:
    headers = {
        "content-type": f"{kind}; charset=utf-8",
        "content-length": str(file.stat().st_size),
        "content-disposition": f'attachment; filename="{file.name}"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    with file.open("rb") as opened:
        await send(_start(200, headers))
        while chunk := opened.read(CHUNK):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def refuse(send: Send, status: int, reason: str) -> None:
    """Answer with one sentence."""
    body = reason.encode()
    headers = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
    await send(_start(status, headers))
    await send({"type": "http.response.body", "body": body})


def _start(status: int, headers: dict[str, str]) -> dict[str, Any]:
    lines = [(name.encode(), value.encode("ascii", "replace")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": lines}
