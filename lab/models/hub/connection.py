"""Between here and the hub: where it is, what can go wrong on the way, and how far a file is."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lab.models.errors import ModelError
from samplers.signature import brief

TIMEOUT = 10  # seconds for one answer of the hub


def endpoint() -> str | None:
    """The hub's address where HF_ENDPOINT names another; None: the public one."""
    return os.environ.get("HF_ENDPOINT") or None


def on_space() -> bool:
    """Whether this is a public page, where no code from elsewhere may run.

    A Hugging Face Space sets both; either alone is enough.
    """
    return os.environ.get("SYSTEM") == "spaces" or bool(os.environ.get("SPACE_ID"))


def on_zero_gpu() -> bool:
    """Whether this is a Space that lends a GPU for seconds, to functions that ask for one."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def refuse_code(trust_remote_code: bool) -> None:
    """ModelError where code beside weights would run on a public page."""
    if trust_remote_code and on_space():
        raise ModelError(
            "on this public page no code beside weights is run; leave trust_remote_code out"
        )


@contextmanager
def hub_errors(name: str, revision: str | None) -> Iterator[None]:
    """What can go wrong between here and the hub, each as one sentence."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise ModelError(
            f"{name} is gated: accept its terms on the hub and log in (hf auth login) first"
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelError(
            f"{name} has no revision {brief(revision)}; give a commit, branch or tag that its "
            "history lists, or leave revision out for the newest"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ModelError(
            f"there is no {name} on the hub (or it is private); check owner and name, or log in"
        ) from None
    except errors.EntryNotFoundError:
        raise ModelError(
            f"a file of {name} could not be fetched; the network is gone, or its revision changed"
        ) from None
    except errors.HfHubHTTPError as error:
        code = getattr(getattr(error, "response", None), "status_code", "an error")
        raise ModelError(f"the hub answered {code} for {name}; try again later") from None
    except (OSError, errors.HTTPError) as error:
        if getattr(error, "errno", None) == 28:
            raise ModelError(f"the disk is full; {name} could not be stored") from None
        raise ModelError(
            f"the hub cannot be reached, so {name} cannot be fetched; check the network, or load "
            "a checkpoint by its folder or one that ships with the lab"
        ) from None


def silent(report: Callable[[int], None]) -> type:
    """A progress bar that shows nothing and reports the bytes done of one file."""
    from tqdm import tqdm

    class Silent(tqdm):
        def __init__(self, *parts: Any, **named: Any):
            self._done = named.get("initial") or 0
            named.pop("name", None)
            super().__init__(*parts, **{**named, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self._done += int(n or 0)
            report(self._done)

    return Silent
