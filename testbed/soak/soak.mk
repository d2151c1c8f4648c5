# make soak: RUNS executions in a row, on demand and parked; nothing may grow. And faults of the log at
# length (make soak-log): KILLS times kill -9 under load, STATES disks for each moment at which the power
# may go. As root.

RUNS ?= 100000
KILLS ?= 300
STATES ?= 30
SOAK_LOG = $(addprefix $(BUILD)/unit/,crash_test power_test sweep_test disk_test tamper_test)

$(BUILD)/soak: $(BUILD)/testbed/soak/soak.o $(call lib,sandbox config/base)
	$(say)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@

$(BUILD)/unit/reuse_test: | $(ESCAPE) $(BUILD)/assay-launcher $(BUILD)/assay-init

soak: $(BUILD)/soak $(BUILD)/assay $(BUILD)/assay-launcher $(BUILD)/assay-init $(BUILD)/escape/talk
	@for park in off on; do \
		$(BUILD)/assay pack $(BUILD)/escape/talk --arg late --park $$park -o $(BUILD)/soak.pkg >/dev/null && \
		echo "parked: $$park" && $(BUILD)/soak $(abspath $(BUILD)) $(BUILD)/soak.pkg $(RUNS) || exit 1; \
	done
	@$(MAKE) --no-print-directory soak-log

# Each time from another seed, which the tests print.
soak-log: $(SOAK_LOG)
	@for test in $(SOAK_LOG); do \
		ASSAY_KILLS=$(KILLS) ASSAY_STATES=$(STATES) ASSAY_SEED=$${ASSAY_SEED:-$$RANDOM$$$$} $$test || exit 1; \
	done

.PHONY: soak soak-log
