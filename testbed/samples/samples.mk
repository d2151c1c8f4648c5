# The applications of demonstration and tests, and their packages.

SAMPLES = $(BUILD)/samples
SCREEN_LISTS = testbed/samples/limits testbed/samples/sanctions
in_image = $(foreach f,$(SCREEN_LISTS),$(f)=/etc/screen/$(notdir $(f)))

samples: $(SAMPLES)/screen.pkg $(SAMPLES)/screen-awk.pkg $(SAMPLES)/unruly.pkg $(SAMPLES)/payment.xml

# Ordinary static programs: they know nothing of Assay.
$(SAMPLES)/screen $(SAMPLES)/unruly: $(SAMPLES)/%: testbed/samples/%.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE $(STATIC_CFLAGS) $< $(STATIC_LDFLAGS) -o $@

$(SAMPLES)/screen.pkg: $(SAMPLES)/screen $(SCREEN_LISTS) testbed/samples/image $(BUILD)/assay
	testbed/samples/image $(SAMPLES)/screen.image $<=/bin/screen $(in_image)
	$(BUILD)/assay pack $(SAMPLES)/screen.image --exec /bin/screen --id screen \
		--label "Payment screening" --version 1.0 --refuse-code 65 -o $@

$(SAMPLES)/screen-awk.pkg: testbed/samples/screen.awk $(SCREEN_LISTS) testbed/samples/image $(BUILD)/assay
	testbed/samples/image $(SAMPLES)/screen-awk.image $<=/bin/screen.awk $(in_image) +/usr/bin/mawk
	$(BUILD)/assay pack $(SAMPLES)/screen-awk.image --exec /bin/screen.awk --id screen-awk \
		--label "Payment screening in awk" --version 1.0 --refuse-code 65 -o $@

$(SAMPLES)/unruly.pkg: $(SAMPLES)/unruly $(BUILD)/assay
	$(BUILD)/assay pack $< --id unruly --version 1.0 --refuse-code 65 --wall-ms 3000 \
		--output-bytes 67108864 --memory 402653184 -o $@

$(SAMPLES)/payment.xml: testbed/samples/pain001
	@mkdir -p $(@D)
	$< >$@
