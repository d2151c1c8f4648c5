# Logs for the tests of what reads them.
$(BUILD)/cli/sample_log: $(BUILD)/testbed/cli/sample_log.o $(call lib,audit config/base)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -lcrypto

unit: $(BUILD)/cli/sample_log
