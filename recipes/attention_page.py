"""The page of an `AttentionView`: one HTML file that needs no other file and no network."""

import base64
import html
import json

import numpy as np


def attention_page(view, layer=None, head=None):
    """The page as a str.

    The probabilities are kept in it with 8 bits each, enough for what an eye can tell.

    Args:
        view: `AttentionView`.
        layer, head: int or None. What is shown first; head None is the mean of all.
    """
    layers, heads = view.probabilities.shape[:2]
    levels = np.round(np.clip(view.probabilities, 0.0, 1.0) * 255).astype("uint8")
    data = {
        "tokens": view.tokens,
        "segments": view.segments,
        "layers": layers,
        "heads": heads,
        "layer": layers if layer is None else layer,
        "head": head or 0,
        "levels": base64.b64encode(levels.tobytes()).decode("ascii"),
    }
    # A token may be anything, the end of the script included.
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    title = html.escape(view.title or "Attention")
    return _PAGE.replace("{title}", title).replace("{data}", text)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body { font: 15px/1.4 sans-serif; margin: 1.5rem auto; max-width: 60rem; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }
h1 { font-size: 1.1rem; }
label { margin-right: 1.5rem; }
svg { width: 100%; height: auto; display: block; margin-top: 1rem; }
text { font: 14px monospace; fill: #1a1a1a; cursor: default; }
text.second { fill: #aa3377; }
line { stroke: #4477aa; stroke-width: 2; }
.off { opacity: 0.15; }
</style>
</head>
<body>
<h1>{title}</h1>
<p>
<label>Layer <select id="layer"></select></label>
<label>Head <select id="head"></select></label>
<span>Each token on the left attends to those on the right. Point at one, or click it.</span>
</p>
<svg id="picture" role="img" aria-label="Attention between the tokens"></svg>
<script id="data" type="application/json">{data}</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const levels = Uint8Array.from(atob(data.levels), (c) => c.charCodeAt(0));
const size = data.tokens.length, step = 22, width = 760, left = 240, right = 520;
const picture = document.getElementById("picture");
const choices = { layer: document.getElementById("layer"), head: document.getElementById("head") };
let marked = null;

function option(select, value, label) {
  const one = document.createElement("option");
  one.value = value;
  one.textContent = label;
  select.append(one);
}
for (let i = 1; i <= data.layers; i++) option(choices.layer, i, `${i} of ${data.layers}`);
option(choices.head, 0, "mean of all");
for (let i = 1; i <= data.heads; i++) option(choices.head, i, `${i} of ${data.heads}`);
choices.layer.value = data.layer;
choices.head.value = data.head;

function probability(from, to) {
  const layer = choices.layer.value - 1, head = Number(choices.head.value);
  const at = (h) => levels[((layer * data.heads + h) * size + from) * size + to] / 255;
  if (head) return at(head - 1);
  let sum = 0;
  for (let h = 0; h < data.heads; h++) sum += at(h);
  return sum / data.heads;
}

function node(kind, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function draw() {
  picture.setAttribute("viewBox", `0 0 ${width} ${size * step + 10}`);
  picture.replaceChildren();
  for (let i = 0; i < size; i++) {
    if (marked !== null && marked !== i) continue;
    for (let j = 0; j < size; j++) {
      const p = probability(i, j);
      if (p < 0.01) continue;
      picture.append(node("line", { x1: left + 8, y1: (i + 0.7) * step, x2: right - 8,
                                    y2: (j + 0.7) * step, "stroke-opacity": p }));
    }
  }
  for (let i = 0; i < size; i++) {
    const y = (i + 0.9) * step, kind = data.segments[i] ? "second" : "first";
    const from = node("text", { x: left, y: y, "text-anchor": "end", tabindex: 0,
                                class: marked === null || marked === i ? kind : kind + " off" },
                      data.tokens[i]);
    const mark = (value) => () => { if (marked !== value) { marked = value; draw(); } };
    from.addEventListener("mouseenter", mark(i));
    from.addEventListener("click", mark(i));
    from.addEventListener("keydown", (e) => { if (e.key === "Enter") mark(i)(); });
    const p = marked === null ? "" : "  " + (100 * probability(marked, i)).toFixed(0) + " %";
    picture.append(from, node("text", { x: right, y: y, class: kind }, data.tokens[i] + p));
  }
}
picture.addEventListener("mouseleave", () => { marked = null; draw(); });
for (const select of Object.values(choices)) select.addEventListener("change", draw);
draw();
</script>
</body>
</html>
"""
