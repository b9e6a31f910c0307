"""Downloading a file of known checksum."""

from __future__ import annotations

import os
import sys

from pynn._files import atomic_write

_TIMEOUT = 30  # seconds without an answer
_CHUNK = 1 << 16  # bytes


def cache_folder() -> str:
    """`$XDG_CACHE_HOME/pynn`, or `~/.cache/pynn`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "pynn")


def download(urls: list[str], path: str, md5: str) -> None:
    """Fetch a file from the first of `urls` that has it, to `path`, which is written whole or not at all.

    Raises:
        RuntimeError: no address gave the file with this checksum; one line with the reason of each.
    """
    import http.client

    os.makedirs(os.path.dirname(path), exist_ok=True)
    name = os.path.basename(path)
    reasons = []
    for url in urls:
        print(f"downloading {url}", file=sys.stderr, flush=True)
        try:
            _fetch(url, path, md5)
            return
        except (OSError, http.client.HTTPException, ValueError) as e:
            reasons.append(f"{url}: {e}")
    raise RuntimeError(
        f"download: no mirror gave {name} ({'; '.join(reasons)}); put it into the folder named by PYNN_DATA"
    )


def _fetch(url: str, path: str, md5: str) -> None:
    import hashlib
    import urllib.request

    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as source, atomic_write(path) as out:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        if digest.hexdigest() != md5:
            raise ValueError(f"MD5 {md5} required, got {digest.hexdigest()}")
