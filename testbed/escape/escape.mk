# Small static programs that play the application in tests of the sandbox.
ESCAPE = $(patsubst testbed/escape/%.c,$(BUILD)/escape/%,$(wildcard testbed/escape/*.c))

$(BUILD)/escape/%: testbed/escape/%.c testbed/escape/attempt.h testbed/escape/family.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -MF $(BUILD)/escape/$*.d $(STATIC_CFLAGS) $(STATIC_LDFLAGS) $< -o $@

# Launcher and init that let a step or a call fail, or leave a step out, when told to: for tests
# only, never in the product.
FAULTS = $(BUILD)/faults/assay-launcher $(BUILD)/faults/assay-init
fault_sources = $(wildcard $(foreach f,$(1),$(f)/*.c $(f)/*.h $(f)/*.def)) $(wildcard testbed/escape/faults/*)
fault_flags = -I. -D_GNU_SOURCE -DASSAY_FAULTS -include testbed/escape/faults/step.h $(STATIC_CFLAGS) -U_FORTIFY_SOURCE $(STATIC_LDFLAGS) \
	      $(shell sed -n 's/^CALL.\([a-z0-9_]*\),.*/-Wl,--wrap=\1/p' testbed/escape/faults/failing.def)

$(BUILD)/faults/assay-launcher: $(call fault_sources,sandbox/launcher sandbox config/base sandbox/init)
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(fault_flags) $(filter-out sandbox/init/%,$(filter %.c,$^)) -o $@

$(BUILD)/faults/assay-init: $(call fault_sources,sandbox/init) sandbox/steps.def
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(fault_flags) $(filter %.c,$^) -o $@

$(patsubst %,$(BUILD)/unit/%_test,sandbox parked purity programs escape launcher faults limits confinement): \
	| $(ESCAPE) $(FAULTS) $(BUILD)/assay-launcher $(BUILD)/assay-init

$(BUILD)/unit/purity_test: | $(addprefix $(BUILD)/samples/,screen.pkg screen-awk.pkg payment.xml)

# Puts the table of system calls, printed from sandbox/syscalls.def, at the end of sandbox/README.md.
syscalls: $(BUILD)/unit/filter_test
	@sed '/^| call |/,$$d' sandbox/README.md >$(BUILD)/README.md
	@$< syscalls >>$(BUILD)/README.md
	@cp $(BUILD)/README.md sandbox/README.md

.PHONY: syscalls
