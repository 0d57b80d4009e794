"""The part of `make bench` on exactness: how far the engine and llama-cpp-python are from the same truth, a forward pass in
double precision over the same file, on the same tokens of real prompts and answers.

Reading is what prompts and scored texts go through; generating gives one token at a time. The truth of 10,240 tokens takes
minutes, and asking it about each of them as long again; it is computed anew for every run.
"""

import re
import sys

from common import ROOT
from llm import PEER, fetched, llama_python, printed

KINDS = {
    "agon, reading": [],
    "agon, generating": ["steps"],
    "agon, --precision exact": ["exact", "f32"],
}


class Distance:
    """What llm_truth prints of one way through the tokens."""

    def __init__(self, text):
        def number(pattern):
            return float(re.search(pattern, text, re.MULTILINE)[1])
        self.positions = int(number(r"^positions +(\d+)"))
        self.divergence, self.error = number(r"^mean KL from the truth +(\S+)"), number(r"^mean KL from the truth +\S+ \+- (\S+)")
        self.same = number(r"^equal top tokens +(\S+)")
        self.perplexity = number(r"^perplexity .*\(([-+.\d]+) %\)")

    def __str__(self):
        return f"KL {self.divergence:.3g} ± {self.error:.1g} nats, {self.same:.1f} % of top tokens equal, perplexity {self.perplexity:+.3f} %"


def measure(name, model, options, build, work, table, peer=True, float_weights=False):
    python, truth_of = llama_python(build), build / "llm_truth"
    windows, length = (2, 128) if options.quick else (20, 512)
    tokens, truth = work / "accuracy_tokens.txt", work / "accuracy_truth.bin"
    printed([python, ROOT / "bench/llm_kl.py", "tokens", model, tokens, "--windows", windows, "--length", length])
    printed([truth_of, "truth", model, tokens, truth])
    kinds = {"agon": ["f32"]} if float_weights else KINDS
    print(f"\n{name}: distance from the truth of {windows * length} tokens; the peer is {PEER}", flush=True)
    theirs = None
    if peer:
        theirs = Distance(printed([python, ROOT / "bench/llm_kl.py", "peer", truth_of, model, truth]))
        table.line("peer", theirs)
    for kind, words in kinds.items():
        ours = Distance(printed([truth_of, "kl", model, truth, *words]))
        if ours.positions != windows * length:
            sys.exit(f"{kind}: {ours.positions} positions were compared, not {windows * length}")
        if float_weights:
            goal, held = "below 1e-7", ours.divergence < 1e-7
        elif "exact" in words:
            goal, held = "below 1e-5", ours.divergence < 1e-5
        else:
            goal = "no farther than the peer, perplexity within 0.3 %"
            held = ours.divergence <= theirs.divergence and abs(ours.perplexity) <= 0.3
        table.line(kind, ours, None if options.quick else goal, held or options.quick)
    truth.unlink()


def speed(options, agon, build, work, table):
    if options.no_peer:
        print("\nExactness is measured on tokens that the peer's library cuts: left out with --no-peer")
        return
    stories = work / "stories260K.gguf"
    models = ROOT / "tests/data/models"
    printed([agon, "model", "convert", "--from", "llama2c", models / "stories260K.bin", models / "tok512.bin", "-o", stories])
    measure("stories260K F32", stories, options, build, work, table, peer=False, float_weights=True)
    fetchable = {} if options.quick else {"SmolLM2-135M Q4_1": "smollm2", "Gemma 3 270M Q4_K_M": "gemma3-270m"}
    for name, which in fetchable.items():
        model = fetched(which)
        if model:
            measure(name, model, options, build, work, table)
