#!/bin/bash
# The trust graph is held against what was built and what is installed, and the doctor finds what
# is out of order.
. "$(dirname "$0")/lib.sh" doctor
appliance
trust() { "$D/bin/assay" trust "$@"; }
if [ ${#SANITIZED[@]} -eq 0 ]; then
	says "what was built is as declared" "^ok +assayd: links to what is declared" trust check
	says "of every component" "^ok +assay-init" trust check
	says "so is what is installed" "^ok +assay-launcher: nobody but root" assay doctor
	hides "the doctor finds nothing" "^NOT" assay doctor
else
	refuses "a library that is not declared is named" "links to libasan.*not declared" trust check
fi
says "the graph is drawn" "asks assay-launcher" trust show
says "for Graphviz too" "daemon -> launcher" trust show --dot
says "the daemon's state is told" "daemon: runs, and its programs are accepted" eval 'assay doctor; true'

# A directory in which one thing is wrong at a time.
wrong() {
	rm -rf "$D/other" && cp -a "$D/bin" "$D/other" && cp "$2" "$D/other/$1"
	refuses "$3" "$4" trust check "$D/other"
}
wrong assay-feeder "$D/bin/assayd" "another program in the feeder's place" "NOT +assay-feeder: links to libcrypto"
refuses "which calls what it may not" "NOT +assay-feeder: calls .* is not declared to be one that loads code" trust check "$D/other"
refuses "and lacks what it should link to" "NOT +assay-feeder: does not link to libcurl" trust check "$D/other"
wrong assay-init "$D/bin/assay-probe" "a dynamic program in the place of init" "NOT +assay-init: is linked to libraries"
wrong assay-launcher "$D/assay.yaml" "a text in the launcher's place" "NOT +assay-launcher: is no program"
rm -f "$D/other/assayd"
refuses "a missing program" "NOT +assayd: .*No such file" trust check "$D/other"

chmod 0666 "$D/bin/assay-probe"
refuses "a program that others may change" "NOT +assay-probe: .*only its owner may write" assay doctor
chmod 0755 "$D/bin/assay-probe"
chmod 0644 "$D/token.pin"
refuses "a PIN that others may read" "NOT +token.pin_file" assay doctor
chmod 0600 "$D/token.pin"
check "it stops" assay stop
printf x >>"$D/bin/assay.so"
check "it starts with another module" instance_start
refuses "the doctor names what holds it" "NOT +daemon: .*as-installed:module" assay doctor
check "it stops" assay stop
says "a daemon that is not there is noted" "note +daemon: does not answer" eval 'assay doctor; true'
done_testing
