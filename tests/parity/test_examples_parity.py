"""The examples print what they print under PyTorch: the same script, seed and data, to 2 in the last digit."""

import re
from pathlib import Path

import pytest
from test_examples import EXAMPLES, NUMBER, run

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

# Elsewhere text is sampled, dropout draws other masks, or batch norm of few images amplifies rounding.
ALIKE = [path for path in EXAMPLES if path.stem[:2] in ("03", "07", "09", "12")]


@pytest.mark.parametrize("path", ALIKE, ids=lambda path: path.stem)
def test_same_figures(path, tmp_path):
    arguments = [path, "--quick", "--out", tmp_path]
    ours, theirs = run("-m", "pynn", "run", *arguments), run(*arguments)
    ours, theirs = (
        [line for line in out.splitlines() if re.search(r"loss|accuracy|%", line)] for out in (ours, theirs)
    )
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs):
        assert NUMBER.sub("_", a) == NUMBER.sub("_", b)
        for x, y in zip(NUMBER.findall(a), NUMBER.findall(b)):
            assert float(x) == pytest.approx(float(y), abs=2 * 10.0 ** -len(Path(y).suffix[1:])), (a, b)
