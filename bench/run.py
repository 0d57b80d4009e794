#!/usr/bin/env python3
"""`make bench`: speed, memory and log loss of agon, beside a Python peer on the same rows in one run.

Every step is a process of its own, so that its wall time includes starting and reading files, and its peak
resident memory is its own. Times are of one run: repeat before you believe a difference of a tenth.
"""

import argparse
import csv
import gzip
import hashlib
import json
import math
import os
import platform
import subprocess
from pathlib import Path

import accuracy
import llm
import rank
import reading
import serve
from common import ROOT, Table, measured, peer_python

VOTES = ROOT / "data/votes/lmsys_arena_1500.csv.gz"
PARTS = ["preference", "micro", "rank", "llm", "accuracy", "reading", "serve"]
CLASSES = ("winner_model_a", "winner_model_b", "winner_tie")


def speed(options, agon, make_votes, python, work, table):
    rows, test_rows, memory_rows = (3000, 1500, 6000) if options.quick else (57477, 25000, 100000)
    # The peer meets fewer rows, so that the whole run stays under half an hour; agon is timed on them again.
    peer_rows, peer_test_rows = (1000, 500) if options.quick else (12000, 5000)
    full = not options.quick  # goals are for the full size only
    files = {"train": (rows, 1, []), "test": (test_rows, 2, ["--test"]), "memory": (memory_rows, 3, ["--test"]),
             "peer_train": (peer_rows, 4, []), "peer_test": (peer_test_rows, 5, ["--test"])}
    paths = {}
    for name, (count, seed, flags) in files.items():
        paths[name] = work / f"{name}_{count}.csv"
        if not paths[name].exists():
            measured([make_votes, VOTES, count, seed, paths[name], *flags])
    megabytes = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
    print(f"\nTraining file: {rows} rows, {megabytes['train']:.0f} MB; test file: {test_rows} rows, {megabytes['test']:.0f} MB")
    table.header()

    model = work / "bench.agon"
    seconds, mib = measured([agon, "train", paths["train"], "-o", model, "--seed", 1, "--no-cv", "--quiet"])
    goals = [("under 180 s", seconds < 180), ("under 4 GiB", mib < 4096)] if full else []
    table.row("agon train --no-cv", rows, seconds, mib, goals)
    if options.cv:
        cv_seconds, cv_mib = measured([agon, "train", paths["train"], "-o", work / "cv.agon", "--seed", 1, "--quiet"])
        goals = [("under 180 s", cv_seconds < 180), ("under 4 GiB", cv_mib < 4096)] if full else []
        table.row("agon train, with cross-validation", rows, cv_seconds, cv_mib, goals)
    seconds, mib = measured([agon, "predict", model, paths["test"], "-o", work / "agon.csv", "--quiet"])
    table.row("agon predict", test_rows, seconds, mib, [("under 20 s", seconds < 20)] if full else [])
    big_seconds, big_mib = measured([agon, "predict", model, paths["memory"], "-o", work / "memory.csv", "--quiet"])
    # A tenth and 32 MiB are left for the allocator; text that was kept would be hundreds of MiB.
    held = big_mib < 1.1 * mib + 32
    table.row("agon predict, four times the rows", memory_rows, big_seconds, big_mib, [("memory does not grow", held)])

    if options.no_peer:
        return
    ours = [[agon, "train", paths["peer_train"], "-o", model, "--seed", 1, "--no-cv", "--quiet"],
            [agon, "predict", model, paths["peer_test"], "-o", work / "agon.csv", "--quiet"]]
    peer = [python, ROOT / "bench/peer_lightgbm.py"]
    theirs = [[*peer, "train", paths["peer_train"], work / "peer.model"],
              [*peer, "predict", work / "peer.model", paths["peer_test"], work / "peer.csv"]]
    totals = []
    for name, commands in (("agon", ours), ("peer", theirs)):
        total = 0
        for verb, count, command in zip(("train", "predict"), (peer_rows, peer_test_rows), commands):
            seconds, mib = measured(command)
            table.row(f"{name} {verb}, the peer's files", count, seconds, mib)
            total += seconds
        totals.append(total)
    agon_total, peer_total = totals
    ratio = peer_total / agon_total
    table.line("agon over peer, rows/s end to end, same files", f"{ratio:.1f} times", "10 times or more" if full else None,
               ratio >= 10 or not full)


