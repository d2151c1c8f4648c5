#!/bin/bash
# What a pure application did is done again, on another sandbox, and is the same bit for bit; one that is
# not pure says so in its proof, and is not replayed unless asked.
. "$(dirname "$0")/lib.sh" replay
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
sed 's/EUR/CHF/' "$W/in" >"$W/other"
chmod 0644 "$W"/in "$W"/other

# Packing: what is claimed is said, and what a trial shows is proposed.
image=$W/image
testbed/samples/image "$image" "$BUILD/samples/screen=/bin/screen" testbed/samples/limits=/etc/screen/limits \
	testbed/samples/sanctions=/etc/screen/sanctions +/usr/bin/date +/usr/bin/dash
pack() { assay pack "$image" --exec "$@"; }
says "a trial finds that the sample is pure" "^purity: +pure$" \
	pack /bin/screen --id screen --refuse-code 65 --try "$W/in" --try "$W/other" -o "$W/screen.pkg"
says "and that one which tells the time needs a clock" "^purity: +pure but for clock$" \
	pack /usr/bin/date --id clock --arg +%s%N --try "$W/in" -o "$W/clock.pkg"
says "which measure says too" "^purity: +pure but for clock$" assay measure "$W/clock.pkg"
says "as JSON" '"purity": "pure but for clock"' assay measure "$W/clock.pkg" --json
check "the same can be chosen" pack /usr/bin/date --id clock --arg +%s%N --needs clock -o "$W/chosen.pkg"
check "and is the same package" cmp "$W/clock.pkg" "$W/chosen.pkg"
check "nothing is claimed unless asked" pack /usr/bin/date --id open --arg +%s%N -o "$W/open.pkg"
says "which is said" "^purity: +not pure$" assay measure "$W/open.pkg"
refuses "a need that nobody knows is refused" "clock, random or machine" pack /bin/screen --needs luck -o "$W/x.pkg"
refuses "a trial and a choice don't go together" "--try finds out" pack /bin/screen --pure --try "$W/in" -o "$W/x.pkg"
refuses "a trial needs its input" "No such file" pack /bin/screen --try "$W/none" -o "$W/x.pkg"
# Which it may do by chance.
moody() {
	for _ in 1 2 3; do
		pack /usr/bin/dash --arg -c --arg 'exit $(($(date +%s%N) / 1000 % 251))' --env PATH=/usr/bin \
			--try "$W/in" -o "$W/x.pkg" || return 1
	done
}
refuses "nothing can be proposed for a program that ends otherwise each time" "another way each time" moody

# Proofs.
for name in screen clock open; do
	check "$name is loaded" load bank_a_so "$W/$name.pkg"
	check "$name runs" execute bank_a $name "$W/in" "$W/$name.compact"
	for kind in proof keys output; do
		check "its $kind is fetched" fetch bank_a "$(result_label "$W/$name.compact")" $kind "$W/$name.$kind"
	done
done
says "the proof says that it is pure" "profile  pure$" assay tcb explain "$W/screen.proof"
says "or what it needs" "profile  pure but for clock$" assay tcb explain "$W/clock.proof"
says "or nothing" "profile$" assay tcb explain "$W/open.proof"
check "they verify" assay verify "$W/clock.proof" --ca "$D/ca.pem" --package "$W/clock.pkg"

# Replays.
replay() { local name=$1; shift; assay replay "$W/$name.proof" --package "$W/$name.pkg" --keys "$W/$name.keys" "$@"; }
says "what is pure is the same again" "^same: .*bit for bit$" replay screen --input "$W/in"
says "its output can be held against it" "^same" replay screen --input "$W/in" --output "$W/screen.output"
says "as JSON" '"verdict": "same"' replay screen --input "$W/in" --json
says "without keys a file is all that is compared with" "^same: .*not known whether" \
	assay replay "$W/screen.proof" --package "$W/screen.pkg" --input "$W/in" --output "$W/screen.output"
refuses "another file is not the output" "^differs: the output is not that of the file" \
	replay screen --input "$W/in" --output "$W/in"
refuses "another input is refused" "the input is not the one of the proof" replay screen --input "$W/other"
refuses "another package is refused" "the package is not the one of the proof" \
	assay replay "$W/screen.proof" --package "$D/samples/screen.pkg" --input "$W/in" --keys "$W/screen.keys"
refuses "without keys or output there is nothing to compare with" "nothing to compare with" \
	assay replay "$W/screen.proof" --package "$W/screen.pkg" --input "$W/in"
refuses "a receipt is no execution" "" assay replay "$W/receipt" --package "$W/screen.pkg" --input "$W/in" --keys "$W/screen.keys"
for name in clock open; do
	refuses "$name is not replayed" "^no replay: the application is .*pure" replay $name --input "$W/in"
	refuses "unless asked, and then differs" "^differs: the output is not .*another run may differ" \
		replay $name --input "$W/in" --anyway
done
log_holds
done_testing
