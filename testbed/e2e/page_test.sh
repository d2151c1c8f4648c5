#!/bin/bash
# The page that verifies a proof in a browser, in a real one: it accepts what assay verify accepts,
# refuses every changed byte that matters with the right sentence, and shows hostile text as text.
. "$(dirname "$0")/lib.sh" page
. testbed/browser.sh
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
behave 'exit 3' "$W/fails"
openssl ecparam -name prime256v1 -genkey -noout -out "$D/developer.pem"
openssl pkey -in "$D/developer.pem" -pubout -out "$D/developer.pub"
chmod 0600 "$D/developer.pem"
for package in screen unruly; do
	check "a developer approves $package" assay sign "$D/samples/$package.pkg" --key "$D/developer.pem"
done
signer=$(assay signer "$D/developer.pub")
echo "packages: {signers: [$signer], approvals: 1}" >"$D/policy.yaml"
check "as the policy asks" as_admin "$D/bin/assay" partition policy bank-a "$D/policy.yaml"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "and another" load bank_a_so "$D/samples/unruly.pkg"
check "it runs" execute bank_a screen "$W/in" "$W/run"
for kind in proof output keys; do
	check "its $kind is fetched" fetch bank_a "$(result_label "$W/run")" $kind "$W/$kind"
done
measured=$("$D/bin/assay" measure "$D/samples/screen.pkg" | sed -n 's/^measurement: //p')

# page NAME OPTION...: the page for a proof; opened NAME: what a browser makes of it, as text.
page() {
	local name=$1
	shift
	"$D/bin/assay" verify "$W/proof" --ca "$D/ca.pem" --html "$D/$name.html" "$@" >/dev/null
}
opened() {
	browser --virtual-time-budget=20000 --dump-dom "file://$D/$1.html" >"$D/$1.dom"
	python3 - "$D/$1.dom" <<'PY'
import html.parser, sys
class Page(html.parser.HTMLParser):
    """Rows of tables as lines, and the verdict; what is hidden or a script is left out."""
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.row, self.verdict, self.quiet, self.cell = None, None, 0, False
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in ("script", "style"):
            self.quiet += 1
        elif tag == "tr":
            self.row = []
        elif tag in ("td", "th") and self.row is not None:
            self.row.append("")
        elif attrs.get("id") == "verdict":
            self.verdict = ""
            print("verdict " + attrs.get("class", ""), end=": ")
        elif tag in ("img", "iframe", "object", "a"):
            print("UNEXPECTED <%s>" % tag)
    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.quiet -= 1
        elif tag == "tr" and self.row is not None:
            print(" | ".join(self.row))
            self.row = None
        elif tag == "div" and self.verdict is not None:
            print(self.verdict)
            self.verdict = None
    def handle_data(self, data):
        if self.quiet:
            return
        if self.row:
            self.row[-1] += data.strip()
        elif self.verdict is not None:
            self.verdict += data
Page(open(sys.argv[1], encoding="utf-8").read())
PY
}
# changed FROM TO NAME OFFSET: the page with one byte of a file in it changed.
changed() {
	python3 - "$D/$1.html" "$D/$2.html" "$3" "$4" <<'PY'
import base64, json, re, sys
old, new, name, at = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
text = open(old, encoding="utf-8").read()
mark = re.search(r'id="evidence">(.*?)</script>', text, re.S)
evidence = json.loads(mark.group(1))
raw = bytearray(base64.b64decode(evidence[name]))
raw[at % len(raw)] ^= 1
evidence[name] = base64.b64encode(raw).decode()
open(new, "w", encoding="utf-8").write(text[:mark.start(1)] + json.dumps(evidence) + text[mark.end(1):])
PY
}

check "a page is made" page good --keys "$W/keys" --input "$W/in" --output "$W/output" --measurement "$measured"
says "the browser says that the proof holds" "^verdict holds: The proof holds" opened good
for words in "format \| ok" "record \| ok" "tcb \| ok" "log \| ok" "signature \| ok" "certificate \| ok" "tcb receipt \| ok" \
	"revocation \| not checked" "witnesses \| not checked" "policy \| not checked" \
	"input \| ok" "output \| ok" "stderr \| not checked" "outcome \| ok \| the application succeeded" "sub \| screen" \
	"partition \| .*bank-a" "daemon \| [0-9a-f]{64}" "for \| assay:assay/" "$measured" "image [0-9a-f]{64} approved by $signer; profile"; do
	if grep -qE "$words" <<<"$said"; then ok "it shows: $words"; else not_ok "it does not show: $words"; fi
