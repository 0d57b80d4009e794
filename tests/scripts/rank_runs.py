"""What the tests of `agon rank` share: running it, a folder of scratch, small files of votes."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

PROGRAM = os.environ["AGON_PROGRAM"]
ROOT = Path(__file__).resolve().parents[2]
COUNTS = ROOT / "data/battles/arena_2024-08-14_pair_counts.json.gz"
HEADER = "model_a,model_b,winner\n"
ROUND = HEADER + "a,b,model_a\nb,c,model_a\nc,a,model_a\na,b,tie\n" * 5


def agon(*words, cwd=None, stdin=""):
    return subprocess.run([PROGRAM, *map(str, words)], cwd=cwd, input=stdin, capture_output=True, text=True, timeout=300)


class RankRuns(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def path(self, name, content):
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return path

    def fails(self, code, *words, **more):
        run = agon("rank", *words, **more)
        self.assertEqual((run.returncode, run.stdout), (code, ""), run.stdout + run.stderr)
        return run.stderr
