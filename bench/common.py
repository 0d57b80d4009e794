"""What the benchmarks share: measuring a process, peers in virtual environments, the table."""

import csv
import gzip
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def measured(command):
    """Runs a command; (seconds of wall time, peak resident MiB)."""
    # Settings of the machine for other programs' numpy must not slow the peer down.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=environment)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {process.returncode}:\n{errors.decode(errors='replace')}")
    return seconds, usage.ru_maxrss / 1024


def arena_votes():
    """The rows of the Arena votes that come with the project, one after the other, by column."""
    with gzip.open(ROOT / "data/votes/lmsys_arena_1500.csv.gz", "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def peer_python(build, name="peer", pinned="requirements.txt", flags=""):
    """The Python of a virtual environment with the pinned peers, made once; `flags` are for the compiler where a peer
    comes as source."""
    requirements = ROOT / "bench" / pinned
    folder = build / name
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    python = folder / "bin/python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing the peers of bench/{pinned} into a virtual environment ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        # A wheel that was kept from an earlier build may have been built with other flags.
        fresh = ["--no-cache-dir"] if flags else []
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *fresh, "-r", requirements], check=True,
                       env=os.environ | {"CFLAGS": flags, "CXXFLAGS": flags})
        stamp.write_text(wanted)
    return python


class Table:
    """Rows of name, wall, memory and rows a second, each beside its goal."""

    def __init__(self):
        self.missed = []

    def header(self):
        print(f"\n{'step':44} {'rows':>8} {'wall':>10} {'rows/s':>9} {'peak RSS':>10}   goal", flush=True)

    def row(self, name, rows, seconds, mib, goals=()):
        notes = []
        for text, held in goals:
            notes.append(f"{text}: {'held' if held else 'MISSED'}")
            if not held:
                self.missed.append(f"{name}: {text}")
        print(f"{name:44} {rows:8d} {seconds:8.1f} s {rows / seconds:9.1f} {mib:6.0f} MiB   {'; '.join(notes)}", flush=True)

    def line(self, name, value, goal=None, held=True):
        note = "" if goal is None else f"   {goal}: {'held' if held else 'MISSED'}"
        if not held:
            self.missed.append(f"{name}: {goal}")
        print(f"{name:44} {value}{note}", flush=True)
