#!/usr/bin/env python3
"""Fits the bundled ratings of models to the bundled counts of battles.

The model is Bradley and Terry's (1952), P(i beats j) = 1 / (1 + exp(b_j - b_i)), with a tie of either
kind ("tie" and "both bad") as half a win for each side, as the Chatbot Arena's leaderboard did it.
Ratings are 400 / ln 10 * b, shifted so that the anchor model has the anchor rating. The maximum of
the concave likelihood is found by Newton's method with step halving, down to rounding error.

    scripts/make_ratings.py data/battles/arena_2024-08-14_pair_counts.json.gz data/ratings/arena_2024-08-14.csv
"""

import argparse
import csv
import gzip
import io
import json
import math
import sys

SCALE = 400 / math.log(10)


def solve(matrix, rhs):
    """Solves a symmetric positive definite system by Cholesky; `matrix` is overwritten."""
    n = len(rhs)
    for j in range(n):
        row_j = matrix[j]
        pivot = row_j[j] - math.fsum(row_j[k] * row_j[k] for k in range(j))
        row_j[j] = pivot = math.sqrt(pivot)
        for i in range(j + 1, n):
            row_i = matrix[i]
            row_i[j] = (row_i[j] - sum(a * b for a, b in zip(row_i[:j], row_j[:j]))) / pivot
    y = [0.0] * n
    for i in range(n):
        y[i] = (rhs[i] - sum(matrix[i][k] * y[k] for k in range(i))) / matrix[i][i]
    x = [0.0] * n
    for i in reversed(range(n)):
        x[i] = (y[i] - sum(matrix[k][i] * x[k] for k in range(i + 1, n))) / matrix[i][i]
    return x


def fit(n, pairs, tolerance=1e-10, max_iterations=100):
    """Strengths of `n` models, the first fixed at 0. `pairs` are (i, j, score of i, score of j)."""

    def likelihood(b):
        total = 0.0
        for i, j, wins_i, wins_j in pairs:
            d = b[i] - b[j]
            # ln(1 + e^-d) without overflow on either side.
            soft = math.log1p(math.exp(-abs(d))) + max(-d, 0.0)
            total -= wins_i * soft + wins_j * (soft + d)
        return total

    b = [0.0] * n
    value = likelihood(b)
    for _ in range(max_iterations):
        gradient = [0.0] * n
        hessian = [[0.0] * n for _ in range(n)]
        for i, j, wins_i, wins_j in pairs:
            p = 1 / (1 + math.exp(b[j] - b[i]))
            residual = wins_i - (wins_i + wins_j) * p
            curvature = (wins_i + wins_j) * p * (1 - p)
            gradient[i] += residual
            gradient[j] -= residual
            hessian[i][i] += curvature
            hessian[j][j] += curvature
            hessian[i][j] -= curvature
            hessian[j][i] -= curvature
        step = [0.0] + solve([row[1:] for row in hessian[1:]], gradient[1:])
        rate = 1.0
        while True:
            candidate = [x + rate * s for x, s in zip(b, step)]
            candidate_value = likelihood(candidate)
            if candidate_value >= value - 1e-9 * abs(value) or rate < 1e-6:
                break
            rate /= 2
        b, value = candidate, candidate_value
        if max(abs(s) for s in step) * rate < tolerance:
            return b
    raise ValueError(f"did not converge in {max_iterations} iterations")


def check_linked(n, pairs):
    """Raises unless battles link every model to every other: else their difference has no estimate."""
    linked, todo = {0}, [0]
    neighbours = [[] for _ in range(n)]
    for i, j, _, _ in pairs:
        neighbours[i].append(j)
        neighbours[j].append(i)
    while todo:
        for j in neighbours[todo.pop()]:
            if j not in linked:
                linked.add(j)
                todo.append(j)
    if len(linked) < n:
        raise ValueError("the models are not all linked by battles")


def ratings(counts, anchor, anchor_rating):
    """Model name to rating, from {"models": [...], "X": [[i, j]], "Y": [[wins, losses, ties, both bad]]}."""
    pairs = []
    for (i, j), (wins_i, wins_j, ties, both_bad) in zip(counts["X"], counts["Y"], strict=True):
        half = (ties + both_bad) / 2
        pairs.append((i, j, wins_i + half, wins_j + half))
    names = counts["models"]
    check_linked(len(names), pairs)
    strengths = fit(len(names), pairs)
    shift = anchor_rating - SCALE * strengths[names.index(anchor)]
    return {name: SCALE * b + shift for name, b in zip(names, strengths)}


def as_csv(rated):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["model", "rating"])
    for name, rating in sorted(rated.items(), key=lambda item: (-item[1], item[0])):
        writer.writerow([name, f"{rating:.6f}"])
    return out.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("counts", help="JSON of pair counts, plain or .gz")
    parser.add_argument("output", help="CSV to write: model,rating")
    parser.add_argument("--anchor", default="mixtral-8x7b-instruct-v0.1")
    parser.add_argument("--anchor-rating", type=float, default=1114.0)
    options = parser.parse_args()
    opener = gzip.open if options.counts.endswith(".gz") else open
    with opener(options.counts, "rt", encoding="utf-8") as file:
        counts = json.load(file)
    rated = ratings(counts, options.anchor, options.anchor_rating)
    with open(options.output, "w", encoding="utf-8", newline="") as file:
        file.write(as_csv(rated))
    print(f"{len(rated)} models rated in {options.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
