#include "agon/serving/page_parts.h"

namespace agon::serving {

std::string_view playground_style() {
  return R"css(
.bench { max-width: 860px; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
.bench h1 { margin-bottom: .4rem; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; box-shadow: var(--shadow);
  padding: 1.25rem; margin: 1.25rem 0 0; }
label { display: block; font-size: .78rem; font-weight: 600; color: var(--soft); margin: 0 0 .3rem; }
input, select, textarea, button { font: inherit; color: inherit; }
input, select, .switch { min-height: 2.65rem; }
input, select, textarea { width: 100%; background: var(--paper); border: 1px solid var(--rule); border-radius: 8px;
  padding: .5rem .7rem; }
textarea { display: block; resize: vertical; min-height: 5.5rem; line-height: 1.5; }
input:focus-visible, select:focus-visible, textarea:focus-visible, button:focus-visible, .tok:focus-visible {
  outline: 2px solid var(--main); outline-offset: 1px; }
.fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); gap: .75rem 1rem; }
.fields + .fields, .wide-field, .wide-field + .fields { margin-top: .9rem; }
.top { grid-template-columns: minmax(0, 2fr) minmax(0, 1fr); }
.switch { display: flex; border: 1px solid var(--rule); border-radius: 8px; overflow: hidden; background: var(--paper); }
.switch button { flex: 1; border: 0; background: none; padding: .5rem .4rem; color: var(--soft); cursor: pointer; }
.switch button[aria-pressed=true] { background: var(--main); color: var(--card); font-weight: 600; }
.actions { display: flex; align-items: center; gap: .75rem; margin-top: 1rem; }
.go { border: 0; border-radius: 8px; background: var(--main); color: var(--card); font-weight: 600;
  padding: .55rem 1.4rem; cursor: pointer; }
.go.stop { background: var(--b); }
.hint { font-size: .84rem; color: var(--faint); }
.stats { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1px; background: var(--rule); margin: 1rem -1.25rem -1.25rem;
  border-top: 1px solid var(--rule); border-radius: 0 0 12px 12px; overflow: hidden; }
.stats div { background: var(--card); padding: .7rem 1.25rem .8rem; }
.stats .value { display: block; font-size: 1.25rem; line-height: 1.3; font-weight: 600; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.stats .name { display: block; font-size: .78rem; color: var(--soft); }
.answer-head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .4rem 1rem; align-items: center; margin: 0 0 .8rem; }
.answer-head h2 { font: 600 1rem/1.4 var(--sans); letter-spacing: 0; margin: 0; }
.ramp { display: flex; align-items: center; gap: .5rem; font-size: .78rem; color: var(--soft); }
.ramp i { display: block; width: 110px; height: .7rem; border-radius: 3px; border: 1px solid var(--rule);
  background: linear-gradient(90deg, color-mix(in srgb, var(--b) 62%, transparent), transparent); }
#answer { white-space: pre-wrap; overflow-wrap: anywhere; min-height: 3.2rem; line-height: 1.75; outline: none; }
.given { color: var(--faint); }
.tok { border-radius: 3px; padding: .1em 0; cursor: default; }
.tok:hover { box-shadow: 0 0 0 1.5px var(--main); }
.tok.nl::before { content: "↵"; color: var(--faint); font-size: .8em; }
.running #answer::after { content: ""; display: inline-block; width: .5em; height: 1em; margin-left: .1em; vertical-align: -.12em;
  background: var(--main); animation: blink 1s steps(2) infinite; }
