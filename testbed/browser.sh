# browser.sh - a real browser for the tests of pages, sourced: $D is a directory of the test's own.
# It starts nothing in the background, and looks nothing up.
browser() {
	HOME=$D timeout -k 5 120 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync --disable-extensions \
		--disable-dev-shm-usage --user-data-dir="$D/profile" --hide-scrollbars "$@" 2>"$D/browser.err"
}
