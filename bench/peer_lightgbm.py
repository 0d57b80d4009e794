"""The peer that agon is measured against: scikit-learn's TfidfVectorizer and LightGBM.

What public notebooks of the competition do without a language model: TF-IDF of word 1-2-grams and of
character 3-5-grams within words, as the difference of the two answers, beside lengths, structure counts and
overlap with the prompt; multi-class LightGBM on the rows and on their swapped twins; predictions of a row and
of its twin averaged.

    peer_lightgbm.py train VOTES MODEL
    peer_lightgbm.py predict MODEL VOTES OUT
"""

import json
import re
import sys

import joblib
import lightgbm
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

SEED = 1
WORD = re.compile(r"\w+")
# One count an answer each, of the kinds that agon counts too.
PATTERNS = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^#{1,6} ", r"^\s*[-*+] ", r"^\s*\d+[.)] ", r"\*\*[^*\n]+\*\*", r"```", r"`[^`\n]+`", r"^\|.*\|", r"\$[^$\n]+\$",
        r"\]\(", r"[.!?](?:\s|$)", r"\?", r"!", r",", r"[\"']", r"\(", r":", r"\d", r"[A-Z]", r"[^\x00-\x7f]", r"\n\n",
        r"(?i)\b(?:sorry|cannot|can't|unable|as an ai)\b", r"(?i)\b(?:may|might|perhaps|possibly|likely)\b",
    )
]


def text_of(cell):
    """All turns of a cell as one text; null turns are empty."""
    return "\n".join(turn or "" for turn in json.loads(cell)).encode("utf-8", "replace").decode("utf-8")


def read(path):
    # Some texts hold lone surrogates as JSON escapes; text_of replaces them.
    frame = pd.read_csv(path, dtype={"id": str}, keep_default_na=False)
    texts = [[text_of(cell) for cell in frame[name]] for name in ("prompt", "response_a", "response_b")]
    return frame, *texts


def counts_of(text, prompt_words):
    words = [word.lower() for word in WORD.findall(text)]
    distinct = set(words)
    n = max(len(words), 1)
    bigrams = list(zip(words, words[1:]))
    row = [len(text), len(words), text.count("\n"), len(text) / n, len(distinct) / n,
           len(distinct & prompt_words) / max(len(prompt_words), 1), 1 - len(set(bigrams)) / max(len(bigrams), 1)]
    row += [len(pattern.findall(text)) for pattern in PATTERNS]
    return row, distinct


def dense_features(prompts, first, second):
    """(counts of A, counts of B, features that don't change when A and B change places)."""
    left, right, even = [], [], []
    for prompt, a, b in zip(prompts, first, second):
        prompt_words = {word.lower() for word in WORD.findall(prompt)}
        row_a, words_a = counts_of(a, prompt_words)
        row_b, words_b = counts_of(b, prompt_words)
        left.append(row_a)
        right.append(row_b)
        even.append([len(prompt), len(prompt_words), len(words_a & words_b) / max(len(words_a | words_b), 1), a == b])
    return (np.log1p(np.array(rows, dtype=np.float32)) for rows in (left, right, even))


def design(difference, left, right, even, swapped):
    if swapped:
        difference, left, right = -difference, right, left
    relative = (left - right) / (left + right + 1e-6)
    return sparse.hstack([sparse.csr_matrix(np.hstack([left, right, left - right, relative, even])), difference],
                         format="csr", dtype=np.float32)


def vectorizers():
    shared = {"min_df": 5, "max_df": 0.95, "max_features": 5000, "sublinear_tf": True, "dtype": np.float32}
    return [TfidfVectorizer(ngram_range=(1, 2), **shared),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), **shared)]


def tfidf_difference(tfidfs, first, second, fit):
    parts = []
    for tfidf in tfidfs:
        both = first + second
        matrix = tfidf.fit_transform(both) if fit else tfidf.transform(both)
        parts.append(matrix[: len(first)] - matrix[len(first) :])
    return sparse.hstack(parts, format="csr")


def train(votes, model):
    frame, prompts, first, second = read(votes)
    tfidfs = vectorizers()
    difference = tfidf_difference(tfidfs, first, second, fit=True)
    dense = list(dense_features(prompts, first, second))
    label = frame[["winner_model_a", "winner_model_b", "winner_tie"]].to_numpy().argmax(axis=1)
    rows = sparse.vstack([design(difference, *dense, swapped=False), design(difference, *dense, swapped=True)])
    labels = np.concatenate([label, np.array([1, 0, 2])[label]])
    booster = lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "learning_rate": 0.05, "num_leaves": 7, "max_depth": 3,
         "min_data_in_leaf": 20, "max_bin": 63, "feature_fraction": 0.3, "bagging_fraction": 0.8, "bagging_freq": 1,
         "lambda_l2": 10.0, "seed": SEED, "deterministic": True, "force_row_wise": True, "verbosity": -1},
        lightgbm.Dataset(rows, labels, free_raw_data=True), num_boost_round=200)
    joblib.dump({"tfidfs": tfidfs, "booster": booster.model_to_string()}, model)


def predict(model, votes, out):
    saved = joblib.load(model)
    booster = lightgbm.Booster(model_str=saved["booster"])
    frame, prompts, first, second = read(votes)
    difference = tfidf_difference(saved["tfidfs"], first, second, fit=False)
    dense = list(dense_features(prompts, first, second))
    straight = booster.predict(design(difference, *dense, swapped=False))
    twisted = booster.predict(design(difference, *dense, swapped=True))[:, [1, 0, 2]]
    table = pd.DataFrame((straight + twisted) / 2, columns=["winner_model_a", "winner_model_b", "winner_tie"])
    table.insert(0, "id", frame["id"])
    table.to_csv(out, index=False)


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    {"train": train, "predict": predict}[verb](*arguments)