@keyframes blink { 50% { opacity: 0; } }
@media (prefers-reduced-motion: reduce) { .running #answer::after { animation: none; } }
.wrong { color: var(--bad); white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
#tip { position: absolute; z-index: 3; width: 250px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  box-shadow: 0 6px 24px rgb(0 0 0 / .16); padding: .7rem .85rem; font-size: .84rem; pointer-events: none; }
#tip[hidden] { display: none; }
#tip .row { display: grid; grid-template-columns: minmax(0, 1fr) 56px 3.6rem; gap: .5rem; align-items: center; padding: .1rem 0; }
#tip code { white-space: pre; overflow: hidden; text-overflow: ellipsis; }
#tip .row.drawn code { font-weight: 700; color: var(--main); }
#tip .bar { height: .5rem; background: var(--grid); border-radius: 3px; overflow: hidden; }
#tip .bar i { display: block; height: 100%; background: var(--a); }
#tip .row.drawn .bar i { background: var(--main); }
#tip span { text-align: right; font-variant-numeric: tabular-nums; color: var(--soft); }
.call { margin-top: 1.25rem; } .call summary, .keys summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
.keys { margin-top: 1rem; }
.keys > div { margin-top: .75rem; }
pre { background: var(--wash); border-radius: 8px; padding: .9rem 1rem; overflow-x: auto; font: .82rem/1.5 var(--mono); margin: .75rem 0 0; }
@media (max-width: 640px) { .bench { padding: 1.5rem 1rem 3rem; } .top { grid-template-columns: 1fr; } .stats { grid-template-columns: 1fr 1fr; }
  .card { padding: 1rem; } .stats { margin: 1rem -1rem -1rem; } .stats div { padding: .6rem 1rem; } }
)css";
}

std::string_view playground_body() {
  return R"html(<main class="bench">
<p class="kicker">agon serve</p>
<h1>Ask the model, and see how sure it is</h1>
<p class="fineprint">Every token of the answer is coloured by the probability the model gave it; point at one to see
what else it had in mind.</p>
<form class="card" id="form">
  <div class="fields top">
    <div><label for="model">Model</label><select id="model"></select></div>
    <div><label id="modeLabel">Mode</label><div class="switch" role="group" aria-labelledby="modeLabel">
      <button type="button" id="chatMode" aria-pressed="true">Chat</button>
      <button type="button" id="textMode" aria-pressed="false">Continue</button></div></div>
  </div>
  <div class="wide-field" id="systemField"><label for="system">System message</label>
    <input id="system" placeholder="none" autocomplete="off"></div>
  <div class="wide-field"><label for="prompt" id="promptLabel">Question</label>
    <textarea id="prompt" rows="4" placeholder="What is the capital of France?"></textarea></div>
  <div class="fields">
    <div><label for="temperature">Temperature</label><input id="temperature" type="number" min="0" max="2" step="0.1" value="0.7"></div>
    <div><label for="maxTokens">Longest answer</label><input id="maxTokens" type="number" min="1" step="1" value="200"></div>
    <div><label for="topP">Top p</label><input id="topP" type="number" min="0.01" max="1" step="0.01" value="1"></div>
    <div><label for="seed">Seed</label><input id="seed" type="number" step="1" placeholder="random"></div>
  </div>
  <details class="keys" id="keyField"><summary>API key</summary><div><input id="key" type="password" autocomplete="off"
    aria-label="API key" placeholder="only if the server asks for one"></div></details>
  <div class="actions"><button class="go" id="go" type="submit">Ask</button><span class="hint">Ctrl + Enter</span></div>
</form>
<section class="card" id="result" aria-live="off" style="border-top:1px solid var(--rule)">
  <div class="answer-head"><h2>Answer</h2><div class="ramp"><span>unlikely</span><i></i><span>certain</span></div></div>
  <div id="answer" tabindex="-1"></div>
  <p class="wrong" id="wrong" hidden></p>
  <div class="stats">
    <div><span class="value" id="count">–</span><span class="name">tokens</span></div>
    <div><span class="value" id="speed">–</span><span class="name">tokens a second</span></div>
    <div><span class="value" id="first">–</span><span class="name">to the first token</span></div>
    <div><span class="value" id="sure">–</span><span class="name">perplexity</span></div>
  </div>
</section>
<details class="call"><summary>The same from a program</summary><pre id="curl"></pre></details>
</main>
<div id="tip" role="tooltip" hidden></div>
)html";
}

