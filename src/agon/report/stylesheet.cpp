#include "agon/report/html.h"

namespace agon {

std::string_view report_stylesheet() {
  static constexpr std::string_view kStylesheet = R"css(:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --card: #ffffff; --ink: #1d2026; --soft: #5b6270; --faint: #8d94a1;
  --rule: #e4e2dc; --grid: #ecebe6; --wash: #f4f2ed;
  --main: #2f4b8f; --a: #0072b2; --b: #c8500a; --tie: #00805d; --quiet: #8d94a1;
  --good: #00704f; --bad: #b3261e; --shadow: 0 1px 2px rgb(40 35 20 / .05), 0 4px 16px rgb(40 35 20 / .04);
  --sans: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Inter", "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052, Georgia, "Noto Serif", serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Noto Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) { :root {
  --paper: #14161a; --card: #1b1e24; --ink: #e7e5e0; --soft: #a5abb6; --faint: #7d8491;
  --rule: #2d3139; --grid: #272b32; --wash: #20242b;
  --main: #93b0f5; --a: #56b4e9; --b: #f0934a; --tie: #37c799; --quiet: #7d8491;
  --good: #45c99b; --bad: #ff8a80; --shadow: none;
} }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 var(--sans); }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; }
a { color: var(--main); text-underline-offset: .18em; }
.frame { max-width: 820px; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
.toc { display: none; }
@media (min-width: 1120px) {
  .frame { max-width: 1120px; display: grid; grid-template-columns: 200px minmax(0, 820px); gap: 3.5rem; }
  .toc { display: block; position: sticky; top: 3rem; align-self: start; font-size: .875rem; line-height: 1.4;
    max-height: calc(100vh - 4rem); overflow: auto; }
  .toc p { margin: .4rem 0 .8rem; font-size: .75rem; letter-spacing: .08em; text-transform: uppercase; color: var(--faint); }
  .toc ul { list-style: none; margin: 0; padding: 0; border-left: 1px solid var(--rule); }
  .toc a { display: block; text-wrap: balance; padding: .3rem 0 .3rem 1rem; color: var(--soft); text-decoration: none; }
  .toc a:hover { color: var(--ink); box-shadow: inset 2px 0 0 0 var(--main); }
}
main { min-width: 0; }
h1, h2 { font-family: var(--serif); font-weight: 600; letter-spacing: -.012em; text-wrap: balance; }
h1 { font-size: clamp(1.75rem, 1.2rem + 2.6vw, 2.6rem); line-height: 1.15; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .6rem; }
h3 { font-size: 1rem; line-height: 1.4; margin: 2rem 0 .5rem; }
.kicker { margin: 0 0 .6rem; font-size: .78rem; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; color: var(--main); }
.lede { font-size: 1.16rem; line-height: 1.55; color: var(--ink); margin: 0 0 1rem; text-wrap: pretty; }
.fineprint { color: var(--soft); font-size: .9rem; }
section { margin: 3.5rem 0 0; padding: 2.25rem 0 0; border-top: 1px solid var(--rule); scroll-margin-top: 1rem; }
p { margin: 0 0 1rem; text-wrap: pretty; }
.anchor { margin-left: .4em; color: var(--faint); text-decoration: none; font-weight: 400; opacity: 0; }
h2:hover .anchor, .anchor:focus { opacity: 1; }
code { font-family: var(--mono); font-size: .86em; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(215px, 1fr)); gap: 1px; margin: 1.75rem 0 1.5rem;
  background: var(--rule); border: 1px solid var(--rule); border-radius: 12px; overflow: hidden; box-shadow: var(--shadow); }
