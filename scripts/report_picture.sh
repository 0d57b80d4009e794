#!/usr/bin/env bash
# The pictures in README.md: the top of a page that `make demo` made, by a browser without a screen
# (report.html gives report.png, board.html gives board.png). Inter and P052 (fonts-inter, fonts-urw-base35)
# stand in for the fonts of a desktop.
#
#   scripts/report_picture.sh [REPORT [PICTURE]]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install_deps.sh page
report=$(realpath "${1:-demo/report.html}")
picture=$(realpath "${2:-docs/images/$(basename "$report" .html).png}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  echo '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
  echo '<include>/etc/fonts/fonts.conf</include>'
  for name in system-ui ui-sans-serif; do
    echo "<match target='pattern'><test name='family'><string>$name</string></test>"
    echo "<edit name='family' mode='assign' binding='strong'><string>Inter</string></edit></match>"
  done
  echo '</fontconfig>'
} >"$folder/fonts.conf"
FONTCONFIG_FILE=$folder/fonts.conf timeout 120 chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars \
  --user-data-dir="$folder/profile" --virtual-time-budget=3000 --window-size=1200,1500 \
  --screenshot="$picture" "file://$report" >/dev/null 2>&1
echo "$picture"