def micro(build, table):
    """Google Benchmark figures; a benchmark that reports bytes a second gets its rate printed."""
    program = build / "agon_bench"
    if not program.exists():
        return
    run = subprocess.run([program, "--benchmark_format=json"], capture_output=True, text=True, check=True)
    for benchmark in json.loads(run.stdout)["benchmarks"]:
        rate = benchmark.get("bytes_per_second")
        value = f"{benchmark['cpu_time']:.4g} {benchmark['time_unit']}"
        if rate is None:
            table.line(f"micro {benchmark['name']}", value)
            continue
        rate /= 1e6
        # The goal is for the whole feature block on real rows.
        features = "features" in benchmark["name"].lower()
        table.line(f"micro {benchmark['name']}", f"{value}, {rate:.1f} MB/s a thread",
                   "40 MB/s a thread or more" if features else None, rate >= 40 or not features)


def quality(options, agon, python, work):
    """Log loss of both on the same held-out folds of the 1,500 real rows; no prompt is on two sides."""
    csv.field_size_limit(1 << 30)
    with gzip.open(VOTES, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    folds = 5

    def fold_of(row):
        return int(hashlib.sha256(row["prompt"].casefold().encode()).hexdigest(), 16) % folds

    losses = {"agon": [], "peer": []}
    for fold in range(1 if options.quick else folds):
        train, held = work / "fold_train.csv", work / "fold_test.csv"
        for path, keep in ((train, lambda r: fold_of(r) != fold), (held, lambda r: fold_of(r) == fold)):
            with open(path, "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                writer.writerows(row for row in rows if keep(row))
        measured([agon, "train", train, "-o", work / "fold.agon", "--seed", 1, "--no-cv", "--quiet"])
        measured([agon, "predict", work / "fold.agon", held, "-o", work / "fold_agon.csv", "--quiet"])
        peers = []
        if not options.no_peer:
            peer = [python, ROOT / "bench/peer_lightgbm.py"]
            measured([*peer, "train", train, work / "fold.peer"])
            measured([*peer, "predict", work / "fold.peer", held, work / "fold_peer.csv"])
            peers = ["peer"]
        labels = {row["id"]: next(c for c in CLASSES if row[c] == "1") for row in rows if fold_of(row) == fold}
        for name in ["agon", *peers]:
            with open(work / f"fold_{name}.csv", encoding="utf-8", newline="") as file:
                losses[name] += [-math.log(float(row[labels[row["id"]]])) for row in csv.DictReader(file)]
    print(f"\nLog loss on {len(losses['agon'])} held-out real rows (prompt-grouped folds, one file, no extra votes)")
    for name, values in losses.items():
        if values:
            mean = sum(values) / len(values)
            error = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
            print(f"  {name:6} {mean:.4f} ± {1.96 * error:.4f}")
    if losses["peer"]:
        differences = [a - b for a, b in zip(losses["agon"], losses["peer"], strict=True)]
        mean = sum(differences) / len(differences)
        error = math.sqrt(sum((v - mean) ** 2 for v in differences) / (len(differences) - 1) / len(differences))
        print(f"  agon minus peer, paired: {mean:+.4f} ± {1.96 * error:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, required=True, help="build folder of the bench preset")
    parser.add_argument("--quick", action="store_true", help="few rows: does it run, not how fast is it")
    parser.add_argument("--no-peer", action="store_true", help="leave the Python peer out")
    parser.add_argument("--only", choices=PARTS, help="one part only")
    parser.add_argument("--cv", action="store_true", help="also time training with cross-validation")
    options = parser.parse_args()
    build = options.build.resolve()
    agon, make_votes = build / "agon", build / "make_votes"
    work = build / "bench"
    work.mkdir(exist_ok=True)
    parts = [options.only] if options.only else PARTS
    python = peer_python(build) if "preference" in parts and not options.no_peer else None

    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
            break
    version = subprocess.run([agon, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version} on {os.cpu_count()} cores, {processor}")
    table = Table()
    if "preference" in parts:
        speed(options, agon, make_votes, python, work, table)
        quality(options, agon, python, work)
    if "micro" in parts:
        micro(build, table)
    if "rank" in parts:
        rank.speed(options, agon, build, work, table)
    if "llm" in parts:
        llm.speed(options, agon, build, work, table)
    if "accuracy" in parts:
        accuracy.speed(options, agon, build, work, table)
    if "reading" in parts:
        reading.speed(options, agon, build, work, table)
    if "serve" in parts:
        serve.speed(options, agon, build, work, table)
    if table.missed:
        print("\nGoals missed:\n  " + "\n  ".join(table.missed))
    else:
        print("\nNo goal missed" + (" (the goals are for the full size: run without --quick)" if options.quick else ""))


if __name__ == "__main__":
    main()
