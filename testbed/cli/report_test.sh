#!/bin/bash
# The report as an auditor sees it: in a real browser, its figures against the log's, hostile text as
# text, and nothing that the page's own policy would let in. The log is written by sample_log; no
# HSM, no daemon, no privileges.
cd "$(dirname "$0")/../.." || exit 2
. testbed/cli/lib.sh report
. testbed/browser.sh
report() { "$BUILD/assay" audit report "$D/sample/log" --ca "$D/sample/ca.pem" -o "$D/report.html" "$@"; }
show() { "$BUILD/assay" audit show "$D/sample/log" --ca "$D/sample/ca.pem" "$@"; }

# What the browser made of the page, as a tree.
cat >"$D/page.py" <<'PY'
import html.parser, json, sys
class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.nodes = [], [], []
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        node = {"tag": tag, "attrs": dict(attrs), "text": ""}
        self.tags.append(node)
        if tag not in ("meta", "br"):
            self.open.append(node)
    def handle_endtag(self, tag):
        while self.open and self.open.pop()["tag"] != tag:
            pass
    def handle_data(self, data):
        for node in self.open:
            node["text"] += data
    def of(self, tag, **attrs):
        return [n for n in self.tags if n["tag"] == tag and
                all(v in n["attrs"].get(k.rstrip("_"), "").split() for k, v in attrs.items())]
    def figure(self, name):
        return next(n["text"] for n in self.tags if n["attrs"].get("id") == name)
page = Page(open(sys.argv[1]).read())
records = [json.loads(line) for line in open(sys.argv[2])]
runs = [r for r in records if r["rectype"] == "execution"]
good = [r for r in runs if r["status"] == {"kind": "exit", "code": 0}]
refused = [r for r in records if r["rectype"] == "refusal"]
number = lambda text: int(text.replace(",", ""))
PY
cat >"$D/figures.py" <<'PY'
import re
want = {"executions": len(runs), "succeeded": len(good), "failed": len(runs) - len(good),
        "refusals": len(refused), "records": len(records),
        "changes": sum(r["rectype"] not in ("execution", "refusal", "authorization") for r in records)}
for name, value in want.items():
    assert number(page.figure(name)) == value, (name, page.figure(name), value)
spans = sorted(r["times"]["end_us"] - r["times"]["start_us"] for r in runs)
def shown(text):
    n, unit = text.split()
    return float(n) * {"µs": 1, "ms": 1e3, "s": 1e6}[unit]
