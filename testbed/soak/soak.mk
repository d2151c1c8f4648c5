# make soak: RUNS executions in a row, on demand and parked; nothing may grow. As root.

RUNS ?= 100000

$(BUILD)/soak: $(BUILD)/testbed/soak/soak.o $(call lib,sandbox config/base)
	$(say)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@

$(BUILD)/unit/reuse_test: | $(ESCAPE) $(BUILD)/assay-launcher $(BUILD)/assay-init

soak: $(BUILD)/soak $(BUILD)/assay $(BUILD)/assay-launcher $(BUILD)/assay-init $(BUILD)/escape/talk
	@for park in off on; do \
		$(BUILD)/assay pack $(BUILD)/escape/talk --arg late --park $$park -o $(BUILD)/soak.pkg >/dev/null && \
		echo "parked: $$park" && $(BUILD)/soak $(abspath $(BUILD)) $(BUILD)/soak.pkg $(RUNS) || exit 1; \
	done

.PHONY: soak