.tile { background: var(--card); padding: 1.1rem 1.25rem 1.15rem; }
.tile .name { display: block; font-size: .82rem; color: var(--soft); }
.tile .value { display: block; font-size: 2rem; line-height: 1.25; font-weight: 600; letter-spacing: -.025em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tile .range { display: block; font-size: .82rem; color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.tile .gloss { display: block; margin-top: .5rem; font-size: .86rem; line-height: 1.45; color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
.meaning { background: var(--wash); border-left: 3px solid var(--main); border-radius: 0 10px 10px 0; padding: 1.1rem 1.35rem; margin: 1.5rem 0; }
.meaning h2, .meaning h3 { margin: 0 0 .5rem; font: 600 1rem/1.4 var(--sans); letter-spacing: 0; }
.meaning p:last-child, .meaning ul:last-child { margin-bottom: 0; }
.meaning ul { margin: 0; padding-left: 1.2rem; } .meaning li { margin: 0 0 .5rem; }
figure { margin: 1.5rem 0 2rem; padding: 1.25rem 1.25rem 1.1rem; background: var(--card); border: 1px solid var(--rule); border-radius: 12px; box-shadow: var(--shadow); }
figcaption { margin-top: .9rem; padding-top: .8rem; border-top: 1px solid var(--grid); font-size: .9rem; line-height: 1.5; color: var(--soft); text-wrap: pretty; }
figcaption b { color: var(--ink); font-weight: 600; }
.multiples { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 225px), 1fr)); gap: 1.25rem 1rem; }
.multiples > div { display: flex; flex-direction: column; justify-content: space-between; }
.multiples svg { max-width: 300px; }
.of { margin: 0 0 .4rem; font-size: .86rem; line-height: 1.35; overflow-wrap: anywhere; } .of b { font-weight: 600; }
.of code { display: block; font-size: .74rem; color: var(--soft); margin-top: .1rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0 0 .75rem; font-size: .86rem; color: var(--soft); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 3px; margin-right: .45em; vertical-align: -.05em; }
.k-main { background: var(--main); } .k-a { background: var(--a); } .k-b { background: var(--b); }
.k-tie { background: var(--tie); } .k-quiet { background: var(--quiet); }
.t-a { color: var(--a); } .t-b { color: var(--b); } .t-tie { color: var(--tie); }
svg { display: block; width: 100%; height: auto; font-family: var(--sans); overflow: visible; }
svg text { fill: var(--ink); font-size: 12px; font-variant-numeric: tabular-nums; }
svg .soft { fill: var(--soft); } svg .head { font-weight: 600; } svg .big { font-size: 13px; }
svg .small { font-size: 11px; } svg .mono { font-family: var(--mono); }
.grid { stroke: var(--grid); stroke-width: 1; fill: none; } .axis { stroke: var(--faint); stroke-width: 1; fill: none; }
.zero { stroke: var(--soft); stroke-width: 1; fill: none; }
.guide { stroke: var(--soft); stroke-width: 1.25; stroke-dasharray: 4 4; fill: none; }
.f-main { fill: var(--main); } .f-a { fill: var(--a); } .f-b { fill: var(--b); } .f-tie { fill: var(--tie); } .f-quiet { fill: var(--quiet); }
.s-main { stroke: var(--main); } .s-a { stroke: var(--a); } .s-b { stroke: var(--b); } .s-tie { stroke: var(--tie); } .s-quiet { stroke: var(--quiet); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; } .line.s-tie { stroke-dasharray: .1 4.5; stroke-width: 2.75; } .line.s-b { stroke-dasharray: 9 5; }
.whisker { fill: none; stroke-width: 1.75; stroke-linecap: round; } .band { opacity: .16; } .area { opacity: .82; } .bin { opacity: .35; }
.whisker.thin { stroke-width: 1; opacity: .6; } .line.broken, .line.broken.s-b, .line.broken.s-tie { stroke-dasharray: 3 4; stroke-width: 2; }
.v1 { fill-opacity: .1; } .v2 { fill-opacity: .19; } .v3 { fill-opacity: .28; } .v4 { fill-opacity: .37; } .v5 { fill-opacity: .46; }
.v6 { fill-opacity: .55; } .v7 { fill-opacity: .64; } .v8 { fill-opacity: .74; } .v9 { fill-opacity: .86; }
.line.slope { stroke-width: 1.25; stroke-dasharray: none; } 
.standing th[scope=row], .versus th[scope=row] { font-weight: 600; color: var(--ink); font-size: .9rem; vertical-align: top; overflow-wrap: anywhere; min-width: 9rem; }
.standing td, .standing th { padding: .34rem .8rem .34rem 0; } .standing .soft { color: var(--soft); }
.standing td:last-child, .standing th:last-child { padding-right: 0; } .versus th, .versus td { padding: .35rem .55rem .35rem 0; font-size: .82rem; white-space: nowrap; }
.versus th[scope=row] { white-space: normal; } .versus .num { padding: .35rem .45rem; } .versus td.open { color: var(--soft); } .versus td.shown { background: color-mix(in srgb, var(--a) 16%, transparent); font-weight: 600; }
.caution { border-left-color: var(--bad); }
.void { fill: var(--wash); } .hatch { stroke: var(--rule); stroke-width: 1; fill: none; } .w2 { fill: var(--card) !important; } svg .tiny { font-size: 9.5px; }
@media (prefers-color-scheme: dark) { .v4 { fill-opacity: .34; } .v5 { fill-opacity: .4; } .v6 { fill-opacity: .72; } .v7 { fill-opacity: .79; } .v8 { fill-opacity: .86; } .v9 { fill-opacity: .93; }
  .w1 { fill: var(--card) !important; } }
