"""`agon rank` beside the programs that people use, on the real votes of August 2024: where they reach the optimum
they have to agree with it, and where they do not, by as much as their own choices explain.

Every fit has half-win ties. Peers are those of bench/peer_rank.py, installed from PyPI at pinned versions:

- evalica iterates to a fixed point, choix solves a Markov chain over and over: both get tolerances that lead to the
  optimum, and have to be within 1e-6 points of agon.
- arena-rank stops L-BFGS once the loss a vote changes by less than a part in 1e9, tenths of a point from the optimum;
  one Newton step by the exact likelihood from where it stopped has to reach agon's ratings. Its sandwich adds 1e-5
  times the number of votes to the Hessian's diagonal, which narrows every interval, most where votes are few; the
  same sum, made here from the counts, has to give its intervals, and without that ridge agon's.
- FastChat writes every vote twice, splits ties over the copies and leaves scikit-learn's L2 penalty on, of 1/2 on
  squares of strengths in units of ln 10. That is a ridge of 1 / (2 ln(10)^2), which agon can have too. It stops when
  the mean gradient is below 1e-4, which is tens of points for a model with few votes: the gradient at its ratings has
  to be below that, and Newton steps from there have to reach agon's optimum with that ridge. Its module is installed alone (without what
  its chat server needs) and on 100,000 votes, since it makes a dense matrix of votes by models; the package has no
  later release than 0.2.36, so where that can't be installed any more its test is skipped and says so.
"""

import gzip
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from rank_runs import COUNTS, ROOT, agon

sys.path.insert(0, str(ROOT / "bench"))
from common import peer_python  # noqa: E402

SCALE = 400 / math.log(10)
LABELS = ("model_a", "model_b", "tie", "tie (bothbad)")
FASTCHAT = "fschat==0.2.36"
Z = 1.959963984540054


