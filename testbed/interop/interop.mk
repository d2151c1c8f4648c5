# Evidence, and logs, for tools written by others.
$(BUILD)/interop/%: $(BUILD)/testbed/interop/%.o $(call lib,audit config/base)
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ -lcrypto

unit: $(BUILD)/interop/sample $(BUILD)/interop/log