.dot { stroke: var(--card); stroke-width: 1.5; }
.wide { display: block; } .narrow { display: none; }
.scroll { overflow-x: auto; margin: 1rem 0 1.5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; line-height: 1.45; }
caption { text-align: left; font-size: .9rem; color: var(--soft); padding: 0 0 .6rem; }
th { text-align: left; font-weight: 600; font-size: .82rem; color: var(--soft); vertical-align: bottom; }
th, td { padding: .5rem .9rem .5rem 0; border-bottom: 1px solid var(--rule); }
td { vertical-align: top; } th:last-child, td:last-child { padding-right: 0; }
tr.gap td { border-top: 2px solid var(--faint); }
.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td small, th small, td .gloss { display: block; font-size: .84em; color: var(--soft); }
tbody tr:hover { background: color-mix(in srgb, var(--wash) 60%, transparent); }
.meter { width: 140px; vertical-align: middle; padding-left: .5rem; } .meter svg { width: 120px; }
.facts td:first-child { width: 14rem; color: var(--soft); } .facts td { overflow-wrap: anywhere; }
.notes { padding-left: 1.2rem; } .notes li { margin: 0 0 .5rem; overflow-wrap: anywhere; }
details.more { margin: -.75rem 0 1.5rem; } details.more > summary { cursor: pointer; color: var(--soft); font-size: .9rem; padding: .25rem 0; }
.talk > p:last-child { margin: 0; padding-top: .75rem; border-top: 1px solid var(--grid); }
details.row { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; margin: 0 0 .75rem; overflow: hidden; }
details.row > summary { cursor: pointer; padding: .9rem 1.15rem; list-style: none; display: grid; grid-template-columns: minmax(0, 1fr) 190px; gap: .15rem 1.25rem; align-items: center; }
details.row > summary::-webkit-details-marker { display: none; }
details.row > summary:hover { background: var(--wash); } details.row[open] > summary { border-bottom: 1px solid var(--rule); }
summary:focus-visible, a:focus-visible { outline: 2px solid var(--main); outline-offset: 2px; border-radius: 4px; }
.snippet { font-size: .95rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.snippet::before { content: "▸"; display: inline-block; width: 1.1em; color: var(--faint); } details[open] > summary .snippet::before { content: "▾"; }
.verdict { grid-column: 1; font-size: .84rem; color: var(--soft); padding-left: 1.2em; font-variant-numeric: tabular-nums; }
.odds { grid-column: 2; grid-row: 1 / span 2; }
.talk { padding: 1rem 1.15rem 1.15rem; }
.said { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .9rem; line-height: 1.55; margin: 0; }
.label { margin: 0 0 .35rem; font-size: .78rem; font-weight: 600; color: var(--soft); }
.prompt { background: var(--wash); border-radius: 8px; padding: .8rem 1rem; margin: 0 0 1rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin: 0 0 1rem; }
.answer { min-width: 0; border-top: 3px solid var(--rule); padding-top: .6rem; } .answer.of-a { border-color: var(--a); } .answer.of-b { border-color: var(--b); }
.answer .said { max-height: 26rem; overflow: auto; }
.empty { color: var(--faint); font-style: italic; }
footer { margin: 4rem 0 0; padding-top: 1.25rem; border-top: 1px solid var(--rule); font-size: .84rem; color: var(--faint); }
@media (max-width: 640px) {
  .frame { padding: 1.75rem 1rem 3rem; } body { font-size: 15.5px; }
  section { margin-top: 2.5rem; padding-top: 1.75rem; } h2 { font-size: 1.4rem; }
  .tiles { grid-template-columns: 1fr 1fr; } .tile { padding: .85rem .9rem; } .tile .value { font-size: 1.5rem; } .tile .range, .tile .name { font-size: .78rem; } .tile .gloss { font-size: .8rem; }
  figure { padding: 1rem .85rem; border-radius: 10px; } .wide { display: none; } .narrow { display: block; }
  .pair { grid-template-columns: 1fr; } details.row > summary { grid-template-columns: 1fr; padding: .8rem .9rem; } .odds { grid-column: 1; grid-row: auto; max-width: 210px; padding-left: 1.2em; margin-top: .3rem; }
  .figures tr { display: grid; grid-template-columns: repeat(auto-fit, minmax(100px, 1fr)); border-bottom: 1px solid var(--rule); padding: .5rem 0; }
  .figures th, .figures td { border: 0; padding: .1rem .4rem .1rem 0; text-align: left; } .figures td:first-child { grid-column: 1 / -1; } .figures th:first-child { display: none; } .figures td small { font-size: .7rem; letter-spacing: -.02em; } .meter { display: none; } .talk { padding: .85rem .9rem; }
  table { font-size: .84rem; } th, td { padding-right: .7rem; } .facts td:first-child { width: 7.5rem; }
}
@media print {
  :root { --paper: #fff; --shadow: none; } body { font-size: 10.5pt; } .toc, .skip, .anchor { display: none; }
  .frame { display: block; max-width: none; padding: 0; } figure, .tile, .meaning { break-inside: avoid; } h2, h3 { break-after: avoid; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  .answer .said { max-height: none; } .scroll { overflow: visible; } a { color: inherit; text-decoration: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";
  return kStylesheet;
}

}  // namespace agon
