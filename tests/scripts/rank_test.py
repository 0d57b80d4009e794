"""Runs of `agon rank`: boards from every form of votes, and how every bad file and bad call ends."""

import csv
import gzip
import json
import math
import random
import subprocess
import time
import unittest
from pathlib import Path

from rank_runs import COUNTS, HEADER, PROGRAM, ROOT, ROUND, RankRuns, agon

VOTES = ROOT / "data/votes/mt_bench_human.csv.gz"


class Rank(RankRuns):
    def board(self, *words):
        out = self.folder / "board.json"
        run = agon("rank", *words, "-q", "-o", out)
        self.assertEqual((run.returncode, run.stdout), (0, ""), run.stderr)
        return json.loads(out.read_text())["board"]

    def test_the_published_arena_of_august_2024(self):
        board = self.board(COUNTS, "--anchor", "mixtral-8x7b-instruct-v0.1=1114")
        top = [(row["model"], row["rating"]) for row in board["models"][:3]]
        expected = [("chatgpt-4o-latest", 1315.156092), ("gemini-1.5-pro-exp-0801", 1298.419702), ("gpt-4o-2024-05-13", 1285.827775)]
        for (name, rating), (wanted_name, wanted) in zip(top, expected):
            self.assertEqual(name, wanted_name)
            self.assertAlmostEqual(rating, wanted, places=5)
        self.assertTrue(board["converged"])
        self.assertLess(board["gradient_norm"], 1e-9)

    def test_likelihoods_of_the_tie_models(self):
        board = self.board(COUNTS, "--drop-both-bad")
        loss = {row["model"]: row["loss"] for row in board["tie_models"]}
        self.assertAlmostEqual(loss["half"], 0.655411, places=6)
        self.assertAlmostEqual(loss["rao-kupper"], 1.009483, places=6)
        self.assertAlmostEqual(loss["davidson"], 1.010007, places=6)

    def test_every_form_gives_the_same_board(self):
        rows = [("a", "b", "model_a"), ("b", "a", "model_b"), ("a", "c", "tie"), ("c", "b", "model_a"), ("b", "c", "model_a"),
                ("c", "a", "model_a"), ("a", "b", "tie (bothbad)")]
        plain = self.path("plain.csv", HEADER + "".join(f"{a},{b},{w}\n" for a, b, w in rows))
        named = self.path("named.csv", "left,right,verdict\n" + "".join(f"{a},{b},{w}\n" for a, b, w in rows))
        lines = self.path("lines.jsonl", "".join(json.dumps({"model_a": a, "model_b": b, "winner": w}) + "\n" for a, b, w in rows))
        array = self.path("array.json", json.dumps([{"model_a": a, "model_b": b, "winner": w} for a, b, w in rows]))
        packed = self.folder / "packed.csv.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        boards = [self.board(plain), self.board(named, "--first", "left", "--second", "right", "--winner", "verdict"),
                  self.board(lines), self.board(array), self.board(packed)]
        for board in boards[1:]:
            self.assertEqual(board["models"], boards[0]["models"])
        run = agon("rank", "-", stdin=plain.read_text())
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_the_same_bytes_on_any_number_of_threads(self):
        outputs = []
        for threads in (1, 3):
            out = self.folder / f"{threads}.csv"
            self.assertEqual(agon("rank", COUNTS, "-q", "-o", out, "--threads", threads, "--intervals", "bootstrap", "--draws", 50).returncode, 0)
            outputs.append(out.read_bytes())
        self.assertEqual(*outputs)

    def test_files_of_a_board(self):
        votes = self.path("votes.csv", ROUND)
        names = ["b.csv", "b.json", "b.md"]
        run = agon("rank", votes, *[word for name in names for word in ("-o", name)], cwd=self.folder)
        self.assertEqual(run.returncode, 0, run.stderr)
        with open(self.folder / "b.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(sorted(row["model"] for row in rows), ["a", "b", "c"])
        self.assertTrue(all(row["converged"] == "1" for row in rows))
        self.assertIn("| a", (self.folder / "b.md").read_text())

    def test_categories_clusters_and_style_on_real_votes(self):
        run = agon("rank", VOTES, "--style", "--by", "category", "--cluster", "judge", "--top", 3)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("gpt-4", run.stdout)
        self.assertIn("Ranks by 'category'", run.stdout)
        self.assertIn("clusters of 'judge'", run.stdout)
        self.assertIn("words", run.stdout)

    def test_lists_of_style_columns_and_of_categories_with_weights(self):
        draw = random.Random(7)
        rows = []
        for k in range(600):
            first, second = draw.sample("abc", 2)
            numbers = [draw.randrange(1, 50) for _ in range(4)]
            rows.append([first, second, draw.choice(["model_a", "model_b", "tie"]), *numbers, "xy"[k % 2]])
        header = "model_a,model_b,winner,words_a,words_b,lists_a,lists_b,topic\n"
        votes = self.path("styled.csv", header + "".join(",".join(map(str, row)) + "\n" for row in rows))
        both = self.board("--style-columns", "words,lists", votes)["style"]["effects"]
        self.assertEqual([effect["name"] for effect in both], ["words", "lists"])
        self.assertEqual(len(self.board("--style-columns", "lists", votes)["style"]["effects"]), 1)

        out = self.folder / "mixed.json"
        run = agon("rank", "--by", "topic", "--composite", "x=1,y=3", votes, "-q", "-o", out)
        self.assertEqual(run.returncode, 0, run.stderr)
        made = json.loads(out.read_text())
        ratings = {board["name"]: {row["model"]: row["rating"] for row in board["models"]} for board in made["categories"]["boards"]}
        for row in made["board"]["models"]:
            self.assertAlmostEqual(row["rating"], (ratings["x"][row["model"]] + 3 * ratings["y"][row["model"]]) / 4, places=6)

    def test_bad_calls(self):
        votes = self.path("votes.csv", ROUND)
        self.assertIn("files", self.fails(2))
        self.assertIn("NAME=NUMBER", self.fails(2, votes, "--anchor", "a"))
        self.assertIn("NAME=NUMBER", self.fails(2, votes, "--anchor", "a=high"))
        self.assertIn(".html, .csv, .json or .md", self.fails(2, votes, "-o", "board.png"))
        self.assertIn("--by", self.fails(2, votes, "--composite", "x=1"))
        self.assertIn("half,davidson", self.fails(2, votes, "--tie", "coin"))
        self.assertIn("anchor 'z'", self.fails(1, votes, "--anchor", "z=1"))
        self.assertIn("colour", self.fails(2, votes, "--by", "colour"))
        self.assertIn("NAME_a and NAME_b", self.fails(2, votes, "--style"))
        self.assertIn("no_such", self.fails(1, "no_such.csv"))

    def test_bad_votes(self):
        def error(body, *words):
            return self.fails(1, self.path("bad.csv", body), *words)

        self.assertIn("empty", error(""))
        self.assertIn("row 2", error(HEADER + "a,b,model_a\na,a,model_a\n"))
        self.assertIn("itself", error(HEADER + "a,b,model_a\na,a,model_a\n"))
        self.assertIn("empty", error(HEADER + "a,b,model_a\n,b,model_a\n"))
        unknown = error(HEADER + "a,b,model_a\na,b,nobody\nb,a,whoever\n")
        self.assertIn("nobody", unknown)
        self.assertIn("model_a", unknown)
        for weight in ("-1", "nan", "inf", "x"):
            self.assertIn("weight", error(f"model_a,model_b,winner,weight\na,b,model_a,{weight}\n"))
        self.assertIn("a", error(HEADER + "a,b,model_a\n" * 5))  # one pair, always won: no finite rating
        self.assertIn("ridge", error(HEADER + "a,b,model_a\n" * 5))
        self.assertNotEqual("", error(HEADER + "a,b,model_a\nb,a,model_a\nc,d,model_a\nd,c,model_a\n"))  # two islands
        self.assertNotEqual("", error(HEADER))

    def test_small_but_good_votes(self):
        ties = self.board(self.path("ties.csv", HEADER + "a,b,tie\n" * 4 + "b,c,tie\n" * 4))
        self.assertEqual({round(row["rating"], 6) for row in ties["models"]}, {1000})
        pair = self.board(self.path("pair.csv", HEADER + "a,b,model_a\n" * 3 + "a,b,model_b\n"))
        self.assertAlmostEqual(pair["models"][0]["rating"] - pair["models"][1]["rating"], 400 * 0.47712125472, places=4)
        won = self.board(self.path("won.csv", HEADER + "a,b,model_a\n" * 5), "--firth")
        self.assertIn("Firth", won["penalty"])

    def test_bad_rows_are_skipped_and_counted_when_asked(self):
        votes = self.path("votes.csv", ROUND + "a,a,tie\na,b,who\n")
        run = agon("rank", votes, "--skip-bad")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("2 bad rows skipped", run.stderr)
        self.assertIn("--skip-bad", self.fails(1, self.path("self.csv", ROUND + "a,a,tie\n")))

    def test_watch_reads_whole_lines_only_and_goes_on(self):
        log = self.path("log.jsonl", "")
        line = '{"model_a":"%s","model_b":"%s","winner":"%s"}\n'
        out = self.folder / "board.json"
        process = subprocess.Popen(
            [PROGRAM, "rank", "watch", log, "-o", out, "--every", "0.05", "--until-idle", "2"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with open(log, "a") as file:
            file.write(line % ("a", "b", "model_a") + line % ("b", "a", "model_a") + '{"model_a":"a","mod')
            file.flush()
            time.sleep(0.5)
            file.write('el_b":"b","winner":"tie"}\n')
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn("2 votes on 2 competitors", output)
        self.assertIn("3 votes on 2 competitors", output)
        self.assertRegex(output, r"\+1 votes: read in [\d.]+ ms, refitted in [\d.]+ ms, the whole board in [\d.]+ ms")
        self.assertEqual(json.loads(out.read_text())["board"]["battles"], 3)
        self.assertEqual(agon("rank", "watch", self.folder / "none.jsonl").returncode, 1)
        bad = self.path("bad.jsonl", line % ("a", "b", "who"))
        run = agon("rank", "watch", bad, "--until-idle", "0.1")
        self.assertEqual(run.returncode, 1)
        self.assertIn("who", run.stderr)

    def test_powered_by_a_model_that_has_not_seen_the_votes(self):
        sample = Path(__file__).resolve().parents[1] / "data/votes/lmsys_sample.csv"
        model = self.folder / "model.agon"
        self.assertEqual(agon("train", sample, "-o", model, "--no-cv", "-q").returncode, 0)
        out = self.folder / "powered.csv"
        run = agon("rank", "powered", VOTES, "--unvoted", VOTES, "--model", model, "-o", out)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("converged", run.stdout)
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 6)
        human = {row["model"]: row["rating"] for row in self.board(VOTES)["models"]}
        for row in rows:
            self.assertAlmostEqual(float(row["human_rating"]), human[row["model"]], places=5)
            self.assertLessEqual(float(row["se"]), 1.02 * float(row["human_se"]))
        refused = agon("rank", "powered", sample, "--unvoted", VOTES, "--model", model)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("trained on this file", refused.stderr)

    def test_check_and_next_end_with_the_right_code(self):
        good = agon("rank", "check", COUNTS)
        self.assertEqual(good.returncode, 0, good.stderr)
        bad = agon("rank", "check", self.path("bad.csv", HEADER + "a,b,model_a\n" * 5))
        self.assertEqual(bad.returncode, 1, bad.stderr)
        self.assertIn("a", bad.stdout)
        plan = agon("rank", "next", COUNTS, "--votes", 100, "--top", 5)
        self.assertEqual(plan.returncode, 0, plan.stderr)

    def test_judges_that_favour_their_own(self):
        # Judge j1 is of a's house and prefers a; j2 is of no house and thinks all alike.
        rows = "a,b,model_a,j1\n" * 30 + "b,a,model_b,j1\n" * 30 + "a,b,model_b,j1\n" * 10 + "a,b,model_a,j2\n" * 40 + "b,a,model_a,j2\n" * 40
        votes = self.path("judged.csv", "model_a,model_b,winner,judge\n" + rows)
        houses = self.path("houses.csv", "model,organisation\na,acme\nj1,acme\nb,other\n")
        effects = self.board(votes, "--organisations", houses)["style"]["effects"]
        self.assertEqual([e["name"] for e in effects], ["same organisation"])
        self.assertAlmostEqual(effects[0]["log_odds"], math.log(60 / 10), places=6)
        self.assertGreater(effects[0]["low"], 0)
        self.assertIn("model and organisation", self.fails(1, votes, "--organisations", votes))

    def test_an_old_board_stays_whole_when_the_run_fails(self):
        old = self.path("board.csv", "old")
        self.fails(1, self.path("bad.csv", HEADER + "a,b,who\n"), "-o", old)
        self.assertEqual(old.read_text(), "old")
        self.assertIn("/no/such/folder", self.fails(1, self.path("votes.csv", ROUND), "-o", "/no/such/folder/board.csv"))


if __name__ == "__main__":
    unittest.main()
