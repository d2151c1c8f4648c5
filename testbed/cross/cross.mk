# make cross: what must not know the processor, built and tested for others (testbed/cross/cross).
cross:
	@BUILD=$(abspath $(BUILD)) testbed/cross/cross

.PHONY: cross

# Inside, per processor, with its compiler as CC: QEMU runs its programs.
ifdef QEMU
PORTABLE = bytes cbor io sha256 package manifest pack filter

CPPFLAGS += -Itestbed/cross/include

portable: $(BUILD)/assay-launcher $(BUILD)/assay-init $(patsubst %,$(BUILD)/unit/%_test,$(PORTABLE))

$(BUILD)/portable/%: $(BUILD)/testbed/unit/%.o $(call objects,config/base) $(call objects,sandbox)
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(LDFLAGS) -static $^ -o $@

# What testbed/run finds and starts.
$(BUILD)/unit/%_test: $(BUILD)/portable/%_test
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec $(QEMU) $(abspath $<) "$$@"\n' >$@
	@chmod +x $@

.PHONY: portable
endif
