# A test with a token of its own.
$(BUILD)/unit/seals_test: $(BUILD)/testbed/softhsm/harness.o
$(BUILD)/unit/seals_test: private EXTRA = $(BUILD)/testbed/softhsm/harness.o
$(BUILD)/unit/seals_test: private LDFLAGS += -Wl,--wrap=token_seal
