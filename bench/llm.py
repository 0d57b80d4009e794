"""The part of `make bench` on language models: `agon bench-model` beside llama-cpp-python on the same files.

Both take turns, round by round, so that other work on the machine slows both; the best of all rounds counts.
Goals are multiples of the peer's rate or of agon's own, since tokens a second say as much of the machine as of the
program; the share is of what this machine can do at most (products of bytes or floats for prompts, memory bandwidth
for generation), as `agon bench-model` measures it in the same round.
"""

import importlib.util
import json
import os
import subprocess
import sys

from common import ROOT, arena_votes, measured, peer_python

PEER = "llama-cpp-python 0.3.36"
# Its own code for tile registers, which it would compile for machines that have them, ends with SIGILL there: it loads
# a tile before the thread has shaped its registers.
PEER_FLAGS = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
# For the comparison of what both do on machines that have AVX2 and no products of bytes.
PEER_AVX2_FLAGS = PEER_FLAGS + " -mno-avx512f -mno-avxvnni"
# Rates that the engine is to reach, as multiples of the peer's: prompt of 512, generation.
GOALS = {"SmolLM2-135M Q4_1": (7.4, 2.6), "Gemma 3 270M Q4_K_M": (3.1, 2.0), "random 1B Q4_0": (2.0, 1.2),
         "random 1B Q4_K_M": (2.3, 1.1), "random 1B Q8_0": (3.7, 1.15)}


def printed(command, **environment):
    """What a command prints; the benchmark ends when it fails."""
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=os.environ | environment)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {run.returncode}:\n{run.stderr}")
    return run.stdout


def output(command, **environment):
    return json.loads(printed(command, **environment))


# What the peer has nothing like.
OURS = {"layers", "precision", "all-logits"}


class Round:
    """Best figures of both sides over some rounds of the same work."""

    def __init__(self, agon, python, model, threads, rounds, repeats, cpu=None, **work):
        self.ours, self.theirs = [], []
        words = {"prompt": 0, "generate": 0} | {name.replace("_", "-"): value for name, value in work.items()}
        ours = [agon, "bench-model", "-m", model, "--json", "--profile", "--threads", threads, "--repeats", repeats]
        theirs = [python, ROOT / "bench/peer_llama.py", model, "--threads", threads, "--repeats", repeats]
        for name, value in words.items():
            ours += [f"--{name}"] if value is True else [f"--{name}", value]
            if name not in OURS:
                theirs += ["--score" if name == "continuations" else f"--{name}", value]
        for _ in range(rounds):
            self.ours.append(output(ours, **({"AGON_CPU": cpu} if cpu else {})))
            if python and not OURS & set(words):
                self.theirs.append(output(theirs))

    def best(self, what):
        """The whole entry of the fastest round, and the peer's rate."""
        entry = max((run[what] for run in self.ours), key=lambda one: one["tokens_per_second"])
        peer = max((run.get(what, 0) for run in self.theirs), default=0)
        return entry, peer

    def start_up(self):
        ours = min(sum(run["start_up_seconds"].values()) for run in self.ours)
        theirs = min((sum(run["start_up_seconds"].values()) for run in self.theirs), default=0)
        return ours, theirs

    def memory(self):
        ours = max(run["memory_bytes"]["peak"] for run in self.ours)
        theirs = max((run["peak_bytes"] for run in self.theirs), default=0)
        return ours / 2**20, theirs / 2**20


class Rates:
    """The table of rates."""

    def __init__(self, table):
        self.table = table
        print(f"\n{'tokens a second':40} {'agon':>9} {'peer':>9} {'ratio':>7} {'of limit':>9}   goal", flush=True)

    def row(self, name, ours, theirs=0, share=None, goal=None, ratio=None):
        """`ratio` is agon's over the peer's unless it is given; `goal` is the least ratio."""
        if ratio is None and theirs:
            ratio = ours / theirs
        note = ""
        if goal is not None and ratio is not None:
            held = ratio >= goal
            note = f"   {goal:g} times: {'held' if held else 'MISSED'}"
            if not held:
                self.table.missed.append(f"{name}: {ratio:.2f} times, goal {goal:g}")
        peer = f"{theirs:9.1f}" if theirs else f"{'-':>9}"
        times = f"{ratio:7.2f}" if ratio is not None else f"{'-':>7}"
        of = f"{share:8.1%} " if share is not None else f"{'-':>8} "
        print(f"{name:40} {ours:9.1f} {peer} {times} {of}{note}", flush=True)


def fetched(name):
    """A model that scripts/fetch_model.py fetches, or None with a word when the registry is out of reach."""
    spec = importlib.util.spec_from_file_location("fetch_model", ROOT / "scripts/fetch_model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch_model"] = module
    spec.loader.exec_module(module)
    try:
        return module.fetch(module.MODELS[name])
    except (module.Failure, OSError) as failure:
        print(f"Left out: {failure}")
        return None


def random_model(build, work, name, *options):
    path = work / f"{name}.gguf"
    if not path.exists():
        measured([build / "make_model", path, *options])
    return path


