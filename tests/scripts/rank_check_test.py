"""Runs of `agon rank check` and `agon rank next`: what they say of sound and of unsound votes, and how bad calls end."""

import json
import unittest

from rank_runs import COUNTS, HEADER, ROOT, ROUND, RankRuns, agon

CROWD = ROOT / "data/votes/llmfao_crowd.csv.gz"
CAMPS = HEADER + "a,b,model_a\nb,a,model_a\nc,d,model_a\nd,c,model_a\n" * 5


class CheckAndNext(RankRuns):
    def json_of(self, verb, *words, code=0):
        run = agon("rank", verb, *words, "--json", "-")
        self.assertEqual((run.returncode, run.stderr), (code, ""), run.stderr)
        return json.loads(run.stdout)

    def test_the_arena_is_fit_to_rank_from(self):
        health = self.json_of("check", COUNTS)
        self.assertTrue(health["fit_to_rank_from"])
        first = health["first_place"]
        self.assertEqual(first["leader"], "chatgpt-4o-latest")
        self.assertAlmostEqual(first["margin_points"], 1315.156092 - 1298.419702, places=5)
        self.assertEqual(sum(d["votes"] for d in first["dropped"]), first["votes_verified_by_refit"])
        self.assertLess(first["share"], 0.001)
        self.assertEqual(len(health["without_a_model"]), 129)

    def test_dropping_the_votes_it_names_does_change_the_first_place(self):
        rows = ["a,b,model_a"] * 30 + ["a,b,model_b"] * 25 + ["b,c,model_a"] * 30 + ["b,c,model_b"] * 22 + ["a,c,model_a"] * 28 + ["a,c,model_b"] * 20
        first = self.json_of("check", self.path("votes.csv", HEADER + "\n".join(rows)))["first_place"]
        self.assertEqual(first["leader"], "a")
        for drop in first["dropped"]:
            for _ in range(drop["votes"]):
                rows.remove(f"{drop['model_a']},{drop['model_b']},{drop['winner']}")
        after = self.json_of("check", self.path("fewer.csv", HEADER + "\n".join(rows)))["first_place"]
        self.assertEqual(after["leader"], first["first_then"])

    def test_camps_that_never_met(self):
        path = self.path("camps.csv", CAMPS)
        run = agon("rank", "check", path)
        self.assertEqual((run.returncode, run.stderr), (1, ""))
        self.assertIn("NOT fit to rank from", run.stdout)
        self.assertIn("2 groups that never met", run.stdout)
        self.assertFalse(self.json_of("check", path, code=1)["fit_to_rank_from"])
        # and which pairs would mend it
        plan = self.json_of("next", path, "--votes", 10)
        self.assertIn("never met", plan["no_finite_ratings"])
        for pair in plan["pairs"]:
            self.assertEqual(len({pair["model_a"], pair["model_b"]} & {"a", "b"}), 1)

    def test_voters_of_the_crowd(self):
        health = self.json_of("check", CROWD)
        found = {v["voter"]: v for v in health["voters"]["found"]}
        self.assertIn("worker_15", found)
        self.assertEqual(found["worker_15"]["model"], "Weaver 12k")
        again = self.json_of("check", CROWD, "--threads", 1)
        for run in (health, again):
            run["made_by"] = None
        self.assertEqual(health, again)

    def test_ids_and_variants(self):
        path = self.path("ids.csv", "id,model_a,model_b,winner\n" + "".join(f"{k // 2},{row}\n" for k, row in enumerate(ROUND.split("\n")[1:-1])))
        health = self.json_of("check", path, "--id", "id", "--variants", "best=a,b,c", "--variants", "a=9")
        self.assertEqual(health["duplicate_ids"]["extra_votes"], 10)
        self.assertEqual([v["tried"] for v in health["variants"]], [3, 9])
        self.assertIn("'nosuch'", self.fails(1, "check", path, "--variants", "x=a,nosuch"))
        self.assertIn("NAME=", self.fails(2, "check", path, "--variants", "x=a"))
        self.assertIn("nosuch", self.fails(2, "check", path, "--id", "nosuch"))

    def test_plans(self):
        path = self.path("round.csv", ROUND)
        plan = self.json_of("next", path, "--votes", 60, "--between", "a,b")
        self.assertEqual([(p["model_a"], p["model_b"], p["votes"]) for p in plan["pairs"]], [("a", "b", 60)])
        for wish in (["--for", "c"], ["--top", 2], []):
            plan = self.json_of("next", path, "--votes", 60, *wish)
            self.assertEqual(sum(p["votes"] for p in plan["pairs"]), 60)
            for width in plan["widths"]:
                self.assertLess(width["half_width_then"], width["half_width_now"])
            for ties in ("davidson", "rao-kupper"):
                other = self.json_of("next", path, "--votes", 60, "--tie", ties, *wish)
                self.assertEqual((other["ties"], sum(p["votes"] for p in other["pairs"])), (ties, 60))
            # Three equals that met equally: nothing beats asking all alike for all ratings.
            if not wish:
                self.assertAlmostEqual(plan["votes_spread_evenly_for_the_same"], 60, delta=1.5)

    def test_bad_calls(self):
        path = self.path("round.csv", ROUND)
        self.assertIn("'nosuch'", self.fails(2, "next", path, "--for", "nosuch"))
        self.fails(2, "next", path, "--for", "a", "--top", 2)
        self.fails(2, "next", path, "--between", "a")
        self.fails(1, "next", path, "--between", "a,a")
        self.fails(1, "next", path, "--without", "a", "--without", "b")
        self.fails(2, "next", path, "--votes", 0)
        self.fails(2, "next", path, "--tie", "nosuch")
        self.fails(2, "check")
        self.fails(1, "check", self.folder / "nosuch.csv")
        self.fails(1, "check", self.path("empty.csv", HEADER))
        self.fails(1, "check", self.path("self.csv", HEADER + "a,a,tie\n"))
        self.fails(1, "check", path, "--json", self.folder / "no/such/folder.json")
        # One pair, ties only: finite, if dull.
        self.assertTrue(self.json_of("check", self.path("ties.csv", HEADER + "a,b,tie\n"))["fit_to_rank_from"])


if __name__ == "__main__":
    unittest.main()
