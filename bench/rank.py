"""The part of `make bench` on leaderboards: from a file of battles to ratings, beside the peers in one run."""

import collections
import json
import os
import re
import subprocess
import time

from common import ROOT, measured, peer_python

COUNTS = ROOT / "data/battles/arena_2024-08-14_pair_counts.json.gz"
ALL = 1_670_250


def best_of(runs, command):
    """The fastest of some runs, since other work on the machine only ever adds; the most memory."""
    results = [measured(command) for _ in range(runs)]
    return min(seconds for seconds, _ in results), max(mib for _, mib in results)


def ratings_of_agon(path):
    with open(path, encoding="utf-8") as file:
        return {row["model"]: row["rating"] for row in json.load(file)["board"]["models"]}


def largest_difference(ours, theirs):
    """Of ratings, after both are moved to a mean of zero over the same competitors."""
    names = sorted(set(ours) & set(theirs))
    centre = [sum(r[n] for n in names) / len(names) for r in (ours, theirs)]
    return max(abs((ours[n] - centre[0]) - (theirs[n] - centre[1])) for n in names)


def streaming(options, agon, make_battles, table):
    rows = 1_000_000 if options.quick else 100_000_000
    start = time.perf_counter()
    source = subprocess.Popen([make_battles, COUNTS, "-", "--plain", "--rows", str(rows)], stdout=subprocess.PIPE)
    reader = subprocess.Popen([agon, "rank", "-", "-q"], stdin=source.stdout)
    source.stdout.close()
    _, status, usage = os.wait4(reader.pid, 0)
    reader.returncode = os.waitstatus_to_exitcode(status)
    source.wait()
    seconds = time.perf_counter() - start
    mib = usage.ru_maxrss / 1024
    # Making the rows takes one of the cores, so this is no figure of the reader's speed.
    table.row("agon rank, battles through a pipe", rows, seconds, mib,
              [("done in bounded memory", reader.returncode == 0 and mib < 200)])


NEWS = re.compile(r"^\+([\d,]+) votes: read in ([\d.]+) ms, (?:re)?fitted in ([\d.]+) ms, the whole board in ([\d.]+) ms")


def watch(options, agon, plain, work, table):
    """A log that grows by 1,000 votes at a time: what each look costs, the best of some."""
    times, appended = 10, 1000
    log = work / "watched.csv"
    # The file is never held: a child's peak memory counts this process's own at the time it was forked.
    news_to_come = collections.deque()
    with open(plain, encoding="utf-8") as whole, open(log, "w", encoding="utf-8") as file:
        for line in whole:
            news_to_come.append(line)
            if len(news_to_come) > times * appended:
                file.write(news_to_come.popleft())
    process = subprocess.Popen([agon, "rank", "watch", log, "--every", "0.02", "--until-idle", "5", "--top", "3"],
                               stdout=subprocess.PIPE, text=True)
    news = []
    for line in process.stdout:
        found = NEWS.match(line)
        if not found:
            continue
        news.append((int(found[1].replace(",", "")), *(float(x) for x in found.groups()[1:])))
        at = len(news) - 1
        if at == times:
            break
        # A line end at the end: the whole piece is read at one look.
        with open(log, "a", encoding="utf-8") as file:
            file.writelines(news_to_come.popleft() for _ in range(appended))
    process.terminate()
    process.wait()
    later = [one for one in news[1:] if one[0] == appended]
    if not later:
        table.line("agon rank watch", "no board after 1,000 votes", "a board", False)
        return
    read, refit, board = (min(one[k] for one in later) for k in (1, 2, 3))
    table.line("agon rank watch, refit after 1,000 votes", f"{refit:.1f} ms", "under 5 ms", refit < 5)
    table.line("  reading them, and the whole board", f"{read:.1f} ms, {board:.1f} ms (the first: {news[0][3]:.1f} ms)")


def speed(options, agon, build, work, table):
    rows = 100_000 if options.quick else ALL
    full = not options.quick
    make_battles = build / "make_battles"
    plain, styled = work / f"battles_{rows}.csv", work / f"battles_style_{rows}.csv"
    for path, more in ((plain, []), (styled, ["--style", "--judges", "20000"])):
        if not path.exists():
            measured([make_battles, COUNTS, path, "--rows", rows, *more])
    size = plain.stat().st_size / 1e6
    print(f"\nBattles: {rows:,} rows, {size:.0f} MB")
    table.header()
    sandwich, mib = best_of(5, [agon, "rank", plain, "-q", "-o", work / "board.json"])
    table.row("agon rank, sandwich intervals", rows, sandwich, mib,
              [("memory under twice the file", mib < 2 * size)] if full else [])
    boot, mib = best_of(3, [agon, "rank", plain, "-q", "--intervals", "bootstrap", "--draws", 1000])
    table.row("agon rank, 1,000 bootstraps", rows, boot, mib,
              [("under 1 s more than sandwich", boot - sandwich < 1)] if full else [])
    style, mib = best_of(3, [agon, "rank", styled, "-q", "--style"])
    base, _ = best_of(3, [agon, "rank", styled, "-q"])
    table.row("agon rank, style control, four features", rows, style, mib,
              [("under 1 s more than without", style - base < 1)] if full else [])
    clustered, mib = best_of(1, [agon, "rank", styled, "-q", "--cluster", "voter"])
    table.row("agon rank, intervals clustered by voter", rows, clustered, mib)
    watch(options, agon, plain, work, table)
    streaming(options, agon, make_battles, table)
    if options.no_peer:
        return
    python = peer_python(build, "peer_rank", "requirements_rank.txt")
    ours = ratings_of_agon(work / "board.json")
    for peer in ("arena-rank", "evalica", "choix"):
        out = work / f"{peer}.json"
        seconds, mib = best_of(2, [python, ROOT / "bench/peer_rank.py", peer, plain, out])
        table.row(f"{peer}, the same file", rows, seconds, mib)
        with open(out, encoding="utf-8") as file:
            theirs = {name: values[0] for name, values in json.load(file)["ratings"].items()}
        table.line(f"  largest difference from agon's ratings, {peer}", f"{largest_difference(ours, theirs):.2g} points")
        if peer == "arena-rank":
            table.line("agon over arena-rank, file to ratings with intervals", f"{seconds / sandwich:.1f} times",
                       "0.25 s, or 20 times" if full else None, sandwich <= 0.25 or seconds >= 20 * sandwich or not full)