std::string_view playground_script() {
  return R"js("use strict";
const $ = id => document.getElementById(id);
let chat = true, running = null, tokens = [];

const headers = () => {
  const h = {"Content-Type": "application/json"};
  if ($("key").value) h.Authorization = "Bearer " + $("key").value;
  return h;
};

function setMode(isChat) {
  chat = isChat;
  $("chatMode").setAttribute("aria-pressed", chat);
  $("textMode").setAttribute("aria-pressed", !chat);
  $("systemField").hidden = !chat;
  $("promptLabel").textContent = chat ? "Question" : "Beginning of a text";
  $("prompt").placeholder = chat ? "What is the capital of France?" : "Once upon a time";
  if (!running) $("go").textContent = chat ? "Ask" : "Continue";
  showCall();
}

function request() {
  const r = {model: $("model").value};
  const number = (id, name) => { if ($(id).value !== "") r[name] = Number($(id).value); };
  if (chat) {
    r.messages = [];
    if ($("system").value) r.messages.push({role: "system", content: $("system").value});
    r.messages.push({role: "user", content: $("prompt").value || $("prompt").placeholder});
  } else {
    r.prompt = $("prompt").value || $("prompt").placeholder;
  }
  number("temperature", "temperature"); number("maxTokens", "max_tokens");
  number("topP", "top_p"); number("seed", "seed");
  return r;
}

function showCall() {
  const path = chat ? "/v1/chat/completions" : "/v1/completions";
  const key = $("key").value ? " \\\n  -H 'Authorization: Bearer KEY'" : "";
  $("curl").textContent = "curl " + location.origin + path + key +
    " \\\n  -H 'Content-Type: application/json' -d '" + JSON.stringify(request(), null, 2).replaceAll("'", "'\\''") + "'";
}

async function loadModels() {
  const reply = await fetch("/v1/models", {headers: headers()});
  if (reply.status === 401) { $("keyField").open = true; return fail("This server asks for an API key: type it above."); }
  const list = await reply.json();
  $("wrong").hidden = true;
  $("model").replaceChildren(...list.data.map(m => new Option(m.id, m.id)));
  await lookAtModel();
}

async function lookAtModel() {
  const reply = await fetch("/tokenizer_info?model=" + encodeURIComponent($("model").value), {headers: headers()});
  if (reply.ok) setMode((await reply.json()).chat_template !== null);
}

function fail(message) { $("wrong").textContent = message; $("wrong").hidden = false; }

// One token's text may end inside a character: the decoder keeps the rest for the next token.
let decoder = new TextDecoder();
function addToken(text, logprob, others) {
  const p = Math.exp(logprob), span = document.createElement("span");
  span.className = "tok";
  span.textContent = text;
  span.style.background = "color-mix(in srgb, var(--b) " + Math.round(62 * (1 - p)) + "%, transparent)";
  span.dataset.at = tokens.length;
  tokens.push({text, logprob, others});
  $("answer").append(span);
}

function takeChunk(chunk, isChat) {
  if (chunk.error) throw new Error(chunk.error.message);
  const choice = chunk.choices[0];
  if (!choice || !choice.logprobs) return;
  if (isChat) {
    for (const t of choice.logprobs.content)
      addToken(decoder.decode(new Uint8Array(t.bytes), {stream: true}), t.logprob,
               t.top_logprobs.map(o => [o.token, o.logprob]));
  } else {
    const l = choice.logprobs;
    l.tokens.forEach((name, i) => {
      const bytes = name.startsWith("bytes:") ? name.match(/[0-9a-f]{2}(?=\\|$)/g).map(x => parseInt(x, 16)) : null;
      const text = bytes ? decoder.decode(new Uint8Array(bytes), {stream: true}) : name;
      addToken(text, l.token_logprobs[i], Object.entries(l.top_logprobs[i]).sort((a, b) => b[1] - a[1]));
    });
  }
}

function showStats(begin, first, last) {
  const n = tokens.length;
  $("count").textContent = n || "–";
  $("first").textContent = first ? Math.round(first - begin) + " ms" : "–";
  $("speed").textContent = n > 1 && last > first ? ((n - 1) / (last - first) * 1000).toFixed(1) : "–";
  const sum = tokens.reduce((s, t) => s + t.logprob, 0);
  $("sure").textContent = n ? Math.exp(-sum / n).toFixed(2) : "–";
}

async function run() {
  const isChat = chat;  // the mode may be switched meanwhile
  const body = Object.assign(request(), {stream: true});
  if (isChat) Object.assign(body, {logprobs: true, top_logprobs: 5}); else body.logprobs = 5;
  running = new AbortController();
  tokens = [];
  decoder = new TextDecoder();
  $("answer").replaceChildren();
  $("wrong").hidden = true;
  $("tip").hidden = true;
  $("result").classList.add("running");
  $("go").textContent = "Stop";
  $("go").classList.add("stop");
  if (!isChat) {
    const given = document.createElement("span");
    given.className = "given";
    given.textContent = body.prompt;
    $("answer").append(given);
  }
  const begin = performance.now();
  let first = 0, last = 0;
  try {
    const reply = await fetch(isChat ? "/v1/chat/completions" : "/v1/completions",
      {method: "POST", headers: headers(), body: JSON.stringify(body), signal: running.signal});
    if (!reply.ok) throw new Error((await reply.json()).error.message);
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const {done, value} = await reader.read();
      if (done) break;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const data = event.replace(/^data: /, "");
        if (data === "[DONE]") continue;
        const had = tokens.length;
        takeChunk(JSON.parse(data), isChat);
        if (tokens.length > had) { last = performance.now(); first = first || last; }
      }
      showStats(begin, first, last);
    }
  } catch (error) {
    if (error.name !== "AbortError") fail(error.message);
  }
  $("result").classList.remove("running");
  $("go").classList.remove("stop");
  running = null;
  $("go").textContent = chat ? "Ask" : "Continue";
}

