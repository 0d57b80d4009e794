#!/usr/bin/env bash
# The demo behind `make demo`: real votes in; a trained model, honest reports, a submission and a leaderboard out.
#
#   scripts/demo.sh [BUILD_FOLDER [OUTPUT_FOLDER]]
set -euo pipefail
cd "$(dirname "$0")/.."
agon=${1:-build}/agon
out=${2:-demo}
votes=data/votes/lmsys_arena_1500.csv.gz
unseen=data/votes/mt_bench_human.csv.gz
mkdir -p "$out"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
run() {  # shows the command as a person would type it, runs it, and says how long it took
  local started=$SECONDS
  printf '$ agon'
  printf ' %q' "$@"
  printf '\n'
  "$agon" "$@"
  printf '(%d s)\n' $((SECONDS - started))
}

say "1. Learn from 1,500 votes of the Chatbot Arena (a minute or two)"
run train "$votes" --seed 1 -o "$out/arena.agon" --html "$out/report.html"

say "2. Does it carry over? MT-Bench's experts voted on other prompts, and none of their votes were learned from"
run evaluate "$out/arena.agon" "$unseen" --html "$out/unseen.html" --json "$out/unseen.json"

say "3. Predict the competition's visible test rows, and say why"
run predict "$out/arena.agon" data/votes/lmsys_test_3.csv -o "$out/submission.csv" --explain "$out/explain.jsonl"
cat "$out/submission.csv"

say "4. Which model is better? The Chatbot Arena's 1,670,250 votes of 2024-08-14 as a leaderboard"
run rank data/battles/arena_2024-08-14_pair_counts.json.gz --anchor mixtral-8x7b-instruct-v0.1=1114 --top 10 \
  -o "$out/board.html" -o "$out/board.csv"

say "Made, all in $out/:"
cat <<END
  arena.agon       the model: $agon info $out/arena.agon
  report.html      cross-validated figures, calibration, what the model looks at: open it in a browser
  unseen.html      the same model on the experts' votes, and unseen.json for programs
  submission.csv   the three probabilities of every row, in the competition's form
  explain.jsonl    for every row of it, what pushed the prediction where
  board.html       the leaderboard with intervals, ranges of ranks and who beats whom; board.csv for programs
Next: $agon train YOUR_VOTES.csv -o my.agon && $agon predict my.agon YOUR_PAIRS.csv -o predictions.csv
END
