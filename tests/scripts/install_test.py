"""An install can be moved, runs from where it lies, and serves another project's find_package."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ["AGON_BUILD"])
VOTES = ROOT / "data/votes/lmsys_arena_1500.csv.gz"
FEW_VOTES = ROOT / "tests/data/votes/lmsys_sample.csv"
TEST_ROWS = ROOT / "data/votes/lmsys_test_3.csv"


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        first = Path(cls.folder.name, "first")
        run("cmake", "--install", BUILD, "--prefix", first)
        # Moved, so that a path of the first place that was baked in somewhere can't work any more.
        cls.prefix = Path(cls.folder.name, "moved to", "a place")
        cls.prefix.parent.mkdir()
        shutil.move(first, cls.prefix)
        cls.default_model = cls.prefix / "share/agon/default.agon"
        if os.environ.get("AGON_DEFAULT_MODEL") == "0":
            # Builds with sanitizers come without one, since training it would take them minutes.
            if cls.default_model.exists():
                raise AssertionError("a default model was installed that this build does not make")
            run(cls.prefix / "bin/agon", "train", FEW_VOTES, "--no-cv", "--quiet", "-o", cls.default_model)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_everything_is_there(self):
        for name in (
            "bin/agon",
            "include/agon/data/vote.h",
            "share/agon/default.agon",
            "share/agon/ratings/arena_2024-08-14.csv",
            "share/doc/agon/LICENSE",
            "share/doc/agon/NOTICE",
            "share/man/man1/agon.1",
            "share/bash-completion/completions/agon",
            "share/zsh/site-functions/_agon",
            "share/fish/vendor_completions.d/agon.fish",
        ):
            self.assertTrue((self.prefix / name).is_file(), name)
            self.assertGreater((self.prefix / name).stat().st_size, 0, name)
        # Tests and sources are nobody's business after the install.
        strays = [path for path in self.prefix.rglob("*") if path.suffix == ".cpp" or path.stem.endswith("_test")]
        self.assertEqual(strays, [])

    def test_no_path_of_the_build_is_baked_in(self):
        for path in (self.prefix / "lib").rglob("*.cmake"):
            text = path.read_text(encoding="utf-8")
            self.assertNotIn(str(BUILD), text, path.name)
            self.assertNotIn(str(ROOT), text, path.name)

    def test_moved_program_runs(self):
        program = self.prefix / "bin/agon"
        empty = {"PATH": "/usr/bin:/bin", "HOME": self.folder.name}
        self.assertIn("agon", run(program, "--version", env=empty))
        with tempfile.TemporaryDirectory() as out:
            run(program, "predict", "default", TEST_ROWS, "-o", f"{out}/s.csv", env=empty, cwd="/")
            lines = Path(out, "s.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(lines[0], "id,winner_model_a,winner_model_b,winner_tie")
        self.assertEqual([line.split(",")[0] for line in lines[1:]], ["136060", "211333", "1233961"])

    def test_example_builds_against_the_install(self):
        source, build = ROOT / "examples/use_library", Path(self.folder.name, "example")
        compiler = os.environ.get("AGON_COMPILER", "c++")
        sanitize = os.environ.get("AGON_SANITIZE", "")
        flags = f"-fsanitize={sanitize}" if sanitize else ""
        run("cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_FLAGS={flags}", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", build)
        out = run(build / "use_library", VOTES)
        # The shares of the 1,500 votes, counted independently of the library.
        self.assertEqual(out.splitlines()[:4], EXPECTED_SHARES)


EXPECTED_SHARES = ["1500 votes", "A preferred  34.5 %", "B preferred  35.1 %", "tie          30.4 %"]

if __name__ == "__main__":
    unittest.main()