const visible = text => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll(" ", "␣");
function showTip(span) {
  const token = tokens[Number(span.dataset.at)], tip = $("tip");
  const rows = token.others.map(([text, logprob]) => ({text, logprob, drawn: false}));
  const drawn = rows.find(r => Math.abs(r.logprob - token.logprob) < 1e-12);
  if (drawn) drawn.drawn = true; else rows.push({text: token.text, logprob: token.logprob, drawn: true});
  tip.replaceChildren(...rows.map(r => {
    const row = document.createElement("div"), name = document.createElement("code");
    const bar = document.createElement("div"), fill = document.createElement("i"), share = document.createElement("span");
    row.className = r.drawn ? "row drawn" : "row";
    bar.className = "bar";
    name.textContent = visible(r.text);
    fill.style.width = 100 * Math.exp(r.logprob) + "%";
    const percent = 100 * Math.exp(r.logprob);
    share.textContent = percent >= 0.1 ? percent.toFixed(1) + " %" : "< 0.1 %";
    bar.append(fill);
    row.append(name, bar, share);
    return row;
  }));
  tip.hidden = false;
  const box = span.getClientRects()[0] || span.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - 266);
  tip.style.left = Math.max(8, left) + scrollX + "px";
  tip.style.top = box.bottom + scrollY + 6 + "px";
}
$("answer").addEventListener("mouseover", e => { if (e.target.classList.contains("tok")) showTip(e.target); });
$("answer").addEventListener("mouseleave", () => { $("tip").hidden = true; });

$("form").addEventListener("submit", e => { e.preventDefault(); if (running) running.abort(); else run(); });
$("form").addEventListener("keydown", e => { if (e.key === "Enter" && e.ctrlKey && !running) run(); });
$("form").addEventListener("input", showCall);
$("chatMode").addEventListener("click", () => setMode(true));
$("textMode").addEventListener("click", () => setMode(false));
$("model").addEventListener("change", lookAtModel);
$("key").addEventListener("change", () => loadModels().catch(e => fail(e.message)));
const wishes = new URLSearchParams(location.search);
loadModels().then(() => {
  for (const [id, value] of wishes) if ($(id) && "value" in $(id)) $(id).value = value;
  if (wishes.get("mode")) setMode(wishes.get("mode") === "chat");
  showCall();
}).catch(e => fail(e.message));
)js";
}

}  // namespace agon::serving
