#!/usr/bin/env python3
"""llama-cpp-python's distance from the truth that bench/llm_truth.cpp computes, and the tokens both read.

    python3 bench/llm_kl.py tokens MODEL OUT [--windows 20] [--length 512]    # real prompts and answers
    build-bench/llm_truth truth MODEL OUT TRUTH
    python3 bench/llm_kl.py peer build-bench/llm_truth MODEL TRUTH [--windows N] [--cache f16|f32]

Needs llama-cpp-python and numpy.
"""
import argparse
import json
import struct
import subprocess
from pathlib import Path

import numpy as np
from common import arena_votes
from llama_cpp import Llama


def write_tokens(options):
    """Windows of English prompts and answers, each begun as the model wants its texts begun."""
    model = Llama(str(options.model), vocab_only=True, verbose=False)
    begin = [model.token_bos()] if model.metadata.get("tokenizer.ggml.add_bos_token", "true") == "true" else []
    windows, tokens = [], []
    for row in arena_votes():
        prompts, answers = json.loads(row["prompt"]), json.loads(row["response_a"])
        text = "\n\n".join(part for pair in zip(prompts, answers) for part in pair if part) + "\n\n"
        if sum(c > "\x7f" for c in text) > len(text) / 200:
            continue  # another language
        text = text[:1500].encode("utf-8", "replace")  # many texts rather than long ones
        tokens += model.tokenize(text, add_bos=False)
        while len(tokens) >= options.length - len(begin) and len(windows) < options.windows:
            cut = options.length - len(begin)
            windows.append(begin + tokens[:cut])
            tokens = tokens[cut:]
        if len(windows) == options.windows:
            break
    options.out.write_text("\n".join(" ".join(map(str, window)) for window in windows) + "\n")


def read_windows(path):
    """The windows of tokens in a file of llm_truth."""
    data = path.read_bytes()
    if data[:8] != b"AGTRUTH1":
        raise SystemExit(f"{path}: not a truth")
    (count,), at, windows = struct.unpack_from("<I", data, 16), 32, []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", data, at)
        windows.append(list(struct.unpack_from(f"<{length}i", data, at + 4)))
        at += 4 + 4 * length
    return windows


def run_peer(options):
    """The peer's logits for every position go through a pipe to llm_truth, which compares them as it compares
    the engine's."""
    kind = {"f32": 0, "f16": 1}[options.cache]
    windows = read_windows(options.truth)[:options.windows]
    longest = max(map(len, windows))
    model = Llama(str(options.model), n_ctx=longest, n_batch=longest, n_ubatch=longest, n_threads=options.threads,
                  n_threads_batch=options.threads, logits_all=True, verbose=False, type_k=kind, type_v=kind)
    command = [options.program, "kl", options.model, options.truth, "logits=-", f"windows={len(windows)}"]
    judge = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE)
    for window in windows:
        model.reset()
        model.eval(window)
        judge.stdin.write(np.ascontiguousarray(model.scores[:len(window)], dtype="<f4"))
    judge.stdin.close()
    raise SystemExit(judge.wait())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    tokens = verbs.add_parser("tokens")
    tokens.add_argument("model", type=Path)
    tokens.add_argument("out", type=Path)
    tokens.add_argument("--windows", type=int, default=20)
    tokens.add_argument("--length", type=int, default=512)
    tokens.set_defaults(run=write_tokens)
    peer = verbs.add_parser("peer")
    peer.add_argument("program", type=Path)
    peer.add_argument("model", type=Path)
    peer.add_argument("truth", type=Path)
    peer.add_argument("--windows", type=int)
    peer.add_argument("--cache", choices=["f16", "f32"], default="f16")
    peer.add_argument("--threads", type=int, default=2)
    peer.set_defaults(run=run_peer)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