def solve(matrix, rights):
    """x with matrix x = right for every right: Gauss and Jordan, with pivots by size."""
    n = len(matrix)
    rows = [list(row) + [right[i] for right in rights] for i, row in enumerate(matrix)]
    for k in range(n):
        pivot = max(range(k, n), key=lambda r: abs(rows[r][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        inverse = 1 / rows[k][k]
        lead = rows[k] = [x * inverse for x in rows[k]]
        for r in range(n):
            factor = rows[r][k]
            if r != k and factor:
                rows[r] = [x - factor * y for x, y in zip(rows[r], lead)]
    return [[rows[i][n + k] for i in range(n)] for k in range(len(rights))]


class Likelihood:
    """Bradley-Terry with half-win ties, written out from counts {(a, b): [a wins, b wins, ties]}."""

    def __init__(self, counts, names):
        self.names = names
        number = {name: i for i, name in enumerate(names)}
        self.cells = [(number[a], number[b], w) for (a, b), w in counts.items()]
        self.votes = sum(sum(w) for _, _, w in self.cells)

    def derivatives(self, strengths, ridge=0.0):
        """Gradient, Hessian and the sum of squared scores of the negative log-likelihood."""
        n = len(strengths)
        gradient = [ridge * s for s in strengths]
        hessian = [[0.0] * n for _ in range(n)]
        meat = [[0.0] * n for _ in range(n)]
        for i in range(n):
            hessian[i][i] = ridge
        for a, b, (wins, losses, ties) in self.cells:
            p = 1 / (1 + math.exp(strengths[b] - strengths[a]))
            total = wins + losses + ties
            g = total * p - (wins + ties / 2)
            gradient[a] += g
            gradient[b] -= g
            h = total * p * (1 - p)
            m = wins * (1 - p) ** 2 + losses * p**2 + ties * (0.5 - p) ** 2
            for matrix, value in ((hessian, h), (meat, m)):
                matrix[a][a] += value
                matrix[b][b] += value
                matrix[a][b] -= value
                matrix[b][a] -= value
        return gradient, hessian, meat

    def newton(self, strengths, ridge=0.0):
        """One Newton step from some strengths; moved to sum zero unless a ridge decides their sum."""
        gradient, hessian, _ = self.derivatives(strengths, ridge)
        n = len(strengths)
        if ridge == 0:  # regular along the one direction that the likelihood doesn't see
            kappa = sum(hessian[i][i] for i in range(n)) / n / n
            hessian = [[x + kappa for x in row] for row in hessian]
        step = solve(hessian, [gradient])[0]
        return [s - d for s, d in zip(strengths, step)]

    def standard_errors(self, strengths, ridge):
        """Of the sandwich (H + ridge)^-1 M (H + ridge)^-1; ridge 0: with the pseudo-inverse of H."""
        _, hessian, meat = self.derivatives(strengths)
        n = len(strengths)
        kappa = sum(hessian[i][i] for i in range(n)) / n / n if ridge == 0 else 0
        regular = [[x + kappa + (ridge if i == j else 0) for j, x in enumerate(row)] for i, row in enumerate(hessian)]
        # Symmetric: column k of the inverse is its row k. The gauge's part of it meets rows of M that sum to zero.
        inverse = solve(regular, [[float(i == k) for i in range(n)] for k in range(n)])
        if ridge == 0:
            for row in inverse:
                mean = sum(row) / n
                row[:] = [x - mean for x in row]
        out = []
        for row in inverse:
            half = [sum(m * x for m, x in zip(meat_row, row)) for meat_row in meat]
            out.append(math.sqrt(sum(x * y for x, y in zip(half, row))))
        return out


def centred(values):
    mean = sum(values) / len(values)
    return [v - mean for v in values]


def largest_gap(a, b):
    return max(abs(x - y) for x, y in zip(centred(a), centred(b)))


class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.folder = Path(cls.scratch.name)
        cls.python = peer_python(Path(os.environ["AGON_BUILD"]), "peer_rank", "requirements_rank.txt")
        with gzip.open(COUNTS, "rt", encoding="utf-8") as file:
            source = json.load(file)
        names = source["models"]
        rows = []
        for (a, b), counts in zip(source["X"], source["Y"], strict=True):
            for label, count in zip(LABELS, counts):
                rows += [(names[a], names[b], label)] * count
        random.Random(1).shuffle(rows)
        cls.rows = rows
        cls.all = cls.write("all.csv", rows)

    @classmethod
    def write(cls, name, rows):
        path = cls.folder / name
        path.write_text("model_a,model_b,winner\n" + "".join(f"{a},{b},{w}\n" for a, b, w in rows), encoding="utf-8")
        return path

    def agon(self, battles, *options):
        out = self.folder / "board.json"
        run = agon("rank", battles, "-q", "-o", out, *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        board = json.loads(out.read_text())["board"]
        self.assertTrue(board["converged"])
        return {row["model"]: row for row in board["models"]}

    def peer(self, name, battles):
        out = self.folder / "peer.json"
        run = subprocess.run([self.python, ROOT / "bench/peer_rank.py", name, battles, out], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(out.read_text())

    def both(self, ours, theirs):
        """Ratings of the same models in the same order."""
        self.assertEqual(sorted(ours), sorted(theirs["ratings"]))
        names = sorted(ours)
        return names, [ours[n]["rating"] for n in names], [theirs["ratings"][n][0] for n in names]

    def likelihood(self, rows, names):
        counts = {}
        for a, b, label in rows:
            counts.setdefault((a, b), [0, 0, 0])[min(LABELS.index(label), 2)] += 1
        return Likelihood(counts, names)

    def test_evalica_reaches_the_optimum(self):
        theirs = self.peer("evalica", self.all)
        self.assertFalse(theirs["stopped"])
        _, ours, other = self.both(self.agon(self.all), theirs)
        self.assertLess(largest_gap(ours, other), 1e-6)

    def test_choix_reaches_the_optimum(self):
        _, ours, other = self.both(self.agon(self.all), self.peer("choix", self.all))
        self.assertLess(largest_gap(ours, other), 1e-6)

    def test_arena_rank_is_off_by_its_tolerance_and_its_ridge(self):
        board, theirs = self.agon(self.all), self.peer("arena-rank", self.all)
        names, ours, other = self.both(board, theirs)
        exact = self.likelihood(self.rows, names)
        off = largest_gap(ours, other)
        self.assertLess(off, 1)  # points
        finished = [SCALE * s for s in exact.newton([r / SCALE for r in centred(other)])]
        # Newton's method squares the error, in units of log odds.
        self.assertLess(largest_gap(ours, finished), 2 * off**2 / SCALE + 1e-6)

        plain = exact.standard_errors([r / SCALE for r in centred(ours)], 0)
        ridged = exact.standard_errors([r / SCALE for r in centred(other)], 1e-5 * exact.votes)
        for i, name in enumerate(names):
            _, low, high = theirs["ratings"][name]
            self.assertAlmostEqual(ridged[i] * SCALE * 2 * Z / (high - low), 1, places=6, msg=name)
            self.assertAlmostEqual(plain[i] * SCALE / board[name]["se"], 1, places=6, msg=name)
            # It only ever narrows, by 6 % at most on these votes.
            self.assertTrue(0.93 < ridged[i] / plain[i] < 1, name)

    def test_fastchat_is_off_by_its_penalty_and_its_tolerance(self):
        install = subprocess.run([self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                                  FASTCHAT], capture_output=True, text=True)
        if install.returncode != 0:
            self.skipTest(f"{FASTCHAT} cannot be installed: {install.stderr[-300:]}")
        rows = self.rows[:100_000]
        battles = self.write("some.csv", rows)
        theirs = self.peer("fastchat", battles)
        ridge = 1 / (2 * math.log(10) ** 2)
        names, ours, other = self.both(self.agon(battles, "--ridge", repr(ridge)), theirs)
        exact = self.likelihood(rows, names)
        # The ridge makes the strengths sum to zero; FastChat then moves all ratings by a constant.
        strengths = [r / SCALE for r in centred(other)]
        gradient, _, _ = exact.derivatives(strengths, ridge)
        # A unit of its coefficients is ln 10 of a strength, and twice the votes are among twice the rows.
        self.assertLess(max(map(abs, gradient)) * math.log(10) / exact.votes, 1.01e-4)
        for _ in range(5):
            strengths = exact.newton(strengths, ridge)
        self.assertLess(largest_gap(ours, [SCALE * s for s in strengths]), 1e-6)
        _, free, _ = self.both(self.agon(battles), theirs)
        self.assertGreater(largest_gap(free, ours), 0.1)  # what the penalty does, and nobody says


if __name__ == "__main__":
    unittest.main()
