"""Every header compiles alone: it includes what it uses, and asks for no other include before it."""

import concurrent.futures
import os
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("AGON_COMPILER", "c++")


def compile_alone(header, source_root):
    """The compiler's complaints about a file that includes `header` and nothing else; empty when none."""
    name = header.relative_to(source_root)
    run = subprocess.run(
        [COMPILER, "-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{source_root}", "-x", "c++", "-"],
        input=f'#include "{name}"\n#include "{name}"\n',
        capture_output=True,
        text=True,
    )
    return run.stderr.strip() or ("" if run.returncode == 0 else f"the compiler ended with {run.returncode}")


class Headers(unittest.TestCase):
    def test_each_compiles_alone(self):
        source_root = ROOT / "src"
        headers = sorted(source_root.rglob("*.h"))
        self.assertGreater(len(headers), 10)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for header, errors in zip(headers, pool.map(lambda h: compile_alone(h, source_root), headers)):
                with self.subTest(header=str(header.relative_to(ROOT))):
                    self.assertEqual(errors, "")


if __name__ == "__main__":
    unittest.main()
