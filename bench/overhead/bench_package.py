"""The package as a whole: time to import it, memory it takes, disk it takes."""

import subprocess
import sys
import tempfile
import time

from bench.registry import bench
from bench.worker import environment

_RESIDENT = """
import os, sys, {framework}
try:
    with open("/proc/self/statm") as f: pages = int(f.read().split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE")
except OSError:
    import psutil
    resident = psutil.Process().memory_info().rss
print(resident / 1e6)
"""

_SIZE = """
import importlib.util, os, zlib
installed = packed = 0
for folder in importlib.util.find_spec("{framework}").submodule_search_locations:
    for place, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if f != "__pycache__"]
        for name in files:
            path = os.path.join(place, name)
            installed += os.path.getsize(path)
            if {packed}:
                deflate = zlib.compressobj()
                with open(path, "rb") as file:
                    while block := file.read(1 << 20): packed += len(deflate.compress(block))
                packed += len(deflate.flush())
print((packed if {packed} else installed) / 1e6)
"""


@bench(kind="process", ratio=None, at_most=0.06, rounds=7)
def import_whole_process(fresh):
    """From starting the interpreter to its end."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", f"import {fresh.framework}"]
        start = time.perf_counter()
        subprocess.run(command, env=environment(fresh.threads), cwd=folder, check=True)
        return time.perf_counter() - start


@bench(kind="process", unit="MB", ratio=None, at_most=30, rounds=3)
def resident_after_import(fresh):
    return float(fresh.python(_RESIDENT.format(framework=fresh.framework)))


@bench(kind="process", unit="MB", ratio=None, rounds=1)
def installed_size(fresh):
    return float(fresh.python(_SIZE.format(framework=fresh.framework, packed=False)))


# A wheel is a deflated archive of those files.
@bench(kind="process", unit="MB", ratio=None, at_most=10, rounds=1, quick=False)
def wheel_size(fresh):
    return float(fresh.python(_SIZE.format(framework=fresh.framework, packed=True)))
