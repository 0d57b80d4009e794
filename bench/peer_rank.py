"""The peers that `agon rank` is measured against: arena-rank, evalica and choix, used as their documents show, and
FastChat's Bradley-Terry.

    peer_rank.py arena-rank|evalica|choix|fastchat BATTLES OUT [--bootstrap N]

BATTLES is a CSV with model_a, model_b and winner; ties of both kinds are half wins. OUT is a JSON: "ratings" by
model (400 points are odds of ten; only differences mean anything), with low and high where the peer makes them, and
"stopped", whether the peer gave up before its own tolerance, where it says so. Standard error gets the seconds of
each stage.
"""

import json
import math
import sys
import time

import pandas as pd

OUTCOMES = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5}


def arena_rank(frame, bootstrap):
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    dataset = PairDataset.from_pandas(frame)
    stage("data set")
    model = BradleyTerry(n_competitors=len(dataset.competitors))
    how = {"ci_method": "bootstrap", "num_bootstrap": bootstrap} if bootstrap else {}
    result = model.compute_ratings_and_cis(dataset, significance_level=0.05, **how)
    stage("fit and intervals")
    return {str(name): [float(r), float(low), float(high)] for name, r, low, high in zip(
        result["competitors"], result["ratings"], result["rating_lower"], result["rating_upper"], strict=True)}, None


def evalica(frame, bootstrap):
    import evalica as library

    names = {"model_a": library.Winner.X, "model_b": library.Winner.Y, "tie": library.Winner.Draw,
             "tie (bothbad)": library.Winner.Draw}
    winners = [names[w] for w in frame["winner"]]
    stage("data set")
    # Its tolerance is on the change of a step; the default stops early.
    limit = 100_000
    result = library.bradley_terry(frame["model_a"], frame["model_b"], winners, tolerance=1e-12, limit=limit)
    stage("fit")
    ratings = {str(name): [400 * math.log10(score), None, None] for name, score in result.scores.items()}
    return ratings, result.iterations >= limit


def choix(frame, bootstrap):
    import choix as library

    models = sorted(set(frame["model_a"]) | set(frame["model_b"]))
    number = {name: i for i, name in enumerate(models)}
    import numpy as np

    # Each battle is two half votes, a tie one each way: counts are all that the likelihood sees.
    wins = np.zeros((len(models), len(models)))
    shares = frame["winner"].map(OUTCOMES).to_numpy()
    first, second = frame["model_a"].map(number).to_numpy(), frame["model_b"].map(number).to_numpy()
    np.add.at(wins, (first, second), shares)
    np.add.at(wins, (second, first), 1 - shares)
    stage("data set")
    strengths = library.ilsr_pairwise_dense(wins, tol=1e-12, max_iter=1000)
    stage("fit")
    ratings = {name: [400 / math.log(10) * float(s), None, None] for name, s in zip(models, strengths, strict=True)}
    return ratings, None


def fastchat(frame, bootstrap):
    # The module of its Bradley-Terry also draws charts and reads a server's logs; only numpy, pandas and
    # scikit-learn take part in the fit.
    import types
    for name, members in {"plotly": [], "plotly.express": [], "tqdm": ["tqdm"], "pytz": ["timezone"],
                          "fastchat.model": [], "fastchat.model.model_registry": ["get_model_info"],
                          "fastchat.serve.monitor.basic_stats": ["get_log_files"],
                          "fastchat.serve.monitor.clean_battle_data": ["clean_battle_data"]}.items():
        module = types.ModuleType(name)
        for member in members:
            setattr(module, member, None)
        sys.modules[name] = module
    sys.modules["plotly"].express = sys.modules["plotly.express"]
    from fastchat.serve.monitor.elo_analysis import compute_elo_mle_with_tie

    ratings = compute_elo_mle_with_tie(frame)
    stage("data set and fit")
    return {str(name): [float(r), None, None] for name, r in ratings.items()}, None


def stage(name):
    global last
    now = time.perf_counter()
    print(f"{name}: {now - last:.2f} s", file=sys.stderr)
    last = now


if __name__ == "__main__":
    peer, path, out = sys.argv[1:4]
    draws = int(sys.argv[5]) if len(sys.argv) > 5 and sys.argv[4] == "--bootstrap" else 0
    last = time.perf_counter()
    battles = pd.read_csv(path, usecols=["model_a", "model_b", "winner"])
    stage("reading")
    peers = {"arena-rank": arena_rank, "evalica": evalica, "choix": choix, "fastchat": fastchat}
    ratings, stopped = peers[peer](battles, draws)
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"ratings": ratings, "stopped": stopped}, file)
