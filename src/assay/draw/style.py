"""How every page looks. Colours are told apart by colour-blind people, and never say anything alone."""

STYLE = """
:root{color-scheme:light dark;--ink:#1f2933;--soft:#5f6b7a;--rule:#d9dee5;--paper:#fff;--card:#f5f7fa;
--now:#1d4ed8;--past:#c3cedd;--good:#15803d;--warn:#b45309;--bad:#b91c1c;--mark:#d97706}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa7b7;--rule:#323b47;--paper:#14181d;--card:#1d232b;
--now:#7aa2ff;--past:#48566a;--good:#4ade80;--warn:#fbbf24;--bad:#f87171;--mark:#fbbf24}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1.25rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.6rem;margin:0 0 .2rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
p.under,figcaption,.soft{color:var(--soft)}p.under{margin:0 0 1.2rem}
.cards{display:flex;flex-wrap:wrap;gap:.8rem;margin-bottom:1rem}.cards div{background:var(--card);border-radius:.5rem;padding:.6rem 1rem;min-width:7rem}
.cards b{display:block;font-size:1.45rem;line-height:1.2}.cards span{color:var(--soft);font-size:.85rem}
.wide{overflow-x:auto;margin-bottom:.8rem}table{border-collapse:collapse;width:100%}
th{font-size:.8rem;color:var(--soft);font-weight:600}td,th{padding:.35rem .9rem .35rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
.badge{font-weight:700;white-space:nowrap}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
details summary{cursor:pointer;color:var(--soft);font-size:.9rem}details pre{margin:.3rem 0;overflow-x:auto;font-size:.82rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:1.2rem}
figure{margin:0;break-inside:avoid}figcaption{font-size:.85rem;margin-bottom:.2rem}figcaption b{color:var(--ink)}
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font:11px system-ui,sans-serif}svg .name{fill:var(--ink)}
.now{fill:var(--now)}.past{fill:var(--past)}.axis{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke:var(--now);stroke-width:1.8;stroke-linejoin:round}.outline{fill:none;stroke:var(--now);stroke-width:1.6}
.dot{fill:var(--now)}.dot.bad,.bar.bad{fill:var(--bad)}.dot.warn,.bar.warn{fill:var(--warn)}.bar{fill:var(--now)}
.limit{stroke:var(--mark);stroke-width:1.5;stroke-dasharray:4 3}.limit.bad{stroke:var(--bad)}
.row{display:grid;grid-template-columns:11rem 1fr 1fr;gap:1rem;border-top:1px solid var(--rule);padding:.6rem 0;font-size:.9rem}
.band{fill:var(--now);opacity:.45}.faint{fill:var(--now);opacity:.18}.nulls{fill:var(--soft)}
.mark{stroke:var(--mark);stroke-width:1;stroke-dasharray:2 2}
.plus{fill:var(--now);stroke:var(--rule)}.minus{fill:var(--mark);stroke:var(--rule)}
footer{margin-top:3rem;color:var(--soft);font-size:.8rem}
@media print{body{max-width:none}}
"""
