"""agon model convert and agon info on language models, run as a whole."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

PROGRAM = os.environ["AGON_PROGRAM"]
MODELS = Path(__file__).resolve().parents[1] / "data/models"
STORIES, VOCABULARY = MODELS / "stories260K.bin", MODELS / "tok512.bin"


def agon(*words, cwd):
    return subprocess.run([PROGRAM, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=100)


class ModelVerbs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def convert(self, *more):
        return agon("model", "convert", "--from", "llama2c", STORIES, VOCABULARY, "-o", "s.gguf", *more, cwd=self.folder)

    def test_convert_and_info(self):
        run = self.convert()
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))
        info = agon("info", "s.gguf", "--context", 100, cwd=self.folder)
        self.assertEqual(info.returncode, 0, info.stderr)
        rows = [line.split() for line in info.stdout.splitlines()]
        self.assertIn(["architecture", "llama"], rows)
        self.assertIn(["parameters", "260,032"], rows)
        self.assertIn(["F32", "47", "260,032", "1015.8", "KiB", "32.00"], rows)
        # 5 layers, 4 heads, keys and values filled up to 16 numbers of 4 bytes: 2,560 bytes a token.
        self.assertIn("keys and values of 100 tokens, F32 250.0 KiB".split(), rows)

    def test_convert_rounds(self):
        self.assertEqual(self.convert("--format", "Q8_0").returncode, 0)
        info = agon("info", "s.gguf", cwd=self.folder).stdout
        self.assertRegex(info, r"\nQ8_0 +31 ")

    def test_bad_calls(self):
        run = self.convert("--format", "Q9")
        self.assertEqual(run.returncode, 2)
        self.assertIn("there is no format 'Q9'", run.stderr)
        run = agon("model", "convert", "--from", "llama2c", VOCABULARY, STORIES, "-o", "s.gguf", cwd=self.folder)
        self.assertEqual(run.returncode, 1)
        self.assertIn("tok512.bin", run.stderr)
        self.assertEqual(agon("model", "convert", "--from", "onnx", STORIES, VOCABULARY, "-o", "s.gguf", cwd=self.folder).returncode, 2)
        self.assertEqual(agon("model", cwd=self.folder).returncode, 2)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_info_of_damaged_files(self):
        self.convert()
        good = (self.folder / "s.gguf").read_bytes()
        for name, content, said in (
            ("cut", good[:-40000], "is the file whole?"),
            ("header", good[:3000], "cannot fit into the 2397 bytes"),
            ("magic", good[:4], "the file ends inside the version"),
        ):
            with self.subTest(name):
                (self.folder / name).write_bytes(content)
                run = agon("info", name, cwd=self.folder)
                self.assertEqual(run.returncode, 1)
                self.assertRegex(run.stderr, rf"{name}: byte \d+: .*{said}")
        (self.folder / "text").write_text("GG")
        self.assertEqual(agon("info", "text", cwd=self.folder).returncode, 1)
        self.assertEqual(agon("info", "text", "--context", 5, cwd=self.folder).returncode, 2)


if __name__ == "__main__":
    unittest.main()
