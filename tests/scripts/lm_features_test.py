"""A predictor with a language model: trained, carried about, and used again, run as a whole."""

import csv
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

PROGRAM = os.environ["AGON_PROGRAM"]
DATA = Path(__file__).resolve().parents[1] / "data"
VOTES = DATA / "votes/lmsys_sample.csv"


def agon(*words, cwd, expect=0):
    run = subprocess.run([PROGRAM, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=500)
    assert run.returncode == expect, (words, run.returncode, run.stderr)
    return run


class LmFeatures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = Path(cls.temporary.name)
        agon("model", "convert", "--from", "llama2c", DATA / "models/stories260K.bin", DATA / "models/tok512.bin", "-o", "s.gguf",
             cwd=cls.folder)
        cls.lm = ["--lm", "s.gguf", "--lm-template", "chatml", "--lm-cache", "cache", "--lm-prompt-tokens", 16,
                  "--lm-answer-tokens", 32]
        # A model of 260,000 parameters brings nothing to 60 votes: it is kept for what is tested here.
        cls.lm.append("--lm-keep-all")
        cls.trained = agon("train", VOTES, *cls.lm, "--lm-blocks", "states,likelihood", "-o", "p.agon", "--html", "r.html",
                           "--json", "r.json", cwd=cls.folder)

    def test_training_says_what_the_model_brought(self):
        self.assertIn("The language model s.gguf; without it the log loss is", self.trained.stdout)
        for block in ("states", "likelihood", "all"):
            self.assertRegex(self.trained.stdout, rf"\n  {block}: [+-]\d\.\d{{4}} ± \d\.\d{{4}} log loss")
        self.assertIn("votes anew", self.trained.stdout)
        page = (self.folder / "r.html").read_text()
        self.assertIn("What the language model brought", page)
        self.assertIn("Seconds a vote", page)
        self.assertRegex(self.trained.stdout, r"\n  seconds a vote: states \d\.\d{3}, likelihood \d\.\d{3}\n")
        self.assertIn("brought by the language model", (self.folder / "r.json").read_text())
        card = agon("info", "p.agon", cwd=self.folder).stdout
        self.assertIn("language model reads", card)

    def test_a_second_training_reads_nothing_and_gives_the_same_bytes(self):
        again = agon("train", VOTES, *self.lm, "--lm-blocks", "states,likelihood", "-o", "again.agon", "--html", "r2.html", "--json",
                     "r2.json", cwd=self.folder)
        self.assertNotIn("votes anew", again.stdout)
        first = agon("predict", "p.agon", VOTES, cwd=self.folder).stdout
        self.assertEqual(agon("predict", "again.agon", VOTES, cwd=self.folder).stdout, first)

    def test_predictions_find_the_model_file(self):
        rows = list(csv.DictReader(agon("predict", "p.agon", VOTES, "--lm-cache", "none", cwd=self.folder).stdout.splitlines()))
        self.assertGreater(len(rows), 10)
        kept = agon("predict", "p.agon", VOTES, "--lm-cache", "cache", cwd=self.folder).stdout
        self.assertEqual(list(csv.DictReader(kept.splitlines())), rows)
        evaluated = agon("evaluate", "p.agon", VOTES, "--lm-cache", "cache", "--html", "e.html", cwd=self.folder)
        self.assertIn("The language model s.gguf; without it", evaluated.stdout)
        self.assertIn("What the language model brought", (self.folder / "e.html").read_text())
        with tempfile.TemporaryDirectory() as other:
            shutil.copy(self.folder / "p.agon", other)
            missing = agon("predict", "p.agon", VOTES, cwd=other, expect=1)
            self.assertIn("needs the language model s.gguf", missing.stderr)
            self.assertIn("SHA-256", missing.stderr)
            shutil.copy(self.folder / "s.gguf", other)
            there = agon("predict", "p.agon", VOTES, "--lm-cache", "none", cwd=other).stdout
            self.assertEqual(list(csv.DictReader(there.splitlines())), rows)
            # Under another name it is found by its size and hash, whatever else lies about.
            Path(other, "a.gguf").write_bytes(b"x" * Path(other, "s.gguf").stat().st_size)
            Path(other, "s.gguf").rename(Path(other, "renamed.bin"))
            renamed = agon("predict", "p.agon", VOTES, "--lm-cache", "none", cwd=other).stdout
            self.assertEqual(list(csv.DictReader(renamed.splitlines())), rows)
            Path(other, "renamed.bin").rename(Path(other, "s.gguf"))
            with open(Path(other, "s.gguf"), "r+b") as file:
                file.seek(-1, 2)
                file.write(b"x")
            changed = agon("predict", "p.agon", VOTES, cwd=other, expect=1)
            self.assertIn("not the language model that the predictor was trained with", changed.stderr)
            given = agon("predict", "p.agon", VOTES, "--lm", self.folder / "s.gguf", "--lm-cache", "none", cwd=other).stdout
            self.assertEqual(list(csv.DictReader(given.splitlines())), rows)
            agon("predict", "p.agon", VOTES, "--lm", "s.gguf", cwd=other, expect=1)

    def test_a_model_that_brings_nothing_is_left_out(self):
        words = ["--lm", "s.gguf", "--lm-template", "chatml", "--lm-cache", "cache", "--lm-prompt-tokens", 16, "--lm-answer-tokens", 32]
        trained = agon("train", VOTES, *words, "--lm-blocks", "likelihood", "-o", "none.agon", cwd=self.folder)
        self.assertRegex(trained.stdout, r"likelihood: \+\d\.\d{4} ")
        said = "likelihood: brought nothing on rows that were held out"
        self.assertIn(f"left out of the predictor: {said}", trained.stdout)
        self.assertIn(said, agon("info", "none.agon", cwd=self.folder).stdout)
        rows = agon("predict", "none.agon", VOTES, cwd=self.folder).stdout
        given = agon("predict", "none.agon", VOTES, "--lm", "s.gguf", cwd=self.folder)
        self.assertEqual(given.stdout, rows)
        self.assertIn(f"does without a language model ({said}): --lm is not read", given.stderr)
        self.assertEqual(agon("predict", "none.agon", VOTES, "--lm", "s.gguf", "-q", cwd=self.folder).stderr, "")

    def test_bad_calls(self):
        for words, said in (
            (["--lm", "s.gguf", "--lm-blocks", "states,soul"], "no block 'soul'"),
            (["--lm", "s.gguf", "--lm-layers", "1,x"], "'x' is no layer"),
            (["--lm", "s.gguf", "--lm-layers", "6"], "has no layer 6"),
            (["--lm-layers", "2"], "--lm-layers without a language model"),
            (["--lm-keep-all"], "--lm-keep-all without a language model"),
            (["--lm", "s.gguf", "--lm-blocks", "reward"], "s.gguf does not give the block 'reward' (expected a reward model"),
            (["--lm", "s.gguf", "--name", "m"], "--name is for remote models"),
            (["--lm", "http://127.0.0.1:9/v1", "--lm-layers", "2"], "--lm-layers is for model files"),
        ):
            run = agon("train", VOTES, *words, cwd=self.folder, expect=2)
            self.assertIn(said, run.stderr)
        agon("train", VOTES, "--lm", "none.gguf", cwd=self.folder, expect=1)
        plain = agon("train", VOTES, "--no-cv", "-o", "plain.agon", cwd=self.folder)
        self.assertEqual(plain.returncode, 0)
        agon("predict", "plain.agon", VOTES, "--lm", "s.gguf", cwd=self.folder, expect=2)

    def test_a_damaged_row_of_the_cache_is_read_anew(self):
        shutil.copytree(self.folder / "cache", self.folder / "damaged")
        for path in (self.folder / "damaged").iterdir():
            content = bytearray(path.read_bytes())
            content[-9] ^= 1
            path.write_bytes(content)
        words = [VOTES, *self.lm[:4], "--lm-keep-all", "--lm-cache", "damaged", "--lm-prompt-tokens", 16, "--lm-answer-tokens", 32, "--lm-blocks",
                 "states,likelihood", "--no-cv", "-o", "mended.agon"]
        agon("train", *words, cwd=self.folder)
        agon("predict", "mended.agon", VOTES, "--lm-cache", "none", cwd=self.folder)
        for path in (self.folder / "damaged").iterdir():
            content, rows = path.read_bytes(), (self.folder / "cache" / path.name).read_bytes()
            self.assertEqual(content[: len(rows) - 9], rows[:-9])
            # The last record again, whole.
            self.assertGreater(len(content), len(rows))
            self.assertEqual(content[-9:], rows[-9:])


if __name__ == "__main__":
    unittest.main()
