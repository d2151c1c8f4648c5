# Small static programs that play the application in tests of the sandbox.
ESCAPE = $(patsubst testbed/escape/%.c,$(BUILD)/escape/%,$(wildcard testbed/escape/*.c))

$(BUILD)/escape/%: testbed/escape/%.c testbed/escape/attempt.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -MF $(BUILD)/escape/$*.d $(STATIC_CFLAGS) $(STATIC_LDFLAGS) $< -o $@

# Launcher and init that let a step fail when told to: for tests only, never in the product.
FAULTS = $(BUILD)/faults/assay-launcher $(BUILD)/faults/assay-init
fault_sources = $(wildcard $(foreach f,$(1),$(f)/*.c $(f)/*.h $(f)/*.def))

$(BUILD)/faults/assay-launcher: $(call fault_sources,sandbox/launcher sandbox config/base sandbox/init)
	@mkdir -p $(@D)
	$(CC) -I. -D_GNU_SOURCE -DASSAY_FAULTS $(STATIC_CFLAGS) $(STATIC_LDFLAGS) \
		$(filter-out sandbox/init/%,$(filter %.c,$^)) -o $@

$(BUILD)/faults/assay-init: $(call fault_sources,sandbox/init) sandbox/steps.def
	@mkdir -p $(@D)
	$(CC) -I. -D_GNU_SOURCE -DASSAY_FAULTS $(STATIC_CFLAGS) $(STATIC_LDFLAGS) $(filter %.c,$^) -o $@

$(patsubst %,$(BUILD)/unit/%_test,sandbox programs escape launcher faults): \
	| $(ESCAPE) $(FAULTS) $(BUILD)/assay-launcher $(BUILD)/assay-init

# The table of system calls in sandbox/README.md, printed from sandbox/syscalls.def.
syscalls: $(BUILD)/unit/package_test
	@$< syscalls

.PHONY: syscalls
