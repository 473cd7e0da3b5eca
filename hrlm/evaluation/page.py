"""A report as a folder: one page that needs no other file, its pictures, and all figures for programs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

from hrlm import __version__
from hrlm.evaluation.plots import pictures
from hrlm.evaluation.report import Report
from hrlm.evaluation.tables import Sheet, sheets
from hrlm.evaluation.worst import worst_sheet
from hrlm.formats.atomic import write_whole
from hrlm.photos import Photo

# the page shows so many messages; the JSON has them all
SHOWN_PROBLEMS = 200

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
p.about, figcaption, p.caption { color: #555; font-size: .87rem; margin: .3rem 0; max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem; }
th, td { padding: .18rem .6rem; text-align: right; white-space: nowrap; }
th { border-bottom: 1.5px solid #1a1a1a; font-weight: 600; } td.word, th.word { text-align: left; }
tr.begins td { border-top: 1px solid #ccc; } tbody { border-bottom: 1.5px solid #1a1a1a; }
figure { margin: 1.2rem 0; } img { max-width: 100%; height: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .87rem; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
ul.problems { font-size: .87rem; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; } details > * { display: block; } .wide { overflow: visible; } }
"""


def write_report(report: Report, folder: Path, open_photo: Callable[[str], Photo]) -> None:
    """Write `report.json`, a PNG for each picture and `report.html`, the page, last.

    Args:
        open_photo: for the worst cases.

    Raises:
        WriteError: a file cannot be written.
    """
    report.write(folder / "report.json")
    shown = pictures(report)
    worst = worst_sheet(report, open_photo)
    if worst:
        shown["worst"] = worst
    for name, (_, data) in shown.items():
        write_whole(folder / f"{name}.png", data)
    # a file name need not be valid text
    write_whole(folder / "report.html", page(report, shown).encode("utf-8", "backslashreplace"))


def page(report: Report, shown: Mapping[str, tuple[str, bytes]]) -> str:
    """The page, with pictures by name: caption and PNG."""
    about = report.about
    title = f"{about['model']} {about['version']} on {about['data']}"
    facts = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in about.items())
    figures = "".join(
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, data in shown.values()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="about">hrlm {__version__} benchmark</p><dl>{facts}</dl>'
        f"{''.join(map(_table, sheets(report)))}<h2>Pictures</h2>{figures}{_problems(report.problems)}</body></html>\n"
    )


def _table(sheet: Sheet) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=word' if i < sheet.words else ''}>{escape(cell)}</{tag}>" for i, cell in enumerate(row)
        )

    grouped = not all(row[0] for row in sheet.rows)
    rows = "".join(f"<tr{' class=begins' if grouped and r[0] else ''}>{cells(r, 'td')}</tr>" for r in sheet.rows)
    table = (
        f'<div class="wide"><table><thead><tr>{cells(sheet.columns, "th")}</tr></thead><tbody>{rows}</tbody></table>'
        f'</div><p class="caption">{escape(sheet.caption)}</p>'
    )
    if sheet.long:
        table = f"<details><summary>{len(sheet.rows)} rows</summary>{table}</details>"
    return f"<h2>{escape(sheet.title)}</h2>{table}"


def _problems(problems: Sequence[str]) -> str:
    if not problems:
        return ""
    items = "".join(f"<li>{escape(p)}</li>" for p in problems[:SHOWN_PROBLEMS])
    more = len(problems) - SHOWN_PROBLEMS
    rest = f"<p>and {more} more, in report.json</p>" if more > 0 else ""
    return f'<h2>Passed over</h2><ul class="problems">{items}</ul>{rest}'
