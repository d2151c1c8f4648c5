# make v2: the sandbox's tests on a machine whose cgroups are of version 2 alone (testbed/v2/v2).
V2_TESTS = launcher limits confinement escape purity

v2: $(PROGRAMS) $(ESCAPE) $(FAULTS) samples $(patsubst %,$(BUILD)/unit/%_test,$(V2_TESTS))
	@BUILD=$(abspath $(BUILD)) testbed/v2/v2 $(V2_TESTS)

.PHONY: v2
