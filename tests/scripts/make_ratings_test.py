"""The bundled ratings are what the script makes of the bundled counts, and the fit is right."""

import gzip
import json
import math
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import make_ratings  # noqa: E402

COUNTS = ROOT / "data/battles/arena_2024-08-14_pair_counts.json.gz"
RATINGS = ROOT / "data/ratings/arena_2024-08-14.csv"


class MakeRatings(unittest.TestCase):
    def test_two_models_have_a_closed_form(self):
        counts = {"models": ["x", "y"], "X": [[0, 1]], "Y": [[60, 20, 10, 10]]}
        rated = make_ratings.ratings(counts, "y", 1000)
        self.assertAlmostEqual(rated["x"], 1000 + 400 * math.log10(70 / 30), places=9)
        self.assertEqual(rated["y"], 1000)

    def test_a_balanced_ring_is_level(self):
        counts = {"models": list("abc"), "X": [[0, 1], [1, 2], [0, 2]], "Y": [[9, 1, 0, 0], [9, 1, 0, 0], [1, 9, 0, 0]]}
        for rating in make_ratings.ratings(counts, "a", 0).values():
            self.assertAlmostEqual(rating, 0, places=9)

    def test_unlinked_models_are_refused(self):
        counts = {"models": list("abcd"), "X": [[0, 1], [2, 3]], "Y": [[5, 5, 0, 0], [5, 5, 0, 0]]}
        with self.assertRaises(ValueError):
            make_ratings.ratings(counts, "a", 0)

    def test_bundled_ratings(self):
        with gzip.open(COUNTS, "rt", encoding="utf-8") as file:
            counts = json.load(file)
        rated = make_ratings.ratings(counts, "mixtral-8x7b-instruct-v0.1", 1114)
        # Figures of an independent fit of the same counts.
        self.assertAlmostEqual(rated["chatgpt-4o-latest"], 1315.156092, delta=1e-5)
        self.assertAlmostEqual(rated["gpt-4o-2024-05-13"], 1285.827775, delta=1e-5)
        # At the maximum, every model's expected score is its observed one.
        score = dict.fromkeys(counts["models"], 0.0)
        for (i, j), (wins, losses, ties, both_bad) in zip(counts["X"], counts["Y"]):
            a, b = counts["models"][i], counts["models"][j]
            n = wins + losses + ties + both_bad
            expected = n / (1 + 10 ** ((rated[b] - rated[a]) / 400))
            score[a] += wins + (ties + both_bad) / 2 - expected
            score[b] -= wins + (ties + both_bad) / 2 - expected
        self.assertLess(max(map(abs, score.values())), 1e-4)
        # The last digit printed may fall either way between versions of the C library.
        lines = RATINGS.read_text(encoding="utf-8").splitlines()
        self.assertEqual(lines[0], "model,rating")
        self.assertEqual(len(lines), 1 + len(rated))
        for line in lines[1:]:
            name, rating = line.rsplit(",", 1)
            self.assertAlmostEqual(rated[name], float(rating), delta=2e-6)


if __name__ == "__main__":
    unittest.main()
