#!/bin/bash
# Packages from image archives: what is made of a good one, and that hostile ones are refused in words.
# No network, no registry, no docker: images.py makes them.
. testbed/e2e/lib.sh
D=$(mktemp -d -t assay-image.XXXXXX)
trap 'rm -rf "$D"' EXIT
S=$BUILD/samples
cat >"$D/assay.yaml" <<YAML
mode: development
state: $D/state
socket: $D/assayd.sock
sandbox:
    allow_missing: [$(missing_controllers)]
YAML
export ASSAY_CONFIG=$D/assay.yaml
pack() { "$BUILD/assay" pack "$D/$1.tar${3:-}" --id screen --refuse-code 65 -o "$D/${2:-$1}.pkg"; }

check "archives are made" testbed/samples/images.py "$D" "$S/screen" testbed/samples/limits testbed/samples/sanctions
check "an image is packed" pack oci
check "and again" pack oci again
check "to the same bytes" cmp "$D/oci.pkg" "$D/again.pkg"
for form in plain saved; do
	check "the same image, $form, is packed" pack $form
	check "to the same bytes too" cmp "$D/oci.pkg" "$D/$form.pkg"
done
check "an archive that is compressed as a whole is packed" pack oci whole .gz
check "to the same bytes as well" cmp "$D/oci.pkg" "$D/whole.pkg"

# By hand, what the layers add up to.
T=$D/tree
mkdir -p "$T"/{bin,etc/screen,opt,dev,usr/bin,var}
install -m 0755 "$S/screen" "$T/bin/screen"
install -m 0755 "$S/screen" "$T/bin/copy"
install -m 0644 testbed/samples/{limits,sanctions} "$T/etc/screen"
printf x >"$T/etc/été"; printf x >"$T/opt/d"; printf 'now a file' >"$T/var/was"
ln -s ../../bin/screen "$T/usr/bin/run"
ln -s . "$T/srv"
check "a directory with the same files is packed" "$BUILD/assay" pack "$T" --exec /bin/screen --id screen \
	--refuse-code 65 --env PATH=/usr/bin:/bin --env A=b=c -o "$D/tree.pkg"
check "to the same bytes: layers are applied, whiteouts and all" cmp "$D/oci.pkg" "$D/tree.pkg"

runs() { "$BUILD/assay" run --local "$1" <"$S/payment.xml" >"$2"; }
check "the image runs" runs "$D/oci.pkg" "$D/oci.out"
check "the sample from a directory runs" runs "$S/screen.pkg" "$D/sample.out"
check "and both say the same" cmp "$D/oci.out" "$D/sample.out"

check "options come before the image's own" "$BUILD/assay" pack "$D/command.tar" --id screen --refuse-code 65 \
	--arg=--other --env A=z --env B=1 -o "$D/options.pkg"
check "a directory with these is packed" "$BUILD/assay" pack "$T" --exec /bin/screen --id screen --refuse-code 65 \
	--arg=--other --env PATH=/usr/bin:/bin --env A=z --env B=1 -o "$D/expected.pkg"
check "to the same bytes" cmp "$D/options.pkg" "$D/expected.pkg"
check "entry point and command are its arguments" "$BUILD/assay" pack "$D/command.tar" --id screen --refuse-code 65 -o "$D/command.pkg"
check "a directory with the command is packed" "$BUILD/assay" pack "$T" --exec /bin/screen --id screen --refuse-code 65 \
	--arg=--in-no-place --env PATH=/usr/bin:/bin --env A=b=c -o "$D/expected.pkg"
check "as arguments" cmp "$D/command.pkg" "$D/expected.pkg"
refuses "an image that says nothing of a program wants one" "--exec expected" pack silent
check "and takes one" "$BUILD/assay" pack "$D/silent.tar" --exec /bin/copy -o "$D/silent.pkg"

while IFS='|' read -r name words; do
	[ -f "$D/bad_$name.tar" ] || not_ok "there is no bad_$name"
	refuses "refused: ${name//_/ }" "$words" timeout 60 "$BUILD/assay" pack "$D/bad_$name.tar" -o "$D/bad.pkg"
	[ ! -e "$D/bad.pkg" ] && ok "and nothing is left of it" || not_ok "$name left a package"
done <<'WORDS'
parent|\.\./x.*"\.\."
hidden_parent|"\.\."
absolute|absolute
through_link|leads through "way", which is no directory
through_file|leads through "bin/screen"
device|sda: devices, pipes and sockets
pipe|p: devices, pipes and sockets
twice|a: there twice in one layer
file_then_directory|a: there twice in one layer
directory_then_link|a: there twice in one layer
out_by_link|leaves the image
hard_link_out|"\.\."
hard_link_to_nothing|which is no file before it
whiteout_of_parent|a whiteout of nothing
many|more than 65536 files
copies|more than 268435456 bytes in all
huge|more than [0-9]+ bytes
huge_whiteout|more than [0-9]+ bytes in all layers
huge_root|more than [0-9]+ bytes in all layers
huge_file|more than [0-9]+ bytes in the archive
sparse|more than it may be when it is unpacked
bomb|more than 268435456 bytes in all
cut_layer|Truncated|cut
no_layers|without layers
config|Entrypoint: a list
environment|NAME=value expected
saved_digest|its SHA-256 is another one
digest|its SHA-256 is another one
missing|not in the archive
manifest|its SHA-256 is another one
two_images|several images
machine|no image for linux/
algorithm|no sha256
digest_path|no sha256
two_indexes|index.json: twice in the archive
json|duplicate
deep_json|no proper JSON
large_json|1 to 4194304 expected
no_image|neither a program nor an image archive
crowd|more than 4096 files in the archive
WORDS
done_testing