def llama_python(build):
    """The Python of the peer's library and server."""
    return peer_python(build, "peer_llm", "requirements_llm.txt", PEER_FLAGS)


def llama_avx2_python(build):
    """The same compiled for AVX2 alone."""
    return peer_python(build, "peer_llm_avx2", "requirements_llm.txt", PEER_AVX2_FLAGS)


def speed(options, agon, build, work, table):
    python = None if options.no_peer else llama_python(build)
    threads = os.cpu_count()
    if options.quick:
        shape = ["--layers", 2, "--embedding", 256, "--heads", 4, "--kv-heads", 2, "--feed-forward", 512]
        models = {f"random tiny {name}": random_model(build, work, f"tiny_{name}", *shape, "--format", name)
                  for name in ("Q4_0", "Q8_0")}
        sizes = {"prompt": 128, "generate": 16}
    else:
        models = {"SmolLM2-135M Q4_1": fetched("smollm2"), "Gemma 3 270M Q4_K_M": fetched("gemma3-270m")}
        models |= {f"random 1B {name}": random_model(build, work, f"1b_{name}", "--format", name)
                   for name in ("Q4_0", "Q4_K_M", "Q8_0")}
        models = {name: path for name, path in models.items() if path}
        sizes = {"prompt": 512, "generate": 128}
    rounds, repeats = (1, 1) if options.quick else (3, 2)

    def round_of(model, **work_of_it):
        return Round(agon, python, model, threads, rounds, repeats, **work_of_it)

    print(f"\nLanguage models on {threads} threads; the peer is {PEER}")
    rates = Rates(table)
    starts, whole = [], {}
    for name, path in models.items():
        both = round_of(path, **sizes)
        whole[name] = both
        goals = GOALS.get(name, (None, None))
        for what, words, share, goal in (
            ("prompt", f"prompt of {sizes['prompt']}", "share_of_products", goals[0]),
            ("generation", f"generation of {sizes['generate']}", "share_of_bandwidth", goals[1]),
        ):
            entry, peer = both.best(what)
            rates.row(f"{name}, {words}", entry["tokens_per_second"], peer, entry[share], goal)
        starts.append((name, path, both))
    # Text that is drawn needs the logits of all words, as the peer computes them either way.
    for name, path in list(models.items())[:2]:
        entry, _ = round_of(path, generate=sizes["generate"], all_logits=True).best("generation")
        rates.row(f"{name}, generation, all logits", entry["tokens_per_second"], whole[name].best("generation")[1],
                  entry["share_of_bandwidth"])

    main = "random tiny Q4_0" if options.quick else "random 1B Q4_0"
    if main in models:
        more(rates, round_of, models[main], main, whole[main], options.quick)
    small = next(iter(models))
    half = round_of(models[small], **sizes, layers="half")
    entry, _ = half.best("prompt")
    full, _ = whole[small].best("prompt")
    rates.row(f"{small}, half of its layers, no words", entry["tokens_per_second"], 0, entry["share_of_products"],
              None if options.quick else 1.9, entry["tokens_per_second"] / full["tokens_per_second"])
    rates.row("  the same, all of it", full["tokens_per_second"], 0, full["share_of_products"])
    exact = round_of(models[small], **sizes, precision="exact")
    for what, share in (("prompt", "share_of_products"), ("generation", "share_of_bandwidth")):
        entry, _ = exact.best(what)
        rates.row(f"{small}, --precision exact, {what}", entry["tokens_per_second"], 0, entry[share])
    greedy_text(rates, agon, models[small], small, threads, options.quick)
    if not options.quick:
        on_avx2(rates, build, python, models, threads, sizes, rounds, repeats, agon)
    profiles(starts)
    start_up(table, starts, options.quick)
    packed_start(table, agon, work, starts, threads, options.quick)


def greedy_text(rates, agon, path, name, threads, quick):
    """Answers to prompts of votes, with guesses of what is said again and without: the same text, in turns."""
    prompts = [json.loads(row["prompt"])[0] for row in arena_votes()][::750 if quick else 60]
    tokens, seconds, passes = 0, [0.0, 0.0], 0
    for prompt in prompts:
        words = [agon, "generate", "-m", path, prompt[:1500], "--json", "--max-tokens", 16 if quick else 200, "--threads", threads]
        # The tiny models' vocabulary has no template.
        words += ["--raw"] if quick else []
        runs = [output(words), output([*words, "--no-lookahead"])]
        if runs[0]["tokens"] != runs[1]["tokens"]:
            rates.table.missed.append(f"{name}: the text of {prompt[:40]!r} is another with guesses")
        tokens += len(runs[0]["tokens"])
        passes += max(1, runs[0]["passes"])
        for which, run in enumerate(runs):
            seconds[which] += len(run["tokens"]) / run["tokens_per_second"] if run["tokens_per_second"] else 0
    rates.row(f"{name}, {len(prompts)} answers, greedy", tokens / seconds[0], 0, None, None, seconds[1] / seconds[0])
    rates.row(f"  token by token ({tokens / passes:.2f} a pass above)", tokens / seconds[1])


