"""Files from the network, and models of a local folder with hubconf.py. Names as in torch.hub."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from types import ModuleType
from typing import Any
from urllib.parse import urlparse as urlparse

from pynn._files import atomic_write

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

_folder: str | None = None
_TIMEOUT = 60  # seconds without an answer
_CHUNK = 1 << 16  # bytes
HASH_REGEX = re.compile(r"-([a-f0-9]{8,})\.")  # of a file name


def get_dir() -> str:
    """The folder of what was downloaded: set_dir's, $TORCH_HOME/hub, or in the user's cache."""
    if _folder is not None:
        return _folder
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join(os.path.expanduser("~"), ".cache"))
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return os.path.join(os.path.expanduser(home), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Where to put what is downloaded."""
    global _folder
    _folder = os.path.expanduser(d)


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Fetch a file, which is written whole or not at all.

    Raises:
        RuntimeError: its SHA-256 does not begin with `hash_prefix`.
    """
    import urllib.request

    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as source, atomic_write(dst) as out:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        found = digest.hexdigest()
        if hash_prefix is not None and not found.startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """Load a file of torch.save from the network, or from where it was kept. Same as torch.hub.load_state_dict_from_url."""

    from pynn.serialization import load as load_file

    folder = model_dir or os.path.join(get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, file_name or os.path.basename(urlparse(url).path))
    if not os.path.exists(path):
        print(f'Downloading: "{url}" to {path}', file=sys.stderr)
        named = HASH_REGEX.search(os.path.basename(path))
        download_url_to_file(url, path, named.group(1) if check_hash and named else None, progress)
    state: dict[str, Any] = load_file(path, map_location=map_location)
    return state


def _hubconf(repo: str, source: str) -> ModuleType:
    if source == "github" and not os.path.isdir(repo):
        raise RuntimeError(
            f"hub: a local folder is required, got {repo!r} (programs are not downloaded and run: clone it, and pass "
            "source='local')"
        )
    path = os.path.join(repo, "hubconf.py")
    spec = importlib.util.spec_from_file_location("hubconf", path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        raise ValueError(f"hub: a folder with hubconf.py is required, got {repo!r}")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, repo)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(repo)
    return module


def _entry(repo: str, model: str, source: str) -> Any:
    found = getattr(_hubconf(repo, source), model, None)
    if not callable(found):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return found


def load(
    repo_or_dir: str,
    model: str,
    *args: Any,
    source: str = "github",
    trust_repo: Any = None,
    force_reload: bool = False,
    verbose: bool = True,
    skip_validation: bool = False,
    **kwargs: Any,
) -> Any:
    """model(*args, **kwargs) of the hubconf.py in a local folder. Like torch.hub.load, which can also download programs."""
    return _entry(repo_or_dir, model, source)(*args, **kwargs)


def help(
    github: str,
    model: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: Any = None,
    source: str = "github",
) -> str | None:
    """The docstring of a model."""
    doc: str | None = _entry(github, model, source).__doc__
    return doc


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: Any = None,
    verbose: bool = True,
    source: str = "github",
) -> Any:
    """The names of the models."""
    module = _hubconf(github, source)
    return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]
