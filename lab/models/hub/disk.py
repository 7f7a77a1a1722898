"""What the hub's cache holds of a checkpoint, and how it is taken out again."""

from collections.abc import Sequence
from dataclasses import replace

from lab.models.hub.download import Offer


def missing(offer: Offer) -> int:
    """Bytes of an offer that the cache lacks."""
    from huggingface_hub import constants, try_to_load_from_cache

    place = constants.HF_HUB_CACHE
    parts = [each for each in (offer.target, offer) if each]
    return sum(
        size
        for each in parts
        for file, size in each.files.items()
        if not isinstance(try_to_load_from_cache(each.name, file, place, each.revision), str)
    )


def discard(offers: Sequence[Offer]) -> None:
    """Remove these checkpoints from the cache; files that another commit has too stay."""
    from huggingface_hub import constants, scan_cache_dir

    if not offers:
        return
    cache = scan_cache_dir(constants.HF_HUB_CACHE)
    for repo in cache.repos:
        commits = [each.revision for each in offers if each.name == repo.repo_id]
        replace(cache, repos=frozenset({repo})).delete_revisions(*commits).execute()
