"""Every verb and option that the program's help lists is in the man page and in docs/cli.md, and every
option that those two list is one of the program's."""

import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["AGON_PROGRAM"]
MAN = ROOT / "docs/man/agon.1"
CLI = ROOT / "docs/cli.md"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def help_of(*verb):
    run = subprocess.run([PROGRAM, *verb, "--help"], capture_output=True, text=True)
    if run.returncode != 0:
        raise AssertionError(f"agon {' '.join(verb)} --help ended with {run.returncode}: {run.stderr}")
    return run.stdout


def verbs(*above):
    """All verbs as tuples, ("train",) or ("data", "check"), by walking the help's list of subcommands."""
    found = []
    # CLI11 prints "Subcommands:" and then one indented line a verb, name first.
    match = re.search(r"^(?:Subcommands|Commands):\n((?:[ \t]+\S.*\n|\n)+)", help_of(*above), re.MULTILINE)
    names = re.findall(r"^  (\S+)", match[1], re.MULTILINE) if match else []
    for name in names:
        found.append((*above, name))
        found.extend(verbs(*above, name))
    return found


def options(text):
    return set(OPTION.findall(text)) - {"--help"}


def man_sections():
    """{("train",): text} for each `.Ss agon ...` section of the man page, options as --name."""
    text = MAN.read_text(encoding="utf-8")
    text = text.split("\n.Sh COMMANDS\n")[1].split("\n.Sh ")[0]
    parts = re.split(r"^\.Ss agon (.+)$", text, flags=re.MULTILINE)
    return {
        tuple(name.split()): re.sub(r"\bFl -([a-z])", r"--\1", body)
        for name, body in zip(parts[1::2], parts[2::2])
    }


def cli_sections():
    """The same of docs/cli.md, whose headings are "## agon train"."""
    text = CLI.read_text(encoding="utf-8")
    parts = re.split(r"^##+ `?agon ([a-z -]+?)`?$", text, flags=re.MULTILINE)
    return {tuple(name.split()): body.split("\n## ")[0] for name, body in zip(parts[1::2], parts[2::2])}


class CliDocs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.verbs = verbs()
        # `agon rank` does something itself and has verbs below it; `agon data` only has verbs below it.
        cls.leaves = [verb for verb in cls.verbs
                      if not any(v[: len(verb)] == verb and v != verb for v in cls.verbs) or "Positionals:" in help_of(*verb)]

    def test_the_main_verbs_exist(self):
        for verb in [("train",), ("predict",), ("evaluate",), ("data", "check"), ("rank",), ("info",), ("completion",)]:
            self.assertIn(verb, self.leaves)

    def check(self, sections, where):
        self.assertEqual(sorted(sections), sorted(self.leaves), where)
        for verb in self.leaves:
            with self.subTest(verb=" ".join(verb)):
                self.assertEqual(options(sections[verb]), options(help_of(*verb)), where)

    def test_man_page(self):
        self.check(man_sections(), "docs/man/agon.1")

    def test_cli_page(self):
        self.check(cli_sections(), "docs/cli.md")

    def test_man_page_renders_without_warnings(self):
        run = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(MAN)], capture_output=True, text=True,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
        self.assertEqual((run.returncode, run.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
