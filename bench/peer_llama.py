"""llama-cpp-python's side of the benchmark of language models: the same work as `agon bench-model`, by the lowest
interface that the package has, so that nothing of Python's is timed but one call a step.

    peer_llama.py MODEL --threads N [--prompt N] [--generate N] [--depth N] [--sequences N] [--score N] [--repeats N]

Prints seconds of the fastest repeat as JSON.
"""

import argparse
import ctypes
import json
import random
import sys
import time

import llama_cpp as lib
import numpy as np

SCORE_CONTEXT, SCORE_TOKENS = 1024, 32  # what `agon bench-model --continuations` takes when not told others


class Peer:
    def __init__(self, path, threads, cells, sequences):
        lib.llama_log_set(self.silent, ctypes.c_void_p(0))
        lib.llama_backend_init()
        begin = time.perf_counter()
        self.model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        if not self.model:
            sys.exit(f"peer_llama.py: {path} could not be loaded")
        loaded = time.perf_counter()
        self.words = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.model))
        params = lib.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = max(cells, 512)
        params.n_ubatch = 512
        params.n_seq_max = sequences
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = threads
        self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit(f"peer_llama.py: no context of {cells} tokens")
        self.batch = lib.llama_batch_init(params.n_batch, 0, sequences)
        self.memory = lib.llama_get_memory(self.context)
        self.decode([(1, 0, 0, True)])
        self.start_up = {"load": loaded - begin, "first_token": time.perf_counter() - loaded}

    @staticmethod
    @lib.llama_log_callback
    def silent(level, text, data):
        pass

    def decode(self, rows):
        """Rows of token, position, sequence, and whether its logits are wanted."""
        batch = self.batch
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = wanted
        batch.n_tokens = len(rows)
        begin = time.perf_counter()
        if lib.llama_decode(self.context, batch) != 0:
            sys.exit("peer_llama.py: llama_decode failed")
        lib.llama_synchronize(self.context)
        return time.perf_counter() - begin

    def clear(self):
        lib.llama_memory_clear(self.memory, False)

    def largest(self, row):
        logits = lib.llama_get_logits_ith(self.context, row)
        return int(np.ctypeslib.as_array(logits, shape=(self.words,)).argmax())

    def prompt(self, tokens, scored=1):
        self.clear()
        return self.decode([(token, i, 0, i >= len(tokens) - scored) for i, token in enumerate(tokens)])

    def generate(self, starts, count):
        self.clear()
        rows, last = [], []
        for sequence, start in enumerate(starts):
            rows += [(token, i, sequence, i == len(start) - 1) for i, token in enumerate(start)]
            last.append(len(rows) - 1)
        self.decode(rows)
        seconds = 0
        for step in range(count):
            begin = time.perf_counter()
            tokens = [self.largest(row) for row in last]
            seconds += time.perf_counter() - begin
            seconds += self.decode([(token, len(start) + step, sequence, True)
                                    for sequence, (token, start) in enumerate(zip(tokens, starts, strict=True))])
            last = list(range(len(starts)))
        return seconds


def peak_bytes():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    for name, usual in (("threads", 2), ("prompt", 0), ("generate", 0), ("depth", 8), ("sequences", 1), ("score", 0), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    options = parser.parse_args()
    cells = max(512, options.prompt, options.sequences * (options.depth + options.generate),
                SCORE_CONTEXT + SCORE_TOKENS if options.score else 0)
    peer = Peer(options.model, options.threads, cells, options.sequences)
    draw = random.Random(1)

    def some(count):
        return [draw.randrange(peer.words) for _ in range(count)]

    result = {"start_up_seconds": peer.start_up}

    def best(run):
        run()
        return min(run() for _ in range(options.repeats))

    if options.prompt:
        tokens = some(options.prompt)
        result["prompt"] = options.prompt / best(lambda: peer.prompt(tokens))
    if options.generate:
        starts = [some(options.depth) for _ in range(options.sequences)]
        result["generation"] = options.sequences * options.generate / best(lambda: peer.generate(starts, options.generate))
    if options.score:  # each alone, as its server and its Python interface do it
        tokens = some(SCORE_CONTEXT + SCORE_TOKENS - 1)
        result["score_alone"] = SCORE_TOKENS / best(lambda: peer.prompt(tokens, SCORE_TOKENS))
    result["peak_bytes"] = peak_bytes()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
