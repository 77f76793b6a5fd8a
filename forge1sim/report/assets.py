"""Style and script of the report. No address outside the file: the page opens offline."""

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c2128; --soft: #59626e; --line: #d8dde3; --card: #f6f8fa;
  --good: #1a7f37; --bad: #b4230f; --grid: rgba(128,136,148,.28); }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --ink: #e6eaf0; --soft: #a0a9b6; --line: #313944;
  --card: #1a2029; --good: #56d364; --bad: #ff8a75; --grid: rgba(150,160,175,.25); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 44px 0 4px; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 4px 0 12px; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.verdict { font-size: 1.15rem; margin: 14px 0 18px; }
.pass, .fail { font-weight: 650; white-space: nowrap; }
.pass { color: var(--good); } .fail { color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; border-top: 4px solid; }
.card dl { display: grid; grid-template-columns: 1fr auto; gap: 3px 12px; margin: 10px 0 0; }
.card dt { color: var(--soft); } .card dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
.card .big { font-size: 1.9rem; line-height: 1.15; margin: 6px 0 0; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; max-height: 440px; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
details { margin: 4px 0 0; } summary { cursor: pointer; color: var(--soft); padding: 4px 0; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .9rem; }
.figure { width: 100%; }
@media (max-width: 640px) { main { padding: 16px 12px 48px; } .card .big { font-size: 1.6rem; } h2 { margin-top: 34px; } }
@media print { details { display: none; } }
"""

SCRIPT = """
(function () {
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function colours() {
    var style = getComputedStyle(document.documentElement);
    return { ink: style.getPropertyValue("--soft").trim(), grid: style.getPropertyValue("--grid").trim() };
  }
  function themed(layout, lines) {
    var now = colours(), copy = Object.assign({}, layout), narrow = window.innerWidth < 640;
    copy.font = Object.assign({}, layout.font, { color: now.ink });
    Object.keys(layout).forEach(function (key) {
      if (/^[xy]axis/.test(key)) {
        copy[key] = Object.assign({}, layout[key], { gridcolor: now.grid, linecolor: now.grid });
      }
    });
    if (narrow) {
      stack(copy);
      if (lines > 6) { copy.height = layout.height + 20 * lines; }  /* a legend of one column */
    }
    return copy;
  }
  /* Two panels side by side become one above the other on a phone. */
  function stack(layout) {
    var right = layout.xaxis2, below = layout.yaxis2;
    if (!right || !right.domain || !below || !layout.xaxis.domain || right.domain[0] < 0.4) { return; }
    layout.xaxis = Object.assign({}, layout.xaxis, { domain: [0, 1], anchor: "y" });
    layout.xaxis2 = Object.assign({}, right, { domain: [0, 1], anchor: "y2" });
    layout.yaxis = Object.assign({}, layout.yaxis, { domain: [0.6, 1] });
    layout.yaxis2 = Object.assign({}, below, { domain: [0, 0.4], showticklabels: true, anchor: "x2" });
    layout.annotations = (layout.annotations || []).map(function (note, place) {
      return Object.assign({}, note, { x: 0.5, y: place === 0 ? 1 : 0.4 });
    });
    layout.height = layout.height * 1.6;
    layout.legend = Object.assign({}, layout.legend, { y: -0.08 });
  }
  function draw() {
    document.querySelectorAll(".figure").forEach(function (place) {
      var figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
      Plotly.react(place, figure.data, themed(figure.layout, figure.data.length), { responsive: true, displayModeBar: false });
    });
  }
  draw();
  dark.addEventListener("change", draw);
})();
"""
