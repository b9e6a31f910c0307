"""From JSON lines to a Markdown table.

`python -m bench.compare run.jsonl` prints the table of a run (`python -m bench --json run.jsonl`);
`python -m bench.compare before.jsonl after.jsonl` prints how our own figures changed between two runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.machine import floor

NOTICEABLE = 0.25  # cores that others used meanwhile, worth a word beside the figures

Record = dict[str, Any]
Row = list[str]


def table(machine: Record, records: Iterable[Record]) -> str:
    """The machine's line, then one row per bench: ratio, times, target, share of the floor."""
    names = machine["frameworks"]
    ours, others = names[0], names[1:]
    head = ["bench", *(f"{ours} / {o}" for o in others), *names, "target", "of the floor"]
    rows = [row(machine, record) for record in records]
    return f"{machine_line(machine)}\n\n{_markdown(head, rows)}"


def row(machine: Record, record: Record) -> Row:
    """The cells of one bench."""
    ours, *others = record["sides"]
    times = [_figure(ours, record["unit"])]
    ratios = []
    for name in machine["frameworks"][1:]:
        ratio = record["ratios"].get(name)
        if ratio is None:
            ratios.append("")
        else:
            low, high = ratio["quartiles"]
            ratios.append(f"**{ratio['median']:.2f}** ({low:.2f} to {high:.2f})")
        times.append(_figure(next((side for side in others if side["name"] == name), None), record["unit"]))
    name = f"`{record['bench']}`"
    if record.get("others", 0) > NOTICEABLE:
        name += f" (other processes: {record['others']:.1f} cores)"
    return [name, *ratios, *times, _target(machine, record), _share_text(machine, record)]


def machine_line(machine: Record) -> str:
    """CPU, threads, load, peaks and versions in one line."""
    peak = machine["peaks"]
    moved = ", ".join(f"{rate:.0f} in {_bytes(int(size))}" for size, rate in peak["bandwidth"].items())
    versions = ", ".join(f"{name} {about['version']}" for name, about in machine["about"].items())
    load = "" if machine["load"] is None else f", load {machine['load']:.2f} before"
    if machine.get("load_at_end") is not None:
        load += f" and {machine['load_at_end']:.2f} after"
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads{load}. "
        f"Measured peaks ({peak['source']}): {peak['gflops']:.0f} GFLOP/s fp32, "
        f"GB/s by working set: {moved}. {versions}, Python {machine['python']}. "
        f"Medians of {machine['rounds']} turns; in brackets the quartiles."
    )


def share(machine: Record, record: Record) -> float | None:
    """How near our time is to the least the machine can do (1 = at the floor)."""
    least = floor(machine["peaks"], record["flops"], record["bytes"])
    ours = record["sides"][0].get("median")
    return least / ours if least and ours else None


def met(machine: Record, record: Record) -> bool | None:
    """Whether the target was reached; None if nothing was measured that could say so."""
    target = record["target"]
    verdicts = []
    if "ratio" in target and record["ratios"]:
        verdicts.append(next(iter(record["ratios"].values()))["median"] <= target["ratio"])
    if "at_most" in target and "median" in record["sides"][0]:
        verdicts.append(record["sides"][0]["median"] <= target["at_most"])
    if "share" in target and (reached := share(machine, record)) is not None:
        verdicts.append(reached >= target["share"])
    return all(verdicts) if verdicts else None


def changes(before: Iterable[Record], after: Iterable[Record]) -> str:
    """Our figures of two runs side by side."""
    old = {record["bench"]: record for record in before}
    rows = []
    for record in after:
        a, b = old.get(record["bench"], {}).get("sides", [{}])[0], record["sides"][0]
        if "median" in a and "median" in b:
            figures = [_figure(a, record["unit"]), _figure(b, record["unit"])]
            rows.append([f"`{record['bench']}`", f"**{b['median'] / a['median']:.2f}**", *figures])
    return _markdown(["bench", "after / before", "before", "after"], rows)


def load(path: str) -> tuple[Record, list[Record]]:
    """The machine's record and the benches' records of a file."""
    machine, *records = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return machine, records


def _target(machine: Record, record: Record) -> str:
    target = record["target"]
    parts = []
    if "ratio" in target:
        parts.append(f"ratio {target['ratio']:g}")
    if "at_most" in target:
        parts.append(_amount(target["at_most"], record["unit"]))
    if "share" in target:
        parts.append(f"{target['share']:.0%} of the floor")
    mark = {True: " (met)", False: " (missed)", None: ""}[met(machine, record)]
    return ", ".join(parts) + mark if parts else ""


def _share_text(machine: Record, record: Record) -> str:
    reached = share(machine, record)
    return "" if reached is None else f"{reached:.0%}"


def _figure(side: Record | None, unit: str) -> str:
    if side is None:
        return ""
    if "error" in side:
        return "failed: " + side["error"].replace("|", "\\|").replace("\n", " ")[:100]
    text = _amount(side["median"], unit)
    if details := side.get("details"):
        if "quiet" in details[0]:
            quiet, busy = (sorted(d[k] for d in details)[len(details) // 2] for k in ("quiet", "busy"))
            text += f" ({_amount(quiet, 's')} to {_amount(busy, 's')})"
    return text


def _amount(value: float, unit: str) -> str:
    if unit != "s":
        return f"{value:.3g} {unit}"
    for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value * 1e9:.3g} ns"


def _bytes(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"


def _markdown(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    if len(sys.argv) == 2:
        print(table(*load(sys.argv[1])))
    elif len(sys.argv) == 3:
        print(changes(load(sys.argv[1])[1], load(sys.argv[2])[1]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
