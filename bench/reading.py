"""The part of `make bench` on reading answers: hidden states of a third of a model's layers beside PyTorch in bfloat16,
and what `agon train --lm` costs from an empty cache and from a full one.

PyTorch's wheel brings libraries for graphics cards with it (7 GB installed), none of which is used.
"""

import os
import re
import shutil
import statistics
import subprocess
import time

from common import ROOT, peer_python
from llm import fetched, output, random_model

VOTES = ROOT / "data/votes/lmsys_arena_1500.csv.gz"
PEER = "PyTorch 2.9.0"


def train(agon, *words):
    """Seconds, and what it said."""
    begin = time.perf_counter()
    run = subprocess.run([str(word) for word in (agon, "train", *words)], capture_output=True, text=True, check=True)
    return time.perf_counter() - begin, run.stdout


def speed(options, agon, build, work, table):
    threads, full = os.cpu_count(), not options.quick
    if full:
        name, model, layers, rounds, repeats = "SmolLM2-135M Q4_1", fetched("smollm2"), 10, 10, 6
        shape, votes = [], VOTES
    else:
        name, layers, rounds, repeats = "random tiny Q4_0", 1, 1, 2
        sizes = ["--embedding", 256, "--heads", 4, "--kv-heads", 2, "--feed-forward", 512]
        model = random_model(build, work, "tiny_Q4_0", "--layers", 2, *sizes, "--format", "Q4_0")
        shape, votes = ["--layers", layers, *sizes], ROOT / "tests/data/votes/lmsys_sample.csv"
    if not model:
        return
    print(f"\nThe first {layers} layers of {name} over 512 tokens, {threads} threads; the peer is {PEER} in bfloat16", flush=True)
    ours, theirs = [], []
    python = None if options.no_peer else peer_python(build, "peer_torch", "requirements_torch.txt")
    for _ in range(rounds):
        ours.append(output([agon, "bench-model", "-m", model, "--layers", layers, "--prompt", 512, "--generate", 0, "--threads", threads,
                            "--repeats", repeats, "--json"])["prompt"])
        if python:
            theirs.append(output([python, ROOT / "bench/peer_torch.py", *shape, "--threads", threads, "--repeats", repeats]))
    best = max(ours, key=lambda one: one["tokens_per_second"])
    rate = best["tokens_per_second"]
    table.line("agon, tokens a second", f"{rate:.0f} at best, {best['share_of_products']:.1%} of the limit of {best['products']} products")
    if theirs:
        peer = max(one["tokens_per_second"] for one in theirs)
        table.line("peer, tokens a second", f"{peer:.0f}")
        table.line("agon over peer", f"{rate / peer:.2f} times", "1.5 times or more" if full else None, rate >= 1.5 * peer or not full)

    cache = work / "reading_cache"
    shutil.rmtree(cache, ignore_errors=True)
    words = [votes, "--lm", model, "--lm-layers", layers, "--lm-cache", cache]
    if not full:  # the random model has no template
        words += ["--lm-template", "chatml"]
    empty, said = train(agon, *words)
    tokens, read = (int(part.replace(",", "")) for part in re.search(r"([\d,]+) tokens, ([\d,]+) a second", said).groups())
    kept, _ = train(agon, *words)
    without, _ = train(agon, votes)
    table.line("train, nothing kept", f"{empty:.1f} s", "under 3 minutes" if full else None, empty < 180 or not full)
    table.line("train, everything kept", f"{kept:.1f} s, without the model {without:.1f} s",
               "at most 5 s more" if full else None, kept <= without + 5 or not full)
    # A run of minutes is slowed by whatever else the machine does: beside the rounds' median, not their best.
    middle = statistics.median(one["median_tokens_per_second"] for one in ours)
    table.line("reading in training, tokens a second", f"{read} ({tokens} tokens), {read / middle:.0%} of the median above, {read / rate:.0%} of "
               "the best", "80 % or more of the median" if full else None, read >= 0.8 * middle or not full)