for name, p in (("p50", 50), ("p99", 99)):
    exact = spans[-(-len(spans) * p // 100) - 1]
    assert abs(shown(page.figure(name)) - exact) <= 0.006 * exact, (name, page.figure(name), exact)
# Each bar says how many it stands for; all of them are all there were.
bars = {}
for n in page.tags:
    found = n["tag"] == "rect" and re.search(r": (\d+) (\w+)$", n["text"])
    if found:
        bars[found[2]] = bars.get(found[2], 0) + int(found[1])
assert bars == {"succeeded": len(good), "failed": len(runs) - len(good), "refused": len(refused)}, bars
# And is as high as that: one scale for all bars of a plot.
for name in ("good", "refused"):
    scale = {round(float(n["attrs"]["height"]) / int(n["text"].split(": ")[1].split()[0]), 1) for n in page.of("rect", class_=name)
             if int(n["text"].split(": ")[1].split()[0]) > 9}
    assert len(scale) <= 2, scale
assert len(page.of("circle", class_="p50")) == len(page.of("circle", class_="p99")) > 5
PY
cat >"$D/tables.py" <<'PY'
apps = {}
for r in runs:
    key = (r["partition"]["label"], r["sub"], r["swname"], r["swversion"])
    apps.setdefault(key, []).append(r)
rows = page.of("tr", class_="app")
assert len(rows) == len(apps), (len(rows), len(apps))
for (partition, app, label, version), of in apps.items():
    text = [n["text"] for n in rows if n["text"].startswith(partition + app + label + version + f"{len(of):,}")]
    assert len(text) == 1, (partition, app, label, version, len(of), [n["text"] for n in rows])
assert len(page.of("tr", class_="reason")) == len({r["reason"] for r in refused})
acts = [r for r in records if r["rectype"] not in ("execution", "refusal", "authorization")]
assert len(page.of("tr", class_="act")) == len(acts)
assert any("key 2 follows key 1" in n["text"] for n in page.of("tr", class_="act"))
trees = {r["origin"] for r in records}
assert len(page.of("tr", class_="tree")) == len(page.of("pre", class_="note")) == len(trees) == 3
PY
cat >"$D/hostile.py" <<'PY'
text = page.of("body")[0]["text"]
assert "<script>document.title='owned'</script>&quot;\"'" in text
assert "no such application: <img src=x onerror=alert(1)>" in text and "<b>bank-b</b>" in text
assert "\x1b" not in text and "\u202e" not in text
assert page.of("title")[0]["text"] == "Audit report"
assert not [n for n in page.tags if n["tag"] in ("script", "img", "iframe", "link", "object", "embed", "form", "base")]
for n in page.tags:
    for name, value in n["attrs"].items():
        assert not name.startswith("on") and name not in ("src", "style", "srcset"), (n["tag"], name)
        assert name != "href" or value.startswith("#"), value
assert page.tags[[n["tag"] for n in page.tags].index("meta") + 1]["attrs"]["content"].startswith("default-src 'none'; style-src 'sha256-")
PY
# A picture of 8-bit RGB or RGBA: how many of its pixels have each colour.
cat >"$D/colours.py" <<'PY'
import collections, struct, sys, zlib
raw, at, data = open(sys.argv[1], "rb").read(), 8, b""
while at < len(raw):
    n, kind = struct.unpack(">I4s", raw[at:at + 8])
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", raw[at + 8:at + 18])
    if kind == b"IDAT":
        data += raw[at + 8:at + 8 + n]
    at += 12 + n
assert depth == 8 and colour in (2, 6)
bpp, data, before, counts = (3 if colour == 2 else 4), zlib.decompress(data), None, collections.Counter()
for y in range(height):
    row = bytearray(data[y * (width * bpp + 1) + 1:(y + 1) * (width * bpp + 1)])
    before = before or bytearray(len(row))
    how = data[y * (width * bpp + 1)]
    for i in range(len(row)):
        a, b, c = (row[i - bpp] if i >= bpp else 0), before[i], (before[i - bpp] if i >= bpp else 0)
        if how == 1: row[i] = row[i] + a & 255
        elif how == 2: row[i] = row[i] + b & 255
        elif how == 3: row[i] = row[i] + (a + b) // 2 & 255
        elif how == 4:
            p = a + b - c
            row[i] = row[i] + min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2] & 255
    for x in range(0, len(row), bpp):
        counts[row[x:x + 3].hex()] += 1
    before = row
blue, amber, verdict = (counts[c] for c in ("2b6ca3", "b07d12", sys.argv[2]))
print(width, height, "blue", blue, "amber", amber, "verdict", verdict, counts.most_common(5))
assert (width, height) == (1200, 1300) and blue > 8000 and amber > 8000 and verdict > 8000
PY
looks() { cat "$D/page.py" "$D/$1.py" >"$D/run.py" && check "$2" python3 "$D/run.py" "$D/dom.html" "$D/records.json"; }
open_page() { browser --dump-dom "file://$D/report.html" >"$D/dom.html"; }

command -v chromium >/dev/null || { not_ok "chromium is not installed: make deps"; exit 1; }
check "a log of a day" "$BUILD/cli/sample_log" "$D/sample" 1200
show --json >"$D/records.json"
check "its report" report
check "for its owner alone" [ "$(stat -c %a "$D/report.html")" = 600 ]
check "a browser opens it" open_page
looks figures "figures and bars are the log's"
looks tables "so are applications, changes, refusals and trees"
looks hostile "hostile text is text, and nothing is fetched or run"
check "and takes a picture" browser --window-size=1200,1300 --screenshot="$D/picture.png" "file://$D/report.html"
check "which shows the verdict and the plots" python3 "$D/colours.py" "$D/picture.png" eef7f1
[ -z "${KEEP_PICTURE:-}" ] || cp "$D/picture.png" "$KEEP_PICTURE"

# The page's policy is a second wall: what got into the page would still not run.
sed -i 's,</header>,</header><script>document.title="owned"</script><p id="styled" style="color:red">x</p>,' "$D/report.html"
check "a browser opens a page with a script in it" open_page
check "and does not run it" grep -q '<title>Audit report</title>' "$D/dom.html"
check "a script would have run without the policy" bash -c "sed -i '/Content-Security-Policy/d' '$D/report.html'"
check "(it opens)" open_page
check "(and it did)" grep -q '<title>owned</title>' "$D/dom.html"

# One partition's report, an empty one, and one of a log that does not hold.
show --json --partition bank-a >"$D/records.json"
check "a report of one partition" report --partition bank-a
check "a browser opens it too" open_page
cat >"$D/partition.py" <<'PY'
assert number(page.figure("executions")) == len(runs) > 0 and number(page.figure("records")) == len(records)
assert "Only records with: partition bank-a" in page.of("header")[0]["text"]
PY
looks partition "its figures are the partition's"
check "a report of no time" report --from 2001-01-01 --to 2001-01-02
check "says that there was nothing" grep -q "None ran in this period" "$D/report.html"
file=$(grep -rlaF "Payment screening" "$D/sample/log" | head -1)
at=$(grep -obaF "Payment screening" "$file" | head -1 | cut -d: -f1)
printf 'R' | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
report >"$D/said" 2>&1
check "a log that was changed is refused" [ $? -eq 1 ]
check "a browser opens its report" open_page
check "which says so" grep -q 'class="verdict broken".*' "$D/dom.html"
check "a picture of it" browser --window-size=1200,1300 --screenshot="$D/picture.png" "file://$D/report.html"
exit $((failures > 0))