def profiles(models):
    """Where the time goes, in percent of all threads' time: the step takes what its products and all else in it take."""
    for what in ("prompt", "generation"):
        runs = {name: min(both.ours, key=lambda run: -run[what]["tokens_per_second"])["profile"][what] for name, _, both in models}
        print(f"\n{f'Where the time goes, {what}':32} " + " ".join(f"{name:>19}" for name in runs), flush=True)
        for step in next(iter(runs.values())):
            print(f"{step:32} " + " ".join(f"{run[step]:19.1%}" for run in runs.values()), flush=True)


def on_avx2(rates, build, python, models, threads, sizes, rounds, repeats, agon):
    """The small models once more, both sides without AVX-512 and products of bytes."""
    peer = llama_avx2_python(build) if python else None
    for name in list(models)[:2]:
        both = Round(agon, peer, models[name], threads, rounds, repeats, cpu="avx2", **sizes)
        for what, words, share in (("prompt", f"prompt of {sizes['prompt']}", "share_of_products"),
                                   ("generation", f"generation of {sizes['generate']}", "share_of_bandwidth")):
            entry, theirs = both.best(what)
            rates.row(f"{name}, AVX2, {words}", entry["tokens_per_second"], theirs, entry[share], 1.3)


def more(rates, round_of, path, name, whole, quick):
    """Long prompts, sequences together, and scoring: on the model that the goals name."""
    length, sequences, continuations = (256, 4, 8) if quick else (4096, 16, 64)
    entry, peer = round_of(path, prompt=length).best("prompt")
    short, _ = whole.best("prompt")
    rates.row(f"{name}, prompt of {length}", entry["tokens_per_second"], peer, entry["share_of_products"])
    rates.row("  over the shorter prompt's rate", entry["tokens_per_second"], 0, None, None if quick else 0.86,
              entry["tokens_per_second"] / short["tokens_per_second"])
    together, peer = round_of(path, generate=32, sequences=sequences).best("generation")
    one, _ = whole.best("generation")
    rates.row(f"{name}, {sequences} sequences together", together["tokens_per_second"], peer, together["share_of_products"])
    rates.row("  over one sequence's rate", together["tokens_per_second"], 0, None, None if quick else 6,
              together["tokens_per_second"] / one["tokens_per_second"])
    scored = round_of(path, continuations=continuations)
    all_of_them, _ = scored.best("score")
    alone, peer = scored.best("score_alone")
    rates.row(f"{name}, {continuations} continuations of 32", all_of_them["tokens_per_second"], peer,
              all_of_them["share_of_products"])
    rates.row("  over one alone, context of 1,024", all_of_them["tokens_per_second"], 0, None, None if quick else 15,
              all_of_them["tokens_per_second"] / alone["tokens_per_second"])


def quickest_start(runs):
    """Seconds of the steps of the quickest start, and the same in words."""
    best = min((run["start_up_seconds"] for run in runs), key=lambda one: sum(one.values()))
    return best, ", ".join(f"{part.replace('_', ' ')} {seconds * 1e3:.0f}" for part, seconds in best.items())


def memory_line(table, name, used, memory, peer=""):
    limit = (memory["file"] + memory["cache"]) / 2**20 + 200
    table.line(f"{name}, memory", f"{used:.0f} MiB{peer}", f"file, cache and 200 MiB ({limit:.0f} MiB)", used <= limit)


def start_up(table, starts, quick):
    print("\nStart-up to the first token, and the most memory", flush=True)
    for name, path, both in starts:
        ours, theirs = both.start_up()
        _, parts = quickest_start(both.ours)
        without = ours - min(run["start_up_seconds"]["weights"] for run in both.ours)
        peer = f", peer {theirs * 1e3:.0f} ms" if theirs else ""
        table.line(f"{name}, start-up", f"{ours * 1e3:.0f} ms ({parts}){peer}",
                   None if quick else "under 100 ms without repacking", without < 0.1)
        ours, theirs = both.memory()
        memory_line(table, name, ours, both.ours[0]["memory_bytes"], f", peer {theirs:.0f} MiB" if theirs else "")


def packed_start(table, agon, work, starts, threads, quick):
    """The same with weights that an earlier start has repacked and kept: nothing but to map them."""
    print("\nThe same with --packed, from the second start on", flush=True)
    for name, path, _ in starts:
        kept = work / f"{path.stem}.packed"
        command = [agon, "bench-model", "-m", path, "--packed", kept, "--threads", threads, "--prompt", 16, "--generate", 4, "--repeats", 1,
                   "--json"]
        first, *later = (output(command) for _ in range(4))
        kept.unlink()
        best, parts = quickest_start(later)
        took = sum(best.values())
        table.line(f"{name}, start-up", f"{took * 1e3:.0f} ms ({parts}), the first time {sum(first['start_up_seconds'].values()) * 1e3:.0f}",
                   None if quick else "under 100 ms", took < 0.1)
        used = max(run["memory_bytes"]["peak"] for run in later) / 2**20
        memory_line(table, name, used, first["memory_bytes"])
