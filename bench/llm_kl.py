#!/usr/bin/env python3
"""llama-cpp-python's distance from the truth that bench/llm_truth.cpp computes, and the tokens both read.

    python3 bench/llm_kl.py tokens MODEL OUT [--windows 20] [--length 512]    # real prompts and answers
    build-bench/llm_truth truth MODEL OUT TRUTH
    python3 bench/llm_kl.py peer MODEL TRUTH [--windows N] [--cache f16|f32]

Needs llama-cpp-python, gguf and numpy.
"""
import argparse
import csv
import gzip
import json
import struct
from pathlib import Path

import gguf
import numpy as np
from llama_cpp import Llama

ROOT = Path(__file__).resolve().parent.parent
ROWS_AT_ONCE = 64


def write_tokens(options):
    """Windows of English prompts and answers, each begun as the model wants its texts begun."""
    model = Llama(str(options.model), vocab_only=True, verbose=False)
    begin = [model.token_bos()] if model.metadata.get("tokenizer.ggml.add_bos_token", "true") == "true" else []
    windows, tokens = [], []
    with gzip.open(ROOT / "data/votes/lmsys_arena_1500.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
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


class Truth:
    """Logits by window from a file of llm_truth, in double."""

    def __init__(self, path, model):
        data = path.read_bytes()
        if data[:8] != b"AGTRUTH1":
            raise SystemExit(f"{path}: not a truth")
        size, windows, width, self.vocabulary, _ = struct.unpack_from("<QIIII", data, 8)
        if size != model.stat().st_size:
            raise SystemExit(f"{path}: of another model")
        at, self.windows = 32, []
        for _ in range(windows):
            (count,) = struct.unpack_from("<I", data, at)
            self.windows.append(np.frombuffer(data, "<i4", count, at + 4).tolist())
            at += 4 + 4 * count
        self.hidden = np.frombuffer(data, "<f8", -1, at).reshape(-1, width)
        reader = gguf.GGUFReader(model)
        field = lambda name: reader.fields[name].contents()
        architecture = field("general.architecture")
        tensors = {t.name: t for t in reader.tensors}
        output = tensors.get("output.weight", tensors["token_embd.weight"])
        self.matrix = gguf.dequantize(output.data, output.tensor_type).astype(np.float32)
        self.norm = np.array(tensors["output_norm.weight"].data, dtype=np.float64)
        self.epsilon = field(f"{architecture}.attention.layer_norm_rms_epsilon")
        cap = f"{architecture}.final_logit_softcapping"
        self.cap = field(cap) if cap in reader.fields else 0

    def logits(self, hidden):
        x = hidden / np.sqrt((hidden**2).mean(1, keepdims=True) + self.epsilon) * self.norm
        logits = np.empty((len(x), self.vocabulary))
        for start in range(0, self.vocabulary, 16384):
            part = self.matrix[start:start + 16384].astype(np.float64)
            logits[:, start:start + len(part)] = x @ part.T
        return self.cap * np.tanh(logits / self.cap) if self.cap else logits


def log_softmax(x):
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def measure_peer(options):
    truth = Truth(options.truth, options.model)
    kind = {"f32": 0, "f16": 1}[options.cache]
    windows = truth.windows[:options.windows]
    longest = max(map(len, windows))
    model = Llama(str(options.model), n_ctx=longest, n_batch=longest, n_ubatch=longest, n_threads=options.threads,
                  n_threads_batch=options.threads, logits_all=True, verbose=False, type_k=kind, type_v=kind)
    divergences, same, losses, truth_losses, first = [], [], [], [], 0
    for window in windows:
        model.reset()
        model.eval(window)
        for start in range(0, len(window), ROWS_AT_ONCE):
            end = min(len(window), start + ROWS_AT_ONCE)
            p = log_softmax(truth.logits(truth.hidden[first + start:first + end]))
            q = log_softmax(np.array(model.scores[start:end], dtype=np.float64))
            divergences += (np.exp(p) * (p - q)).sum(1).tolist()
            same += (p.argmax(1) == q.argmax(1)).tolist()
            for i in range(start, min(end, len(window) - 1)):
                truth_losses.append(-p[i - start, window[i + 1]])
                losses.append(-q[i - start, window[i + 1]])
        first += len(window)
        print(".", end="", flush=True)
    d, loss, true_loss = np.array(divergences), np.array(losses), np.array(truth_losses)
    print(f"\npositions                 {len(d)}")
    print(f"mean KL(truth || peer)    {d.mean():.4g} +- {d.std(ddof=1) / len(d)**0.5:.2g} nats")
    print(f"largest                   {d.max():.4g}")
    print(f"equal top tokens          {100 * np.mean(same):.3f} %")
    print(f"perplexity                {np.exp(loss.mean()):.5f}, truth {np.exp(true_loss.mean()):.5f} "
          f"({100 * np.expm1((loss - true_loss).mean()):+.4f} %)")
    print(f"log-probability of text   {((loss - true_loss)**2).mean()**0.5:.3g} apart (root mean square)")


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
    peer.add_argument("model", type=Path)
    peer.add_argument("truth", type=Path)
    peer.add_argument("--windows", type=int)
    peer.add_argument("--cache", choices=["f16", "f32"], default="f16")
    peer.add_argument("--threads", type=int, default=2)
    peer.set_defaults(run=measure_peer)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