done
if grep -q "$(openssl x509 -in "$D/ca.pem" -outform DER | sha256sum | cut -c1-64)" "$D/good.dom"; then
	ok "it asks to compare the CA's fingerprint"; else not_ok "no fingerprint of the CA"; fi
if grep -qE '(src|href)=|https?://' "$D/good.html"; then not_ok "the page names something outside of it"; else
	ok "the page names nothing outside of it"; fi
browser --window-size=1000,1600 --virtual-time-budget=20000 --screenshot="$D/good.png" "file://$D/good.html" >/dev/null
if [ "$(stat -c %s "$D/good.png" 2>/dev/null || echo 0)" -gt 20000 ]; then ok "it can be looked at"; else not_ok "no picture"; fi
[ -z "${KEEP_PICTURE:-}" ] || cp "$D/good.png" "$KEEP_PICTURE"

# One byte, and the sentence that says where.
size=$(stat -c %s "$W/proof")
refused() {
	changed good bad "$2" "$3"
	says "$1" "^verdict fails: The proof does not hold: .*$4" opened bad
}
refused "a changed input" input 100 "the input does not match"
refused "a changed output" output 20 "the output does not match"
refused "changed keys" keys -40 "does not match|holds none|damaged"
refused "a changed CA" ca -10 "another CA than the one given|certificate"
refused "a changed record" proof 120 "."
refused "a changed end of the proof" proof -3 "."
refused "a changed head of the proof" proof 3 "no assay-proof-1"
for part in 1 2 3 4; do
	refused "a changed byte in quarter $part of the proof" proof $((size * part / 4 - 30)) "."
done
# A result whose output has no key: redacted, or so it says.
python3 - "$D/good.html" "$D/cut.html" <<'PY'
import base64, json, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
mark = re.search(r'id="evidence">(.*?)</script>', text, re.S)
evidence = json.loads(mark.group(1))
head = lambda kind, n: bytes([kind << 5 | n] if n < 24 else [kind << 5 | 24, n] if n < 256 else [kind << 5 | 25, n >> 8, n & 255])
file = lambda name, *parts: head(4, 1 + len(parts)) + head(3, len(name)) + name + b"".join(head(2, len(p)) + p for p in parts)
keys = file(b"assay-keys-1", b"", b"", b"")
result = file(b"assay-result-1", base64.b64decode(evidence["proof"]), b"another output than the run's", b"", keys)
evidence = {"proof": base64.b64encode(result).decode(), "ca": evidence["ca"]}
open(sys.argv[2], "w", encoding="utf-8").write(text[:mark.start(1)] + json.dumps(evidence) + text[mark.end(1):])
PY
says "output without a key is not taken for checked" "^verdict fails: .*holds none for the output" opened cut
says "the certificate of another CA is refused" "another CA" eval \
	'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout /dev/null -out "$D/x.pem" 2>/dev/null
	"$D/bin/assay" verify "$W/proof" --ca "$D/x.pem" --html "$D/other.html" >/dev/null; opened other'

# A run that failed, and text that means harm.
execute bank_a unruly "$W/fails" "$W/failed" >/dev/null 2>&1
label=$(bank_a --list-objects --type data 2>/dev/null | grep -B2 "assay:proof" | sed -n "s/.*label: *'\([0-9a-f]*\)'.*/\1/p" | head -1)
check "the proof of a failed run is fetched" fetch bank_a "$label" proof "$W/proof"
page failed
says "the page says that it is one of a failure" "verdict open: The proof holds, and is of a failure: .*exit 3" opened failed
mkdir -p "$W/image" && install -m 755 "$BUILD/samples/screen" "$W/image/screen"
"$D/bin/assay" pack "$BUILD/samples/screen.image" --exec /bin/screen --id hostile -o "$W/hostile.pkg" \
	--label '<img src=x onerror=alert(1)>' >/dev/null 2>&1 || "$D/bin/assay" pack "$W/image" --exec /screen --id hostile \
	--label '<img src=x onerror=alert(1)>' -o "$W/hostile.pkg" >/dev/null
assay sign "$W/hostile.pkg" --key "$D/developer.pem" >/dev/null
check "an application with a hostile label is loaded" load bank_a_so "$W/hostile.pkg"
execute bank_a hostile "$W/in" "$W/run" >/dev/null 2>&1
label=$(bank_a --list-objects --type data 2>/dev/null | grep -B2 "assay:proof" | sed -n "s/.*label: *'\([0-9a-f]*\)'.*/\1/p" | head -1)
check "the proof of its run is fetched" fetch bank_a "$label" proof "$W/proof"
page hostile
says "hostile text is shown as text" "swname \| <img src=x onerror" opened hostile
hides "and is no markup" "UNEXPECTED" opened hostile
done_testing
