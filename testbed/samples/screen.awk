#!/usr/bin/mawk -f
# screen.awk - screens an ISO 20022 credit transfer initiation (pain.001): screen.c, in awk, line by
# line the same decisions. Its interpreter travels in the image. See screen.c for what it takes.

function quit(status, words) {
	print "screen: " (status == 65 ? "refused: " : "") words > "/dev/stderr"
	ended = 1
	exit status
}

function refuse(words) { quit(65, words) }

# Upper case of ASCII letters, single blanks, one in front and one behind: whole words match.
function normalise(text) {
	gsub(/[ \t\r\n]+/, " ", text)
	text = " " toupper(text) " "
	gsub(/  +/, " ", text)
	return text
}

# Cents, or -1 unless it is digits with at most two decimals.
function amount(text,   dot, whole, decimals) {
	if (text !~ /^[0-9]+(\.[0-9][0-9]?)?$/)
		return -1
	dot = index(text, ".")
	whole = dot ? substr(text, 1, dot - 1) : text
	decimals = dot ? substr(text "0", dot + 1, 2) : "00"
	return length(whole) > 11 ? -1 : whole * 100 + decimals
}

function money(cents) { return sprintf("%.0f.%02d", int(cents / 100), cents % 100) }

function read_lists(   line, part, got) {
	RS = "\n"
	while ((got = (getline line < "/etc/screen/limits")) > 0) {
		if (split(line, part, /[ \t]+/) != 2 || amount(part[2]) < 0)
			quit(70, "limits: bad line")
		limit[part[1]] = amount(part[2])
	}
	if (got < 0)
		quit(70, "/etc/screen/limits can't be read")
	while ((got = (getline line < "/etc/screen/sanctions")) > 0)
		if (line !~ /^#/ && normalise(line) != " ")
			listed[++listed_n] = normalise(line)
	if (got < 0)
		quit(70, "/etc/screen/sanctions can't be read")
	RS = "<"
}

# ISO 7064: the first four characters go to the end, letters count from A = 10, modulo 97 is 1.
function iban_is_valid(iban,   i, c, rest, moved) {
	if (length(iban) < 15 || length(iban) > 34 || iban !~ /^[A-Z][A-Z][0-9][0-9][A-Z0-9]+$/)
		return 0
	moved = substr(iban, 5) substr(iban, 1, 4)
	for (i = 1; i <= length(moved); i++) {
		c = substr(moved, i, 1)
		rest = (c in letter ? rest * 100 + letter[c] : rest * 10 + c) % 97
	}
	return rest == 1
}

function on_the_list(name,   i) {
	for (i = 1; name != "" && i <= listed_n; i++)
		if (index(name, listed[i]))
			return listed[i]
	return ""
}

# The reason against a transfer; an empty one lets it pass.
function judge(   name) {
	name = on_the_list(now["name"])
	if (name == "")
		name = on_the_list(now["ultimate"])
	if (!(now["currency"] in limit))
		return "no limit is set for " now["currency"]
	if (now["cents"] > limit[now["currency"]])
		return "over the limit of " money(limit[now["currency"]]) " " now["currency"]
	if (name != "")
		return "name on the sanctions list:" substr(name, 1, length(name) - 1)
	if (!iban_is_valid(now["iban"]))
		return "creditor's IBAN is missing or its check digits are wrong"
	return ""
}

function decide(   reason) {
	if (now["id"] == "")
		refuse("transfer " (accepted + rejected + 1) " has no EndToEndId")
	if (!now["cents"])
		refuse("transfer " now["id"] " has no amount")
	if (now["name"] == "")
		refuse("transfer " now["id"] " has no creditor name")
	sum += now["cents"]
	if (sum > 9000000000000000)
		refuse("the sum is too large")
	reason = judge()
	if (reason == "")
		accepted++
	else
		rejected++
	decision[accepted + rejected] = (reason == "" ? "ACCEPT " : "REJECT ") now["id"] " " \
		money(now["cents"]) " " now["currency"] (reason == "" ? "" : " " reason)
}

# Up to 35 bytes; whatever could be mistaken for something else in the decision becomes "_".
function identifier(text) {
	if (text == "" || length(text) > 35)
		refuse("an identifier is empty or over 35 bytes")
	gsub(/[^A-Za-z0-9\/?:().,'+-]/, "_", text)
	return text
}

# The only references that are taken are the five that XML names; "&" comes last.
function name_of(text,   rest) {
	rest = text
	gsub(/&(amp|lt|gt|quot|apos);/, "", rest)
	if (index(rest, "&"))
		refuse("a name has a character reference")
	gsub(/&lt;/, "<", text)
	gsub(/&gt;/, ">", text)
	gsub(/&quot;/, "\"", text)
	gsub(/&apos;/, "'", text)
	gsub(/&amp;/, "\\&", text)
	if (length(text) > 140)
		refuse("a name is over 140 bytes")
	return normalise(text)
}

function on_leaf(path, text) {
	if (path == ROOT "/GrpHdr/MsgId")
		message_id = identifier(text)
	else if (path == ROOT "/GrpHdr/NbOfTxs") {
		if (text !~ /^[0-9]+$/ || length(text) > 15 || text + 0 == 0)
			refuse("NbOfTxs is no number of transfers")
		announced = text + 0
	} else if (path == ROOT "/GrpHdr/CtrlSum") {
		control_sum = amount(text)
		if (control_sum < 0)
			refuse("CtrlSum is no amount")
		has_control_sum = 1
	} else if (path == TRANSFER "/PmtId/EndToEndId")
		now["id"] = identifier(text)
	else if (path == TRANSFER "/Amt/InstdAmt") {
		now["cents"] = amount(text)
		if (now["cents"] < 0)
			refuse("InstdAmt is no amount")
	} else if (path == TRANSFER "/Cdtr/Nm")
		now["name"] = name_of(text)
	else if (path == TRANSFER "/UltmtCdtr/Nm")
		now["ultimate"] = name_of(text)
	else if (path == TRANSFER "/CdtrAcct/Id/IBAN")
		now["iban"] = text
}

function on_start(path, attributes) {
	if (path == TRANSFER)
		split("", now)
	if (path == TRANSFER "/Amt/InstdAmt") {
		if (attributes !~ /^Ccy="[A-Z][A-Z][A-Z]"$/)
			refuse("InstdAmt has no currency")
		now["currency"] = substr(attributes, 6, 3)
	} else if (path == "Document") {
		if (!index(attributes, "xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.001.001."))
			refuse("Document is not of pain.001")
	} else if (attributes != "")
		refuse("an element has attributes that pain.001 doesn't know")
}

function not_blank(text) { return text ~ /[^ \t\r\n]/ }

function open_element(tag,   name, attributes) {
	name = attributes = tag
	sub(/[ \t\r\n].*/, "", name)
	attributes = substr(tag, length(name) + 1)
	sub(/^[ \t\r\n]+/, "", attributes)
	sub(/[ \t\r\n]+$/, "", attributes)
	if (name !~ /^[A-Za-z0-9]+$/ || length(name) > 35)
		refuse("an element has a strange name")
	if (done || depth == 16 || length(path[depth]) + length(name) + 2 > 512)
		refuse("elements where pain.001 has none")
	depth++
	open[depth] = name
	path[depth] = depth > 1 ? path[depth - 1] "/" name : name
	on_start(path[depth], attributes)
	leaf = 1
}

function close_element(name) {
	sub(/[ \t\r\n]+$/, "", name)
	if (!depth)
		refuse("an element ends that never began")
	if (open[depth] != name)
		refuse("an element ends before its parts do")
	if (leaf)
		on_leaf(path[depth], text)
	else if (not_blank(text))
		refuse("text beside elements")
	if (path[depth] == TRANSFER)
		decide()
	leaf = 0
	done = --depth == 0
}

function on_tag(tag, first) {
	if (tag == "" || tag ~ /^!/ || (tag ~ /^\?/ && !(first && tag ~ /^\?xml .*\?$/)))
		refuse("declarations, comments and CDATA are not taken")
	if (tag ~ /^\//)
		close_element(substr(tag, 2))
	else if (tag !~ /^\?/) {
		if (not_blank(text))
			refuse("text beside elements")
		if (tag ~ /\/$/) {
			open_element(substr(tag, 1, length(tag) - 1))
			text = ""
			close_element(open[depth])
		} else
			open_element(tag)
	}
}

BEGIN {
	ROOT = "Document/CstmrCdtTrfInitn"
	TRANSFER = ROOT "/PmtInf/CdtTrfTxInf"
	split("ABCDEFGHIJKLMNOPQRSTUVWXYZ", digits, "")
	for (i = 1; i <= 26; i++)
		letter[digits[i]] = i + 9
	accepted = rejected = sum = announced = depth = 0
	read_lists()
}

/[^\t\n\r -\377]/ { refuse("control characters") }

NR == 1 { text = $0; next }

{
	stop = index($0, ">")
	if (!stop)
		refuse("a tag doesn't end")
	on_tag(substr($0, 1, stop - 1), NR == 2 && text == "")
	text = substr($0, stop + 1)
}

END {
	if (ended)
		exit
	if (NR < 2)
		refuse("not XML")
	if (!done || not_blank(text))
		refuse("Document doesn't end")
	if (message_id == "")
		refuse("no MsgId")
	if (announced != accepted + rejected)
		refuse("NbOfTxs says " announced ", there are " (accepted + rejected))
	if (has_control_sum && control_sum != sum)
		refuse("CtrlSum is not the sum of the transfers")
	print "SCREENED " message_id
	for (i = 1; i <= accepted + rejected; i++)
		print decision[i]
	print "TOTAL " announced " ACCEPT " accepted " REJECT " rejected
	print "screen: " announced " transfers, " rejected " rejected" > "/dev/stderr"
}
