"""Every command that the documents show works, and every link they make leads somewhere.

Each fenced block marked `sh` or `console` is run by bash in a copy of what a reader has: data/, scripts/,
three small files votes.csv, labelled.csv and test.csv, and a tiny language model in models/, with the built
program on the path. The blocks of one document run in order in one folder. A block marked `sh server` holds one
`agon serve`, which runs beside the later blocks, on a port of its own in place of 8080. Blocks marked `sh no-run` may
hold only commands that build, install or fetch, which other tests cover; parts of `make bench` that are named have to
exist. Blocks marked `slow` hold commands of the program that take minutes: they are not run, but their verbs, options
and files have to exist.
"""

import contextlib
import csv
import gzip
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ["AGON_PROGRAM"])
DOCUMENTS = sorted(
    path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")] if "build" not in path.parts
)
NO_RUN_COMMANDS = {"make", "git", "cd", "cmake", "ctest", "apt-get", "sudo"}
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def blocks(path):
    for match in FENCE.finditer(path.read_text(encoding="utf-8")):
        yield match[1].split(), match[2]


def script_of(info, body):
    if info[0] == "console":  # commands stand after "$ ", the rest is output
        return "\n".join(line[2:] for line in body.splitlines() if line.startswith("$ "))
    return body


def make_workplace(folder):
    shutil.copytree(ROOT / "data", folder / "data")
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests/data/models", folder / "models")
    csv.field_size_limit(1 << 30)
    with gzip.open(ROOT / "data/votes/lmsys_arena_1500.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row for row, _ in zip(csv.reader(file), range(301))]
    for name, part in (("votes.csv", rows[1:201]), ("labelled.csv", rows[201:])):
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([rows[0], *part])
    shutil.copy(ROOT / "data/votes/lmsys_test_3.csv", folder / "test.csv")


@contextlib.contextmanager
def served(script, folder, environment):
    """Runs a document's server; gives the address it has."""
    run = subprocess.Popen(f"exec {script.strip()} --port 0", shell=True, cwd=folder, env=environment,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        found = None
        for line in run.stdout:
            if found := re.search(r"Listening at (\S+)", line):
                break
        if not found:
            raise AssertionError(f"no server: {script}")
        yield found[1]
        run.terminate()
        run.stdout.read()
        if run.wait() != 0:
            raise AssertionError(f"{script} ended with {run.returncode}")
    finally:
        run.kill()
        run.stdout.close()
        run.wait()


class Docs(unittest.TestCase):
    def test_commands_run(self):
        environment = os.environ | {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        ran = 0
        for document in DOCUMENTS:
            scripts = [("server" in info, script_of(info, body)) for info, body in blocks(document)
                       if info and info[0] in ("sh", "console") and not {"no-run", "slow"} & set(info)]
            if not scripts:
                continue
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as servers:
                make_workplace(Path(folder))
                address = "http://127.0.0.1:8080"
                for is_server, script in scripts:
                    if is_server:
                        address = servers.enter_context(served(script, folder, environment))
                        continue
                    # An answer that is an error fails too.
                    script = script.replace("http://127.0.0.1:8080", address).replace("curl ", "curl --fail-with-body ")
                    with self.subTest(document=str(document.relative_to(ROOT)), script=script):
                        run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment,
                                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500)
                        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
                        ran += 1
        self.assertGreater(ran, 5)

    def test_blocks_not_run_only_build(self):
        for document in DOCUMENTS:
            for info, body in blocks(document):
                if "no-run" in info:
                    for line in body.splitlines():
                        if line and not line.startswith("#"):
                            self.assertIn(line.split()[0], NO_RUN_COMMANDS, f"{document.name}: {line}")

    def test_slow_blocks_name_what_exists(self):
        for document in DOCUMENTS:
            for info, body in blocks(document):
                for line in script_of(info, body).splitlines() if "slow" in info else ():
                    with self.subTest(document=document.name, line=line):
                        words = line.split("#")[0].split()
                        self.assertEqual(words[0], "agon")
                        text = subprocess.run([PROGRAM, words[1], "--help"], capture_output=True, text=True, check=True).stdout
                        for word in words[2:]:
                            if word.startswith("-"):
                                self.assertRegex(text, rf"(^|[\s,]){re.escape(word)}\b")
                            elif word.startswith("data/"):
                                self.assertTrue((ROOT / word.split(":")[0]).exists(), word)

    def test_parts_of_the_benchmark_exist(self):
        parts = re.search(r"^PARTS = (\[.*\])$", (ROOT / "bench/run.py").read_text(encoding="utf-8"), re.MULTILINE)[1]
        named = 0
        for document in DOCUMENTS:
            for part in re.findall(r'make bench BENCH_ARGS="--only (\w+)', document.read_text(encoding="utf-8")):
                self.assertIn(f'"{part}"', parts, document.name)
                named += 1
        self.assertGreater(named, 3)

    def test_links_lead_somewhere(self):
        for document in DOCUMENTS:
            for target in LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8"))):
                if not re.match(r"[a-z]+:|#", target):
                    with self.subTest(document=str(document.relative_to(ROOT)), link=target):
                        self.assertTrue((document.parent / target.split("#")[0]).exists())


if __name__ == "__main__":
    unittest.main()
